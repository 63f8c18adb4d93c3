// Package sourcetest tests what package source promises to the poller of a stream. Every kind of source passes, and so
// does every fake of a source in other rooms' tests. Imported by tests only.
package sourcetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// Bench is a source of a stream with one open shard and no records, with what a test does to the stream. The verbs
// return once they are in effect, and end the test if they fail.
type Bench struct {
	source.Source
	Put       func(records ...record.Record) // into the open shards that their keys belong to
	Split     func(id record.ShardID)        // closes a shard and puts two in its place
	Delete    func()                         // deletes the stream
	Again     func()                         // creates a stream of the same name; nil: this one has no name
	Now       func() record.Millis           // the clock by which records arrive and expire
	Advance   func(d time.Duration)          // moves Now; d may be negative
	Retention time.Duration
	// returns the identifiers that a function finds in a payload, in order
	// Items returns the identifiers that a function finds in a payload, in order. nil: that is judged elsewhere.
	Items func(payload []byte) ([]string, error)

	// HalfSplit begins a split and returns when the shard is closed and its children do not exist yet; finish completes
	// it. nil: there is no such moment.
	HalfSplit func(id record.ShardID) (finish func())
	// Hold makes syncs block. reached is closed when a put waits for one, release lets it go on. nil: a store without a
	// disk.
	Hold func() (reached <-chan struct{}, release func())
}

type test struct {
	name string
	run  func(t *testing.T, b *bench)
}

// Run runs the suite on what open makes, a new one for each test.
func Run(t *testing.T, open func(t *testing.T) *Bench) {
	for _, part := range []struct {
		name  string
		tests []test
	}{{"reads", readTests}, {"retention", retentionTests}, {"changes", changeTests}, {"formats", formatTests}} {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.tests {
				t.Run(c.name, func(t *testing.T) { c.run(t, &bench{open(t), t}) })
			}
		})
	}
}

// bench is a Bench with the verbs of the tests.
type bench struct {
	*Bench
	t *testing.T
}

// first is the stream's first shard.
const first record.ShardID = 0

// read is the result of one Read, with a copy of the visited records.
type read struct {
	records []record.Record
	next    record.Position
	end     storage.End
}

// from reads the first shard once from p on; a failure ends the test.
func (b *bench) from(p record.Position, limit storage.Limit) read {
	b.t.Helper()
	r, err := b.try(b.t.Context(), first, p, limit)
	if err != nil {
		b.t.Fatalf("read from %d: %v", p, err)
	}
	return r
}

// whole reads the first shard from a position to its tail or end; a failure ends the test.
func (b *bench) whole(p record.Position) read {
	b.t.Helper()
	r, err := b.all(b.t.Context(), first, p, storage.Limit{})
	if err != nil {
		b.t.Fatalf("read from %d on: %v", p, err)
	}
	return r
}

func (b *bench) try(
	ctx context.Context, id record.ShardID, p record.Position, limit storage.Limit,
) (r read, err error) {
	r.next, r.end, err = b.Read(ctx, id, p, limit, func(rec record.Record) { r.records = append(r.records, rec) })
	return r, err
}

// all reads a shard from a position to its tail or end, in reads of any length, and returns an error if reads
// contradict each other. It does not end the test, so it may run on another goroutine.
func (b *bench) all(ctx context.Context, id record.ShardID, p record.Position, limit storage.Limit) (read, error) {
	sum := read{next: p}
	for {
		r, err := b.try(ctx, id, sum.next, limit)
		if err != nil {
			return sum, err
		}
		if err := r.check(sum.next, limit); err != nil {
			return sum, fmt.Errorf("%s, read from %d with %+v: %w", id, sum.next, limit, err)
		}
		sum.records, sum.next, sum.end = append(sum.records, r.records...), r.next, r.end
		if r.end.Kind != storage.More {
			return sum, nil
		}
	}
}

// check checks that one read is consistent with itself.
func (r *read) check(from record.Position, limit storage.Limit) error {
	last, size := record.Position(0), 0
	for i := range r.records {
		p := r.records[i].Pos
		if p < from || p <= last {
			return fmt.Errorf("position %d after %d", p, last)
		}
		last, size = p, size+r.records[i].Size()
	}
	n := len(r.records)
	switch {
	case limit.Records > 0 && n > limit.Records:
		return fmt.Errorf("%d records", n)
	case limit.Bytes > 0 && n > 1 && size > limit.Bytes:
		return fmt.Errorf("%d records of %d bytes", n, size)
	case n > 0 && r.next != last+1 || n == 0 && r.next != max(from, 1) && r.next != from:
		return fmt.Errorf("the last record is at %d, and it goes on at %d", last, r.next)
	case r.end.Kind == storage.More && n == 0:
		return fmt.Errorf("more is to come, and nothing was visited")
	case r.end.Kind < storage.More || r.end.Kind > storage.Trimmed:
		return fmt.Errorf("it ended with %d", r.end.Kind)
	}
	return nil
}

// same returns an error unless got are the records that were put, in order.
func same(got, put []record.Record) error {
	for i := range max(len(got), len(put)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("%d records of %d; missing from %.20q on", len(got), len(put), put[i].Data)
		case i >= len(put):
			return fmt.Errorf("%d records more than were put: %.20q", len(got)-len(put), got[i].Data)
		case got[i].Key != put[i].Key || !bytes.Equal(got[i].Data, put[i].Data):
			return fmt.Errorf(
				"record %d is %q, %.20q; want %q, %.20q", i, got[i].Key, got[i].Data, put[i].Key, put[i].Data,
			)
		}
	}
	return nil
}

// numbered returns n records of a few bytes under a few keys, whose data begin with name and their number.
func numbered(name string, n int) []record.Record {
	out := make([]record.Record, n)
	for i := range out {
		out[i] = record.Record{
			Key:  fmt.Sprintf("key-%d", i%5),
			Data: fmt.Appendf(nil, "%s/%d/%s", name, i, bytes.Repeat([]byte("x"), i*7%40)),
		}
	}
	return out
}

// shards lists the shards; a failure ends the test.
func (b *bench) shards() []source.Shard {
	b.t.Helper()
	list, err := b.Shards(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// oldest returns the oldest position of the first shard.
func (b *bench) oldest() record.Position {
	b.t.Helper()
	p, err := b.Oldest(b.t.Context(), first)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// soon waits until ch is closed.
func (b *bench) soon(what string, ch <-chan struct{}) {
	b.t.Helper()
	eventually.Comes(b.t, what, ch)
}

// gone fails the test unless err says that the stream or shard does not exist.
func (b *bench) gone(what string, err error) {
	b.t.Helper()
	if fault.CodeOf(err) != fault.CodeNotFound {
		b.t.Errorf("%s: %v, want %s", what, err, fault.CodeNotFound)
	}
}
