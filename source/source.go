// Package source defines what a mapping can poll: the contract, and one file per kind of source.
//
// A source reads the records of a shard and knows how they look in a payload. It returns the exact payload size of each
// record, so that the core keeps the payload limit without seeing JSON. The shape is that of the Lambda Developer
// Guide, "Using Lambda to process records from Amazon Kinesis Data Streams".
package source

import (
	"context"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Shard is one shard of a source as a mapping sees it.
type Shard struct {
	ID      record.ShardID
	Range   record.HashKeyRange
	Parents []record.ShardID // shards that must be settled before this one
}

// Source is one stream that a mapping polls. Safe for concurrent use.
type Source interface {
	// Shards lists the shards that can still be read, in order of their ids. A fault ResourceNotFoundException means
	// that the stream is gone.
	Shards(ctx context.Context) ([]Shard, error)
	// ShardsChanged returns a channel that is closed at the next change of that list. Take it before Shards.
	ShardsChanged() <-chan struct{}
	// Read visits durable records from from on, as storage.Log.Scan does; records beyond retention are never visited.
	Read(
		ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
	) (next record.Position, end storage.End, err error)
	// Oldest returns the oldest position inside the retention period.
	Oldest(ctx context.Context, shard record.ShardID) (record.Position, error)
	// Tip returns the position that the next record of a shard gets, and whether the shard is closed, so that none
	// does.
	Tip(ctx context.Context, shard record.ShardID) (next record.Position, closed bool, err error)
	// Changed returns a channel that is closed at the next change of the shard. Take it before Read.
	Changed(shard record.ShardID) <-chan struct{}
	// Pushed reports whether what is new is pushed, so that nobody polls for it.
	Pushed() bool
	// Release says that a shard is not read any more; if it is all the same, reading begins anew. Until then a source
	// may keep what it needs for the shard.
	Release(shard record.ShardID)
	// Format returns how the shard's records look in a payload for a function with the given role.
	Format(shard record.ShardID, roleARN string) Format
}

// Again returns the source for reading once more what may have been read before, beside who reads it now.
func Again(s Source) Source {
	if a, ok := s.(interface{ Again() Source }); ok {
		return a.Again()
	}
	return s
}

// Format writes records of one shard as a function gets them. It is a value; safe for concurrent use.
type Format interface {
	// Envelope returns the number of payload bytes in addition to the RecordSize of all records.
	Envelope() int
	// RecordSize returns the exact number of bytes that r adds to a payload, including its separator.
	RecordSize(r *record.Record) int
	// AppendMetadata appends what filters see of a record beside its data: a JSON object.
	AppendMetadata(dst []byte, r *record.Record) []byte
	// Windowed returns the number of payload bytes that the members of a tumbling window add, without its state;
	// Recordless returns the size, without the state, of the payload of an invocation without records that ends a
	// window, in either way.
	Windowed() int
	Recordless() int
	// AppendPayload appends the whole payload to dst: exactly Envelope plus the records' sizes, and what a tumbling
	// window adds unless w is nil.
	AppendPayload(dst []byte, records []record.Record, w *Window) []byte
	// Identifier returns how a function names r when it reports a failed item.
	Identifier(r *record.Record) string
	// Batch describes records, of which there is at least one, for a notice.
	Batch(first, last *record.Record, count int) BatchInfo
}

// Window is what a payload says about a tumbling window.
type Window struct {
	Start, End record.Millis
	State      string // a JSON object
	Final      bool   // the window is over
	Early      bool   // its state has exceeded the limit
}

// BatchInfo is the part of a notice that depends on the kind of source.
type BatchInfo struct {
	Member string // its name in the notice, for example KinesisBatchInfo
	JSON   []byte
}
