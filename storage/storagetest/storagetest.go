// Package storagetest tests what storage.go promises: every storage backend passes this suite. Imported by tests only.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Harness is a fresh, empty store under test.
type Harness struct {
	Store storage.Store
	Clock *clock.Clock // the clock that Store uses
	// closes Store and opens its data again; nil when the backend keeps nothing. May be called once after each open
	Reopen func() storage.Store
}

// Run holds a backend to the contract. open makes a new store for each test; the suite closes it.
func Run(t *testing.T, open func(t testing.TB) Harness) {
	for _, part := range []struct {
		name  string
		tests []test
	}{
		{"Append", appendTests},
		{"Read", readTests},
		{"End", endTests},
		{"Coord", coordTests},
		{"Sure", sureTests},
		{"Local", localTests},
		{"Life", lifeTests},
		{"Model", modelTests},
	} {
		t.Run(part.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range part.tests {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, open)
				})
			}
		})
	}
}

type test struct {
	name string
	run  func(t *testing.T, open func(testing.TB) Harness)
}

// simple returns a test that needs only one store.
func simple(name string, run func(t *testing.T, h *bench)) test {
	return test{name, func(t *testing.T, open func(testing.TB) Harness) { run(t, newBench(t, open)) }}
}

// bench is a store with the verbs of the tests. A verb that fails ends the test.
type bench struct {
	Harness
	t   failer
	ctx context.Context
}

// failer is what testing.T and rapid.T share.
type failer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func newBench(t *testing.T, open func(testing.TB) Harness) *bench {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	b := &bench{Harness: open(t), t: t, ctx: ctx}
	t.Cleanup(func() {
		cancel()
		if err := b.Store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

func shardAt(index record.ShardID) storage.Shard { return storage.Shard{Stream: 7, Index: index} }

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("unexpected error: %v", err)
	}
}

func (b *bench) want(err, want error) {
	b.t.Helper()
	if !errors.Is(err, want) {
		b.t.Fatalf("error is %v, want %v", err, want)
	}
}

// expect is want for a test's goroutines: it does not end the test.
func (b *bench) expect(err, want error) {
	b.t.Helper()
	if !errors.Is(err, want) {
		b.t.Errorf("error is %v, want %v", err, want)
	}
}

// create makes a shard and acquires it.
func (b *bench) create(shard storage.Shard) storage.Writer {
	b.t.Helper()
	b.must(b.Store.Log().Create(b.ctx, shard, 0))
	return b.acquire(shard)
}

func (b *bench) acquire(shard storage.Shard) storage.Writer {
	b.t.Helper()
	w, _, err := b.Store.Log().Acquire(b.ctx, shard)
	b.must(err)
	return w
}

// records returns n small records with different data.
func records(name string, n int) []record.Record {
	rs := make([]record.Record, n)
	for i := range rs {
		rs[i] = record.Record{Key: fmt.Sprintf("key-%d", i%3), Data: fmt.Appendf(nil, "%s/%d", name, i)}
	}
	return rs
}

// put appends and returns the records as they now are.
func (b *bench) put(w storage.Writer, rs []record.Record) []record.Record {
	b.t.Helper()
	b.must(b.tryPut(w, rs))
	return rs
}

func (b *bench) tryPut(w storage.Writer, rs []record.Record) error {
	return b.Store.Log().Append(b.ctx, []storage.Batch{{Writer: w, Records: rs}})[0]
}

// scan reads from from until limit.
func (b *bench) scan(shard storage.Shard, from record.Position, limit storage.Limit) (
	[]record.Record, record.Position, storage.End,
) {
	b.t.Helper()
	var rs []record.Record
	next, end, err := b.Store.Log().Scan(b.ctx, shard, from, limit, func(r record.Record) { rs = append(rs, r) })
	b.must(err)
	return rs, next, end
}

// all reads the whole shard from its oldest record on.
func (b *bench) all(shard storage.Shard) []record.Record {
	b.t.Helper()
	oldest, _, _ := b.bounds(shard)
	rs, _, _ := b.scan(shard, oldest, storage.Limit{})
	return rs
}

func (b *bench) bounds(shard storage.Shard) (oldest, end record.Position, closed bool) {
	b.t.Helper()
	oldest, end, closed, err := b.Store.Log().Bounds(b.ctx, shard)
	b.must(err)
	return oldest, end, closed
}

func (b *bench) seek(shard storage.Shard, at record.Millis) record.Position {
	b.t.Helper()
	pos, err := b.Store.Log().Seek(b.ctx, shard, at)
	b.must(err)
	return pos
}

func (b *bench) same(what string, got, want any) {
	b.t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		b.t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

// sameRecords is same for records, faster than cmp, which would compare byte by byte.
func (b *bench) sameRecords(got, want []record.Record) {
	b.t.Helper()
	equal := slices.EqualFunc(got, want, func(x, y record.Record) bool {
		return x.Pos == y.Pos && x.Arrival == y.Arrival && x.Key == y.Key && x.Explicit == y.Explicit &&
			x.Hash == y.Hash && bytes.Equal(x.Data, y.Data)
	})
	if !equal {
		b.t.Fatalf("records are %.2000v, want %.2000v", got, want)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
