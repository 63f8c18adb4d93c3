// Package storage keeps ordered records and small values, durably: the contracts Log, Coord and Local, and what they
// promise.
//
// Rooms see only these contracts and do not know which backend runs. memory/ and pebble/ implement them; storagetest/
// is the suite that each backend passes. Positions are assigned here and nowhere else. A reader of a Log or Coord sees
// only what is durable; a Local shows whatever was applied.
package storage

import (
	"context"
	"errors"

	"github.com/shardmill/shardmill/record"
)

// Faults of a Log or Coord. They are compared with errors.Is.
var (
	// the shard was never created, or its stream is deleted
	ErrNotFound = errors.New("storage: no such shard")
	ErrExists   = errors.New("storage: shard exists") // Create of a shard that exists
	// no append succeeds any more: route again, to the child
	ErrShardClosed = errors.New("storage: shard is closed")
	ErrFenced      = errors.New("storage: writer is fenced")              // another Acquire came later
	ErrBusy        = errors.New("storage: the committer's queue is full") // try again; nothing was written
	// below --min-free or above --memory-limit; reads, trims, deletions and Coord go on
	ErrFull      = errors.New("storage: no space left for records")
	ErrConflict  = errors.New("storage: revision conflict")   // nothing of the commit was applied
	ErrUnchanged = errors.New("storage: nothing was changed") // of a change; wrapped with the reason
	// a change may or may not have been applied; read back. See Sure
	ErrUnknown = errors.New("storage: outcome unknown")
	ErrClosed  = errors.New("storage: store is closed")
	ErrCorrupt = errors.New("storage: corrupt data") // wrapped with the place and what to do
)

// Store is one backend: its three contracts share one commit pipeline, so one sync serves them all.
type Store interface {
	Log() Log
	Coord() Coord
	Local() Local
	// Close waits for commits under way and releases the backend. Later calls fail with ErrClosed. Twice is harmless.
	Close() error
}

// Shard names a shard: numeric stream id (allocated once by stream, never reused) and index.
type Shard struct {
	Stream uint32
	Index  record.ShardID
}

// Writer is the right to append to a shard, given by Acquire.
type Writer struct {
	Shard Shard
	Epoch uint64
}

// Batch is the part of an Append that goes to one shard. Append fills Pos and Arrival of Records in place.
// A batch is atomic: readers see all of its records or none, at one moment.
type Batch struct {
	Writer  Writer
	Records []record.Record
}

// EndKind says why a Scan stopped.
type EndKind uint8

const (
	More     EndKind = iota + 1 // the limit was reached; records may follow at next
	Tail                        // every durable record was visited; the shard is open
	ShardEnd                    // every record was visited; the shard is closed and none will follow
	Trimmed                     // from lies before the oldest readable record: nothing was visited; continue at Oldest
)

// End closes a Scan.
type End struct {
	Kind   EndKind
	Sealed record.Millis   // with Tail: no record with an arrival before Sealed can still appear
	Oldest record.Position // with Trimmed: the first position that may still be read
}

// Limit bounds a Scan. A zero field means no bound. If there is a record, at least one is visited.
type Limit struct {
	Records int
	Bytes   int // of data plus partition key
}

// Log holds the records of all shards. All methods are safe for concurrent use.
type Log interface {
	// Create makes an empty open shard whose first record gets a position ≥ first (0 counts as 1). Durable on return.
	// ErrExists.
	Create(ctx context.Context, shard Shard, first record.Position) error
	// Acquire fences every earlier writer of the shard and returns the exact end: the position after the last record
	// appended. A closed shard can be acquired; appends to it fail with ErrShardClosed.
	Acquire(ctx context.Context, shard Shard) (w Writer, end record.Position, err error)
	// Append commits batches, as one group where the backend can, and returns when they are durable and readable, with
	// an error per batch (nil, ErrShardClosed, ErrFenced, ErrBusy, ErrFull, ErrNotFound, ErrClosed). Records keep their
	// order within a batch. Key and Data are copied before return. Cancelling ctx undoes nothing: the records may
	// exist. The same goes for every error that Unchanged denies, such as ErrUnknown. After such an error, Create,
	// Close, Trim and Delete may be repeated.
	Append(ctx context.Context, batches []Batch) []error
	// Scan visits the durable records with Pos ≥ from in order, without holes, up to limit, and returns where to
	// continue. The visited records' Key and Data stay valid and must not be changed. visit runs on the caller's
	// goroutine only. With nothing visited, next is from (at least 1). The end is exact: More means that another record
	// exists, or did a moment ago.
	Scan(ctx context.Context, shard Shard, from record.Position, limit Limit, visit func(record.Record)) (
		next record.Position, end End, err error,
	)
	// Seek returns the position of the first record, in order, whose arrival is at or after at; when there is none yet,
	// the lowest position that the next record can have.
	Seek(ctx context.Context, shard Shard, at record.Millis) (record.Position, error)
	// Bounds returns the position below which nothing is readable (the place of the last Trim, else the shard's first),
	// the position after the last durable record, and whether the shard is closed.
	Bounds(ctx context.Context, shard Shard) (oldest, end record.Position, closed bool, err error)
	// Close closes the shard for every writer: no append succeeds once it has returned. last is the position of the
	// last record ever appended, 0 when there is none. Idempotent.
	Close(ctx context.Context, shard Shard) (last record.Position, err error)
	// Trim hides every record below before; space is freed later. Idempotent; never moves back. A position beyond the
	// end counts as the end, so that later records stay readable; a trim that would hide no record changes nothing.
	Trim(ctx context.Context, shard Shard, before record.Position) error
	// Delete removes every shard of a stream. Durable on return; space is freed later. Idempotent.
	Delete(ctx context.Context, stream uint32) error
	// Changed returns a channel that is closed at the next append, close, trim or delete of the shard. Take it before
	// Scan; spurious wake-ups are allowed, lost ones never.
	Changed(shard Shard) <-chan struct{}
}

// Revision is the version of one Coord value; it grows with each change of the key and is never reused. 0: the key does
// not exist.
type Revision uint64

// Expectations of an Op.
const (
	Any    Revision = 1<<64 - 1 // whatever is there
	Absent Revision = 0         // the key must not exist
)

// Op is one change of a Coord commit. A nil Value deletes the key. Ops on one key apply in order, each to what the one
// before left.
type Op struct {
	Key    string
	Value  []byte
	Expect Revision
}

// Entry is one value of a Coord.
type Entry struct {
	Key      string
	Value    []byte // owned by the caller
	Revision Revision
}

// Coord holds small values with revisions: metadata, mappings, checkpoints, leases. All methods are safe for concurrent
// use.
type Coord interface {
	// Get returns a zero Entry (Revision 0) and no error for a missing key.
	Get(ctx context.Context, key string) (Entry, error)
	// List returns up to n entries, in byte order, whose key has the prefix and sorts behind after; n ≤ 0: all.
	List(ctx context.Context, prefix, after string, n int) ([]Entry, error)
	// Commit applies ops atomically and durably, or fails with ErrConflict and changes nothing. After an error that
	// Unchanged denies, such as ErrUnknown, the outcome is unknown: all ops were applied, or none, or they still will
	// be. Operations are atomic within a group; group is the prefix that keys belonging together share, and every key
	// must begin with it. Revisions are checked in commit order. It returns the revision that every written key now
	// has.
	Commit(ctx context.Context, group string, ops ...Op) (Revision, error)
	// Changed returns a channel that is closed at the next change of a key with the prefix. Take it before List;
	// spurious wake-ups are allowed, lost ones never.
	Changed(prefix string) <-chan struct{}
}

// Durability of a Local batch.
type Durability uint8

const (
	Sync Durability = iota // durable on return
	Soon                   // durable within about a second
)

// LocalOp is one change of a Local batch. With Until set it deletes the keys from Key up to Until, exclusive; else a
// nil Value deletes Key.
type LocalOp struct {
	Key, Value []byte
	Until      []byte
	// a client's data: without space the batch is refused, while deletions and our own bookkeeping go on
	Refusable bool
}

// Local holds ordered bytes on this node, for companions, log indexes and the like; it will never be shared by a
// cluster. Each user owns a key prefix that ends with '/'.
type Local interface {
	Get(key []byte) ([]byte, bool, error)
	// Scan visits keys in [lo, hi), forward or in reverse, until visit returns false. k and v are valid during the call
	// only and must not be changed. The keys are those of one moment; visit may call the store. hi nil: no upper bound.
	Scan(lo, hi []byte, reverse bool, visit func(k, v []byte) bool) error
	// Apply applies ops atomically in order. ErrFull: one of them is Refusable and no space is left; nothing was
	// applied. ErrUnknown: the write failed and the store with it; what it holds shows when it is opened again.
	Apply(ctx context.Context, d Durability, ops ...LocalOp) error
}
