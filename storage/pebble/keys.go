package pebble

import (
	"encoding/binary"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// The tables, told apart by the first byte of a key. docs/format/store.md describes them; a byte once used keeps its
// meaning.
const (
	tableStore  byte = 0x01 // "format", "revision"
	tableBlocks byte = 0x10 // stream, shard, first position → block
	tableTimes  byte = 0x11 // stream, shard, arrival → first position that arrived at or after it
	tableShards byte = 0x12 // stream, shard → shardState
	tableCoord  byte = 0x50 // key → revision, value
	tableLocal  byte = 0x60 // key → value
)

var (
	formatKey   = append([]byte{tableStore}, "format"...)
	revisionKey = append([]byte{tableStore}, "revision"...)
)

const (
	shardKeyBytes = 1 + 4 + 4
	placeKeyBytes = shardKeyBytes + 8
)

// shardKey begins every key of a shard in a table.
func shardKey(table byte, id storage.Shard) []byte {
	k := make([]byte, 0, placeKeyBytes)
	k = append(k, table)
	k = binary.BigEndian.AppendUint32(k, id.Stream)
	return binary.BigEndian.AppendUint32(k, uint32(id.Index))
}

// placeKey returns a key of tableBlocks or tableTimes.
func placeKey(table byte, id storage.Shard, place uint64) []byte {
	return binary.BigEndian.AppendUint64(shardKey(table, id), place)
}

// blockKey returns the key of the block that begins at pos.
func blockKey(id storage.Shard, pos record.Position) []byte {
	return placeKey(tableBlocks, id, uint64(pos))
}

// timeKey returns the key of the time index entry for at.
func timeKey(id storage.Shard, at record.Millis) []byte {
	return placeKey(tableTimes, id, uint64(max(at, 0)))
}

// placeOf returns the last member of a placeKey.
func placeOf(key []byte) (uint64, bool) {
	if len(key) != placeKeyBytes {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[shardKeyBytes:]), true
}

// streamKeys bounds all keys of a stream in a table.
func streamKeys(table byte, stream uint32) (lo, hi []byte) {
	lo = binary.BigEndian.AppendUint32([]byte{table}, stream)
	return lo, after(lo)
}

// after returns the first key that does not begin with prefix; prefix has a byte below 0xff.
func after(prefix []byte) []byte {
	k := append([]byte(nil), prefix...)
	for i := len(k) - 1; ; i-- {
		if k[i]++; k[i] != 0 {
			return k[:i+1]
		}
	}
}
