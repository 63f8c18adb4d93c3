package sourcetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

var changeTests = []test{
	{"every change wakes all who have asked before it", wakes},
	{"a reader that asks before each read misses nothing, over reshards too", follow},
	{"a closed shard ends once its children are listed", ends},
	{"a shard that is closed and has no children yet is waited for", halfway},
	{"shards are listed by id and divide the keys", divided},
	{"a shard that was released is read on, and its readers are woken", released},
	{"a deleted stream is not found", deleted},
	{"a stream made again under its name is another one", again},
}

func wakes(t *testing.T, b *bench) {
	for _, c := range []struct {
		what   string
		do     func()
		listed bool // the list of shards also changes
	}{
		{"a put", func() { b.Put(numbered("r", 1)...) }, false},
		{"another put", func() { b.Put(numbered("r", 1)...) }, false},
		{"a split", func() { b.Split(first) }, true},
		{"the deletion", b.Delete, true},
	} {
		one, two := b.Changed(first), b.Changed(first)
		list, again := b.ShardsChanged(), b.ShardsChanged()
		c.do()
		b.soon(c.what+" wakes a reader", one)
		b.soon(c.what+" wakes the other reader", two)
		if c.listed {
			b.soon(c.what+" wakes who watches the list", list)
			b.soon(c.what+" wakes the other who watches the list", again)
		}
	}
}

// released lets go of a shard between reads, also of one that was not read, as a mapping does that is disabled.
func released(t *testing.T, b *bench) {
	b.Release(first)
	b.Put(numbered("a", 3)...)
	got := b.from(0, storage.Limit{})
	b.Release(first)
	b.Release(first)
	changed := b.Changed(first)
	b.Put(numbered("b", 2)...)
	b.soon("a put wakes a reader after a release", changed)
	if rest := b.from(got.next, storage.Limit{}); len(got.records) != 3 || len(rest.records) != 2 {
		t.Errorf("%d records before the release and %d after it", len(got.records), len(rest.records))
	}
	b.Release(first)
}

// follow polls as the engine does: a channel first, then the read; the list of shards in the same way.
func follow(t *testing.T, b *bench) {
	const rounds, each, splits = 240, 2, 4
	done := make(chan struct{})
	f := &follower{
		b: b, seen: map[string]record.ShardID{}, want: rounds * each, done: sync.OnceFunc(func() { close(done) }),
	}
	ctx, cancel := context.WithTimeout(t.Context(), eventually.Patience)
	f.work.Go(func() { f.watch(ctx) })
	for i := range rounds {
		if i%(rounds/splits) == rounds/splits/2 {
			b.Split(record.ShardID(i / (rounds / splits)))
		}
		b.Put(numbered(fmt.Sprint(i), each)...)
	}
	select {
	case <-done:
	case <-ctx.Done():
		t.Errorf("%d of %d records were read", f.count(), f.want)
	}
	cancel()
	f.work.Wait()
}

// follower reads every shard from its beginning on.
type follower struct {
	b    *bench
	work sync.WaitGroup
	want int
	done func() // called when want records were read

	mu   sync.Mutex
	seen map[string]record.ShardID // by data
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func (f *follower) watch(ctx context.Context) {
	started := map[record.ShardID]bool{}
	for {
		changed := f.b.ShardsChanged()
		list, err := f.b.Shards(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.b.t.Errorf("list: %v", err)
			return
		}
		for _, s := range list {
			if !started[s.ID] {
				started[s.ID] = true
				f.work.Go(func() { f.read(ctx, s) })
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (f *follower) read(ctx context.Context, s source.Shard) {
	for next := record.Position(0); ; {
		changed := f.b.Changed(s.ID)
		r, err := f.b.all(ctx, s.ID, next, storage.Limit{Records: 3})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			f.b.t.Error(err)
			return
		}
		f.take(s, r.records)
		next = r.next
		switch r.end.Kind {
		case storage.ShardEnd:
			list, err := f.b.Shards(ctx)
			if ctx.Err() == nil && (err != nil || len(children(list, s.ID)) == 0) {
				f.b.t.Errorf("%s has ended, and its children are not listed: %+v, %v", s.ID, list, err)
			}
			return
		case storage.Tail:
		default:
			f.b.t.Errorf("%s: a read ended with %d", s.ID, r.end.Kind)
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

func (f *follower) take(s source.Shard, records []record.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range records {
		r := &records[i]
		if other, twice := f.seen[string(r.Data)]; twice {
			f.b.t.Errorf("%.20q was read from %s and from %s", r.Data, other, s.ID)
		}
		if f.seen[string(r.Data)] = s.ID; !s.Range.Contains(r.HashKeyOf()) {
			f.b.t.Errorf("the key %q does not belong to %s", r.Key, s.ID)
		}
	}
	if len(f.seen) == f.want {
		f.done()
	}
}

// children returns the shards that wait for a parent.
func children(list []source.Shard, parent record.ShardID) (ids []record.ShardID) {
	for _, s := range list {
		if slices.Contains(s.Parents, parent) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func ends(t *testing.T, b *bench) {
	put := numbered("a", 10)
	b.Put(put...)
	b.Split(first)
	b.Put(numbered("b", 10)...)

	for _, limit := range []storage.Limit{{}, {Records: 1}, {Records: 10}, {Bytes: 1}} {
		r, err := b.all(t.Context(), first, 0, limit)
		if err == nil {
			err = same(r.records, put)
		}
		if err != nil || r.end.Kind != storage.ShardEnd {
			t.Errorf("%+v: %v; it ended with %d", limit, err, r.end.Kind)
		}
		if more := b.from(r.next, limit); len(more.records) != 0 || more.end.Kind != storage.ShardEnd {
			t.Errorf("behind the end: %+v", more)
		}
	}
	ids := children(b.shards(), first)
	if len(ids) != 2 {
		t.Fatalf("%d shards name the closed one as a parent, want 2", len(ids))
	}
	b.Split(ids[0]) // a shard without records, perhaps
	if r, err := b.all(t.Context(), ids[0], 0, storage.Limit{}); err != nil || r.end.Kind != storage.ShardEnd {
		t.Errorf("%s: %+v, %v", ids[0], r, err)
	}
	if list := b.shards(); !slices.ContainsFunc(list, func(s source.Shard) bool { return s.ID == first }) {
		t.Errorf("a closed shard whose records can be read is not listed: %+v", list)
	}
}

func halfway(t *testing.T, b *bench) {
	if b.HalfSplit == nil {
		return // close and children happen in one step
	}
	put := numbered("a", 3)
	b.Put(put...)
	tail := b.whole(0)
	finish := b.HalfSplit(first)
	changed := b.Changed(first)
	if r := b.from(tail.next, storage.Limit{}); r.end.Kind != storage.Tail {
		t.Errorf("before its children are there the shard ends with %+v", r.end)
	}
	finish()
	b.soon("the children are there", changed)
	if r := b.from(tail.next, storage.Limit{}); r.end.Kind != storage.ShardEnd ||
		len(children(b.shards(), first)) != 2 {
		t.Errorf("once they are there it ends with %+v, and the list is %+v", r.end, b.shards())
	}
}

func divided(t *testing.T, b *bench) {
	b.Split(first)
	list := b.shards()
	if !slices.IsSortedFunc(list, func(a, b source.Shard) int { return int(a.ID) - int(b.ID) }) || len(list) != 3 {
		t.Fatalf("shards %+v", list)
	}
	if len(list[0].Parents) != 0 {
		t.Errorf("the first shard has parents: %+v", list[0])
	}
	put := numbered("a", 50)
	b.Put(put...)
	n := 0
	for _, s := range list {
		r, err := b.all(t.Context(), s.ID, 0, storage.Limit{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.records {
			if !s.Range.Contains(r.records[i].HashKeyOf()) {
				t.Errorf("%s holds the key %q, which does not belong to it", s.ID, r.records[i].Key)
			}
		}
		n += len(r.records)
	}
	if n != len(put) {
		t.Errorf("%d records lie in the shards, want %d", n, len(put))
	}
}

func deleted(t *testing.T, b *bench) {
	b.Put(numbered("a", 3)...)
	b.Delete()
	b.wantGone()
}

func (b *bench) wantGone() {
	b.t.Helper()
	_, err := b.Shards(b.t.Context())
	b.gone("Shards", err)
	r, err := b.try(b.t.Context(), first, 0, storage.Limit{})
	b.gone("Read", err)
	if len(r.records) != 0 {
		b.t.Errorf("%d records of a deleted stream were visited", len(r.records))
	}
	_, err = b.Oldest(b.t.Context(), first)
	b.gone("Oldest", err)
}

func again(t *testing.T, b *bench) {
	if b.Again == nil {
		return // no other stream can be taken for it
	}
	b.Put(numbered("a", 3)...)
	b.Delete()
	b.Again()
	b.Put(numbered("b", 3)...)
	b.wantGone()
}
