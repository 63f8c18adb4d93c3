package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sort"
	"unsafe"

	"github.com/shardmill/shardmill/record"
)

// A block holds the records of one shard from one group commit, cut so that no reader has to fetch much more than it
// wants. docs/format/block.md draws it. All numbers are little-endian.
const (
	blockVersion    = 1
	blockHeader     = 32
	blockTarget     = 256 << 10 // bytes of records after which a block is cut; one larger record makes the block larger
	explicitHashBit = 1         // lowest bit of a record's first number
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// block is a decoded header and the bytes behind it. Its records have consecutive positions. It never changes, so
// readers share it.
type block struct {
	first        record.Position
	count        int
	firstArrival record.Millis // the smallest
	lastArrival  record.Millis // the largest
	ends         []byte        // count × u32: where each record ends in body
	body         []byte
	bytes        []byte // all of it, header included
}

// next returns the position after the last record.
func (b *block) next() record.Position { return b.first + record.Position(b.count) }

var errBlock = errors.New("bad block")

// openBlock checks data, the block that begins at first, and keeps it.
func openBlock(first record.Position, data []byte) (*block, error) {
	if len(data) < blockHeader {
		return nil, fmt.Errorf("%w: %d bytes are no header", errBlock, len(data))
	}
	if v := data[0]; v != blockVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows version %d", errBlock, v, blockVersion)
	}
	if data[1] != 0 || data[2] != 0 || data[3] != 0 {
		return nil, fmt.Errorf("%w: unknown flags %x", errBlock, data[1:4])
	}
	if n := binary.LittleEndian.Uint32(data[28:]); uint64(n) != uint64(len(data)) {
		return nil, fmt.Errorf("%w: %d bytes long, its header says %d", errBlock, len(data), n)
	}
	if want, got := binary.LittleEndian.Uint32(data[24:]), blockSum(data); want != got {
		return nil, fmt.Errorf("%w: checksum %08x, its header says %08x", errBlock, got, want)
	}
	count := binary.LittleEndian.Uint32(data[4:])
	if count == 0 || uint64(count)*4 > uint64(len(data)-blockHeader) {
		return nil, fmt.Errorf("%w: %d records in %d bytes", errBlock, count, len(data))
	}
	if first == 0 || first > record.MaxPosition || record.Position(count)-1 > record.MaxPosition-first {
		return nil, fmt.Errorf("%w: %d records from position %d on", errBlock, count, first)
	}
	return viewBlock(first, data, int(count)), nil
}

func viewBlock(first record.Position, data []byte, count int) *block {
	body := blockHeader + 4*count
	return &block{
		first: first, count: count, bytes: data,
		firstArrival: record.Millis(binary.LittleEndian.Uint64(data[8:])),
		lastArrival:  record.Millis(binary.LittleEndian.Uint64(data[16:])),
		ends:         data[blockHeader:body:body],
		body:         data[body:],
	}
}

// blockSum returns the checksum of everything but the checksum itself.
func blockSum(data []byte) uint32 {
	return crc32.Update(crc32.Checksum(data[:24], castagnoli), castagnoli, data[28:])
}

// record decodes record i, 0 ≤ i < count. Its Key and Data share the block's bytes.
func (b *block) record(i int) (record.Record, error) {
	r := record.Record{Pos: b.first + record.Position(i)}
	start := uint32(0)
	if i > 0 {
		start = binary.LittleEndian.Uint32(b.ends[4*i-4:])
	}
	end := binary.LittleEndian.Uint32(b.ends[4*i:])
	if start > end || uint64(end) > uint64(len(b.body)) {
		return r, fmt.Errorf("%w: record %d lies at %d to %d of %d", errBlock, i, start, end, len(b.body))
	}
	rest := b.body[start:end:end]
	key, n := binary.Uvarint(rest)
	if n <= 0 || key>>1 > uint64(len(rest)-n) {
		return r, fmt.Errorf("%w: record %d has no partition key", errBlock, i)
	}
	rest = rest[n:]
	if size := int(key >> 1); size > 0 {
		r.Key, rest = unsafe.String(&rest[0], size), rest[size:]
	}
	if key&explicitHashBit != 0 {
		if len(rest) < len(r.Hash) {
			return r, fmt.Errorf("%w: record %d has no hash key", errBlock, i)
		}
		r.Explicit, rest = true, rest[copy(r.Hash[:], rest):]
	}
	delta, n := binary.Uvarint(rest)
	if n <= 0 || delta > uint64(b.lastArrival-b.firstArrival) {
		return r, fmt.Errorf("%w: record %d has no arrival", errBlock, i)
	}
	r.Arrival, r.Data = b.firstArrival+record.Millis(delta), rest[n:]
	return r, nil
}

// index returns the place of the first record at or after pos; count when there is none.
func (b *block) index(pos record.Position) int {
	if pos <= b.first {
		return 0
	}
	return int(min(pos-b.first, record.Position(b.count)))
}

// seek returns the position of the first record at or after from that arrived at or after at. Arrivals never fall
// within a block.
func (b *block) seek(from record.Position, at record.Millis) (record.Position, bool, error) {
	if b.lastArrival < at {
		return 0, false, nil
	}
	lo := b.index(from)
	var failed error
	i := lo + sort.Search(b.count-lo, func(i int) bool {
		r, err := b.record(lo + i)
		if err != nil {
			failed = err
		}
		return r.Arrival >= at
	})
	return b.first + record.Position(i), i < b.count, failed
}

// recordBytes returns the encoded size of r in a block whose records all arrive at once, its end offset included.
func recordBytes(r *record.Record) int {
	n := 4 + uvarintBytes(uint64(len(r.Key))<<1) + len(r.Key) + 1 + len(r.Data)
	if r.Explicit {
		n += len(r.Hash)
	}
	return n
}

func uvarintBytes(x uint64) int {
	n := 1
	for ; x >= 0x80; x >>= 7 {
		n++
	}
	return n
}

// builder fills a new block with records that arrive at one instant.
type builder struct {
	first   record.Position
	arrival record.Millis
	data    []byte
	count   int
	body    int // where records begin
	at      int // where the next one goes
}

// newBuilder returns a builder with room for count records whose recordBytes sum to size.
func newBuilder(first record.Position, arrival record.Millis, count, size int) builder {
	body := blockHeader + 4*count
	return builder{first: first, arrival: arrival, data: make([]byte, blockHeader+size), body: body, at: body}
}

func (w *builder) add(r *record.Record) {
	key := uint64(len(r.Key)) << 1
	if r.Explicit {
		key |= explicitHashBit
	}
	at := w.at
	at += binary.PutUvarint(w.data[at:], key)
	at += copy(w.data[at:], r.Key)
	if r.Explicit {
		at += copy(w.data[at:], r.Hash[:])
	}
	at++ // the delta to the block's arrival, 0
	at += copy(w.data[at:], r.Data)
	binary.LittleEndian.PutUint32(w.data[blockHeader+4*w.count:], uint32(at-w.body))
	w.at = at
	w.count++
}

// finish writes the header.
func (w *builder) finish() *block {
	d := w.data
	d[0] = blockVersion
	binary.LittleEndian.PutUint32(d[4:], uint32(w.count))
	binary.LittleEndian.PutUint64(d[8:], uint64(w.arrival))
	binary.LittleEndian.PutUint64(d[16:], uint64(w.arrival))
	binary.LittleEndian.PutUint32(d[28:], uint32(len(d)))
	binary.LittleEndian.PutUint32(d[24:], blockSum(d))
	return viewBlock(w.first, d, w.count)
}
