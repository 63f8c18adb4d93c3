package kinesis

import (
	"context"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

type fakeStore struct {
	mu     sync.Mutex
	clock  *clock.Clock
	shards map[storage.Shard]*fakeShard
	next   map[[2]uint32]record.Position
	kv     map[string]storage.Entry
	rev    storage.Revision
}

type fakeShard struct {
	recs    []record.Record
	trimmed record.Position
	epoch   uint64
	closed  bool
	end     record.Position
	changed chan struct{}
}

func newFake(c *clock.Clock) *fakeStore {
	return &fakeStore{clock: c, shards: map[storage.Shard]*fakeShard{}, next: map[[2]uint32]record.Position{}, kv: map[string]storage.Entry{}}
}

func (f *fakeStore) Log() storage.Log     { return (*fakeLog)(f) }
func (f *fakeStore) Coord() storage.Coord { return (*fakeCoord)(f) }
func (f *fakeStore) Local() storage.Local { return nil }
func (f *fakeStore) Close() error         { return nil }

type fakeLog fakeStore

func (f *fakeLog) Create(_ context.Context, s storage.Shard, _ record.Position) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shards[s] != nil {
		return storage.ErrExists
	}
	f.shards[s] = &fakeShard{changed: make(chan struct{}), end: 1}
	return nil
}

func (f *fakeLog) Acquire(_ context.Context, s storage.Shard) (storage.Writer, record.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sh := f.shards[s]
	if sh == nil {
		return storage.Writer{}, 0, storage.ErrNotFound
	}
	sh.epoch++
	return storage.Writer{Shard: s, Epoch: sh.epoch}, sh.end, nil
}

func (f *fakeLog) Append(_ context.Context, batches []storage.Batch) []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := make([]error, len(batches))
	now := record.MillisOf(f.clock.Now())
	for i, b := range batches {
		sh := f.shards[b.Writer.Shard]
		switch {
		case sh == nil:
			errs[i] = storage.ErrNotFound
		case sh.epoch != b.Writer.Epoch:
			errs[i] = storage.ErrFenced
		case sh.closed:
			errs[i] = storage.ErrShardClosed
		default:
			g := [2]uint32{b.Writer.Shard.Stream, uint32(b.Writer.Shard.Index) / 5}
			for j := range b.Records {
				f.next[g]++
				r := &b.Records[j]
				r.Pos, r.Arrival = f.next[g], now
				c := *r
				c.Key, c.Data = strings.Clone(r.Key), append([]byte(nil), r.Data...)
				sh.recs = append(sh.recs, c)
				sh.end = r.Pos + 1
			}
			sh.wake()
		}
	}
	return errs
}

func (sh *fakeShard) wake() { close(sh.changed); sh.changed = make(chan struct{}) }

func (f *fakeLog) Scan(_ context.Context, s storage.Shard, from record.Position, limit storage.Limit, visit func(record.Record)) (record.Position, storage.End, error) {
	f.mu.Lock()
	sh := f.shards[s]
	if sh == nil {
		f.mu.Unlock()
		return from, storage.End{}, storage.ErrNotFound
	}
	recs, closed, trimmed := sh.recs, sh.closed, sh.trimmed
	f.mu.Unlock()
	if from < trimmed {
		return from, storage.End{Kind: storage.Trimmed, Oldest: trimmed}, nil
	}
	n, bytes, next := 0, 0, from
	for i := sort.Search(len(recs), func(i int) bool { return recs[i].Pos >= from }); i < len(recs); i++ {
		if limit.Records > 0 && n >= limit.Records || limit.Bytes > 0 && n > 0 && bytes+recs[i].Size() > limit.Bytes {
			return next, storage.End{Kind: storage.More}, nil
		}
		n++
		bytes += recs[i].Size()
		next = recs[i].Pos + 1
		visit(recs[i])
	}
	if closed {
		return next, storage.End{Kind: storage.ShardEnd}, nil
	}
	return next, storage.End{Kind: storage.Tail, Sealed: record.MillisOf(f.clock.Now())}, nil
}

func (f *fakeLog) Seek(_ context.Context, s storage.Shard, at record.Millis) (record.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sh := f.shards[s]
	if sh == nil {
		return 0, storage.ErrNotFound
	}
	for _, r := range sh.recs {
		if r.Arrival >= at && r.Pos >= sh.trimmed {
			return r.Pos, nil
		}
	}
	return sh.end, nil
}

func (f *fakeLog) Bounds(_ context.Context, s storage.Shard) (oldest, end record.Position, closed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sh := f.shards[s]
	if sh == nil {
		return 0, 0, false, storage.ErrNotFound
	}
	return max(sh.trimmed, 1), sh.end, sh.closed, nil
}

func (f *fakeLog) Close(_ context.Context, s storage.Shard) (record.Position, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sh := f.shards[s]
	if sh == nil {
		return 0, storage.ErrNotFound
	}
	sh.closed = true
	sh.wake()
	return sh.end - 1, nil
}

func (f *fakeLog) Trim(_ context.Context, s storage.Shard, before record.Position) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sh := f.shards[s]; sh != nil {
		sh.trimmed = max(sh.trimmed, before)
		sh.wake()
	}
	return nil
}

func (f *fakeLog) Delete(_ context.Context, stream uint32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s, sh := range f.shards {
		if s.Stream == stream {
			sh.wake()
			delete(f.shards, s)
		}
	}
	return nil
}

func (f *fakeLog) Changed(s storage.Shard) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if sh := f.shards[s]; sh != nil {
		return sh.changed
	}
	return closedFake
}

type fakeCoord fakeStore

func (f *fakeCoord) Get(_ context.Context, key string) (storage.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kv[key], nil
}

func (f *fakeCoord) List(_ context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []storage.Entry
	for k, e := range f.kv {
		if strings.HasPrefix(k, prefix) && k > after {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	if n > 0 && len(out) > n {
		out = out[:n]
	}
	return out, nil
}

func (f *fakeCoord) Commit(_ context.Context, _ string, ops ...storage.Op) (storage.Revision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, op := range ops {
		if op.Expect != storage.Any && f.kv[op.Key].Revision != op.Expect {
			return 0, storage.ErrConflict
		}
	}
	f.rev++
	for _, op := range ops {
		if op.Value == nil {
			delete(f.kv, op.Key)
		} else {
			f.kv[op.Key] = storage.Entry{Key: op.Key, Value: append([]byte(nil), op.Value...), Revision: f.rev}
		}
	}
	return f.rev, nil
}

func (f *fakeCoord) Changed(string) <-chan struct{} { return nil }

func newStore(_ *testing.T, c *clock.Clock) storage.Store { return newFake(c) }
func newFuzzStore(c *clock.Clock) storage.Store           { return newFake(c) }

var closedFake = func() chan struct{} { c := make(chan struct{}); close(c); return c }()
