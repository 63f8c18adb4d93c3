package pebble

import (
	"fmt"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// SignText is what the file says that marks a directory as ours.
const SignText = signText

// DB returns the database below the store, for tests that look past the store or damage it.
func DB(s *Store) *crdb.DB { return s.db }

// BlockKey returns where the block that begins at pos lies.
func BlockKey(id storage.Shard, pos record.Position) []byte { return blockKey(id, pos) }

// FormatKey returns where the version of the format lies.
func FormatKey() []byte { return formatKey }

// ReadUngated reads what Pebble shows of a shard, durable or not, like a reader that ignores the watermark.
func ReadUngated(s *Store, id storage.Shard, visit func(record.Record)) error {
	lo := shardKey(tableBlocks, id)
	it, err := s.rows(&crdb.IterOptions{LowerBound: lo, UpperBound: after(lo)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		b, err := s.blockAt(it, id)
		if err != nil {
			return err
		}
		for i := range b.count {
			r, err := b.record(i)
			if err != nil {
				return err
			}
			visit(r)
		}
	}
	return it.Error()
}

// SetTailBytes bounds the blocks in memory, so that readers need the database. Call it before the first append.
func SetTailBytes(s *Store, n int) { s.tails.budget = n }

// SetQueueBytes bounds the records that wait for the committer. Call it before the first append.
func SetQueueBytes(s *Store, n int) { s.queue.limit = n }

// WithMemTable returns o with memtables of at most that many bytes, so that little data fills many.
func (o Options) WithMemTable(bytes int) Options {
	o.memTable = bytes
	return o
}

// WithLeastLog returns o with logs that are reused if they have that many bytes.
func (o Options) WithLeastLog(bytes int64) Options {
	o.leastLog = bytes
	return o
}

// WithMarkEvery returns o with a mark every d, so that a short run writes many.
func (o Options) WithMarkEvery(d time.Duration) Options {
	o.markEvery = d
	return o
}

// Inventory returns the tables and blobs that the current manifest counts on: bytes by file name.
func Inventory(fs vfs.FS, dir string) (files map[string]uint64, err error) {
	inv, err := readInventory(fs, dir)
	if err != nil {
		return nil, err
	}
	files = map[string]uint64{}
	for number, size := range inv.tables {
		files[fmt.Sprintf("%06d.sst", number)] = size
	}
	for number, size := range inv.blobs {
		files[fmt.Sprintf("%06d.blob", number)] = size
	}
	return files, nil
}

// ShardKey returns where the state of a shard lies.
func ShardKey(id storage.Shard) []byte { return shardKey(tableShards, id) }

// TimeKey returns where the index entry of a shard for an arrival lies.
func TimeKey(id storage.Shard, at record.Millis) []byte { return timeKey(id, at) }
