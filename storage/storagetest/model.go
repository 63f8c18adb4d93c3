package storagetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

var modelTests = []test{
	{"Log", func(t *testing.T, open func(testing.TB) Harness) {
		rapid.Check(t, func(rt *rapid.T) {
			m := &logModel{
				bench: &bench{Harness: open(t), t: rt, ctx: t.Context()}, shards: map[storage.Shard]*shardModel{},
				counters: map[storage.Shard]record.Position{},
			}
			defer m.bench.Store.Close()
			rt.Repeat(rapid.StateMachineActions(m))
		})
	}},
	{"Coord", func(t *testing.T, open func(testing.TB) Harness) {
		rapid.Check(t, func(rt *rapid.T) {
			m := &coordModel{
				bench: &bench{Harness: open(t), t: rt, ctx: t.Context()}, values: map[string]storage.Entry{},
			}
			defer m.bench.Store.Close()
			rt.Repeat(rapid.StateMachineActions(m))
		})
	}},
}

// logModel is a slow and obvious Log.
type logModel struct {
	bench    *bench
	shards   map[storage.Shard]*shardModel
	counters map[storage.Shard]record.Position // by the first shard of each five
	written  int
}

type shardModel struct {
	writer  storage.Writer   // the one that may write
	stale   []storage.Writer // fenced ones
	records []record.Record  // readable
	first   record.Position
	trim    record.Position // 0: nothing hidden
	last    record.Position
	closed  bool
}

func (s *shardModel) oldest() record.Position { return max(s.first, s.trim) }

func (s *shardModel) end() record.Position { return max(s.first, s.last+1) }

var someShard = rapid.Custom(func(t *rapid.T) storage.Shard {
	return storage.Shard{
		Stream: rapid.Uint32Range(1, 2).Draw(t, "stream"),
		Index:  record.ShardID(rapid.SampledFrom([]int{0, 1, 4, 5}).Draw(t, "index")),
	}
})

func counterOf(s storage.Shard) storage.Shard {
	return storage.Shard{Stream: s.Stream, Index: s.Index / 5}
}

// existing draws a shard that exists, or any shard when none does; s is nil then.
func (m *logModel) existing(t *rapid.T) (storage.Shard, *shardModel) {
	ids := slices.SortedFunc(maps.Keys(m.shards), func(a, b storage.Shard) int {
		return int(a.Stream)*100 + int(a.Index) - int(b.Stream)*100 - int(b.Index)
	})
	if len(ids) == 0 {
		return someShard.Draw(t, "shard"), nil
	}
	id := rapid.SampledFrom(ids).Draw(t, "shard")
	return id, m.shards[id]
}

func (m *logModel) CreateShard(t *rapid.T) {
	id := someShard.Draw(t, "shard")
	first := record.Position(rapid.IntRange(0, 60).Draw(t, "first"))
	err := m.bench.Store.Log().Create(m.bench.ctx, id, first)
	if m.shards[id] != nil {
		m.bench.want(err, storage.ErrExists)
		return
	}
	m.bench.must(err)
	s := &shardModel{first: max(first, 1)}
	m.shards[id] = s
	m.counters[counterOf(id)] = max(m.counters[counterOf(id)], s.first-1)
	s.writer = m.bench.acquire(id)
}

func (m *logModel) AcquireShard(t *rapid.T) {
	id, s := m.existing(t)
	w, end, err := m.bench.Store.Log().Acquire(m.bench.ctx, id)
	if s == nil {
		m.bench.want(err, storage.ErrNotFound)
		return
	}
	m.bench.must(err)
	m.bench.same("end", end, s.end())
	s.stale, s.writer = append(s.stale, s.writer), w
}

func (m *logModel) Append(t *rapid.T) {
	n := rapid.IntRange(1, 4).Draw(t, "batches")
	batches := make([]storage.Batch, n)
	want := make([]error, n)
	for i := range batches {
		id, s := m.existing(t)
		batches[i].Records = records(fmt.Sprint("r", m.written), rapid.IntRange(0, 5).Draw(t, "records"))
		m.written++
		if big := rapid.IntRange(0, 9).Draw(t, "big"); big == 0 && len(batches[i].Records) > 0 {
			batches[i].Records[0].Data = make([]byte, 300_000)
		}
		switch {
		case s == nil:
			batches[i].Writer, want[i] = storage.Writer{Shard: id, Epoch: 1}, storage.ErrNotFound
		case len(s.stale) > 0 && rapid.IntRange(0, 4).Draw(t, "stale") == 0:
			batches[i].Writer, want[i] = rapid.SampledFrom(s.stale).Draw(t, "writer"), storage.ErrFenced
		case s.closed:
			batches[i].Writer, want[i] = s.writer, storage.ErrShardClosed
		default:
			batches[i].Writer = s.writer
		}
	}

	errs := m.bench.Store.Log().Append(m.bench.ctx, batches)

	assigned := map[storage.Shard][]record.Position{}
	for i, b := range batches {
		m.bench.want(errs[i], want[i])
		if want[i] != nil {
			continue
		}
		s := m.shards[b.Writer.Shard]
		for j, r := range b.Records {
			if r.Pos <= s.last || j > 0 && r.Pos != b.Records[j-1].Pos+1 {
				t.Fatalf(
					"batch %d of %v: record %d got position %d after %d; want the batch consecutive and behind what was there",
					i, b.Writer.Shard, j, r.Pos, s.last,
				)
			}
			s.last = r.Pos
			c := counterOf(b.Writer.Shard)
			assigned[c] = append(assigned[c], r.Pos)
		}
		s.records = append(s.records, b.Records...)
	}
	for c, ps := range assigned {
		slices.Sort(ps)
		for i, p := range ps {
			if p != m.counters[c]+1+record.Position(i) {
				t.Fatalf("counter of %v stood at %d, then assigned %v", c, m.counters[c], ps)
			}
		}
		m.counters[c] = ps[len(ps)-1]
	}
}

func (m *logModel) Scan(t *rapid.T) {
	id, s := m.existing(t)
	from := record.Position(rapid.IntRange(0, 120).Draw(t, "from"))
	limit := storage.Limit{
		Records: rapid.IntRange(0, 6).Draw(t, "records"), Bytes: rapid.IntRange(0, 80).Draw(t, "bytes"),
	}
	var got []record.Record
	next, end, err := m.bench.Store.Log().Scan(
		m.bench.ctx, id, from, limit, func(r record.Record) { got = append(got, r) },
	)
	if s == nil {
		m.bench.want(err, storage.ErrNotFound)
		return
	}
	m.bench.must(err)
	if from < s.trim {
		if len(got) != 0 || next != max(from, 1) || end.Kind != storage.Trimmed || end.Oldest != s.trim {
			t.Fatalf("scan from %d, trimmed to %d: %d records, next %d, %+v", from, s.trim, len(got), next, end)
		}
		return
	}
	var want []record.Record
	wantNext, bytes, kind := max(from, 1), 0, storage.Tail
	if s.closed {
		kind = storage.ShardEnd
	}
	for _, r := range s.records {
		if r.Pos < from {
			continue
		}
		if len(want) > 0 &&
			(limit.Records > 0 && len(want) == limit.Records || limit.Bytes > 0 && bytes+r.Size() > limit.Bytes) {
			kind = storage.More
			break
		}
		want, wantNext, bytes = append(want, r), r.Pos+1, bytes+r.Size()
	}
	m.bench.sameRecords(got, want)
	if next != wantNext || end.Kind != kind {
		t.Fatalf("next %d, end %d; want %d, %d", next, end.Kind, wantNext, kind)
	}
}

func (m *logModel) Seek(t *rapid.T) {
	id, s := m.existing(t)
	at := record.MillisOf(m.bench.Clock.Now()) - record.Millis(rapid.IntRange(-10, 9000).Draw(t, "ago"))
	if s != nil && len(s.records) > 0 {
		at = rapid.SampledFrom(s.records).Draw(t, "record").Arrival + record.Millis(
			rapid.IntRange(-1, 1).Draw(t, "near"),
		)
	}
	pos, err := m.bench.Store.Log().Seek(m.bench.ctx, id, at)
	if s == nil {
		m.bench.want(err, storage.ErrNotFound)
		return
	}
	m.bench.must(err)
	m.bench.same("seek", pos, seekNaively(s.records, at, s.end()))
}

func (m *logModel) CloseShard(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") != 0 {
		return // closed shards are dull
	}
	id, s := m.existing(t)
	last, err := m.bench.Store.Log().Close(m.bench.ctx, id)
	if s == nil {
		m.bench.want(err, storage.ErrNotFound)
		return
	}
	m.bench.must(err)
	m.bench.same("last", last, s.last)
	s.closed = true
}

func (m *logModel) Trim(t *rapid.T) {
	id, s := m.existing(t)
	before := record.Position(rapid.IntRange(0, 150).Draw(t, "before"))
	err := m.bench.Store.Log().Trim(m.bench.ctx, id, before)
	if s == nil {
		m.bench.want(err, storage.ErrNotFound)
		return
	}
	m.bench.must(err)
	before = min(before, s.end())
	if len(s.records) > 0 && s.records[0].Pos < before {
		s.trim = before
		s.records = slices.DeleteFunc(slices.Clone(s.records), func(r record.Record) bool { return r.Pos < before })
	}
}

func (m *logModel) Delete(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "really") != 0 {
		return
	}
	stream := rapid.Uint32Range(1, 2).Draw(t, "stream")
	m.bench.must(m.bench.Store.Log().Delete(m.bench.ctx, stream))
	maps.DeleteFunc(m.shards, func(id storage.Shard, _ *shardModel) bool { return id.Stream == stream })
	maps.DeleteFunc(m.counters, func(id storage.Shard, _ record.Position) bool { return id.Stream == stream })
}

func (m *logModel) MoveTheClock(t *rapid.T) {
	m.bench.Clock.SetOffset(
		m.bench.Clock.Offset() + time.Duration(rapid.IntRange(-1500, 3000).Draw(t, "ms"))*time.Millisecond,
	)
}

func (m *logModel) Reopen(t *rapid.T) {
	if m.bench.Reopen == nil || rapid.IntRange(0, 2).Draw(t, "really") != 0 {
		return
	}
	m.bench.Store = m.bench.Reopen()
	for id, s := range m.shards {
		s.stale = append(s.stale, s.writer)
		s.writer = m.bench.acquire(id)
	}
}

// Check runs after every step.
func (m *logModel) Check(t *rapid.T) {
	for id, s := range m.shards {
		oldest, end, closed := m.bench.bounds(id)
		if oldest != s.oldest() || end != s.end() || closed != s.closed {
			t.Fatalf(
				"%v: bounds %d to %d, closed %v; want %d to %d, %v", id, oldest, end, closed, s.oldest(), s.end(),
				s.closed,
			)
		}
	}
}

// coordModel is a slow and obvious Coord.
type coordModel struct {
	bench   *bench
	values  map[string]storage.Entry
	highest storage.Revision
}

var someKey = rapid.StringMatching(`a/[abc]{0,2}`)

func (m *coordModel) Commit(t *rapid.T) {
	ops := make([]storage.Op, rapid.IntRange(0, 4).Draw(t, "ops"))
	after := maps.Clone(m.values)
	conflict := false
	const pending = storage.Any - 1 // the revision that this commit will get
	for i := range ops {
		key := someKey.Draw(t, "key")
		ops[i] = storage.Op{
			Key: key,
			Expect: rapid.SampledFrom([]storage.Revision{
				storage.Any, storage.Absent, m.values[key].Revision, m.highest,
			}).Draw(t, "expect"),
		}
		if rapid.IntRange(0, 3).Draw(t, "delete") != 0 {
			ops[i].Value = []byte(rapid.StringN(0, 5, -1).Draw(t, "value"))
		}
		if ops[i].Expect != storage.Any && ops[i].Expect != after[key].Revision {
			conflict = true
		}
		if delete(after, key); ops[i].Value != nil {
			after[key] = storage.Entry{Key: key, Value: ops[i].Value, Revision: pending}
		}
	}

	next, err := m.bench.Store.Coord().Commit(m.bench.ctx, "a/", ops...)

	if conflict {
		m.bench.want(err, storage.ErrConflict)
		return
	}
	m.bench.must(err)
	if len(ops) == 0 {
		return
	}
	if next <= m.highest {
		t.Fatalf("revision %d after %d", next, m.highest)
	}
	m.highest = next
	for k, e := range after {
		if e.Revision == pending {
			e.Revision = next
			after[k] = e
		}
	}
	m.values = after
}

func (m *coordModel) List(t *rapid.T) {
	prefix, after, n := rapid.StringMatching(`(a/?[abc]?)?`).Draw(t, "prefix"), rapid.StringMatching(
		`(a/[abc]{0,2}|b)?`,
	).Draw(t, "after"), rapid.IntRange(-1, 4).Draw(t, "n")
	var want []storage.Entry
	for _, k := range slices.Sorted(maps.Keys(m.values)) {
		if strings.HasPrefix(k, prefix) && k > after && (n <= 0 || len(want) < n) {
			want = append(want, m.values[k])
		}
	}
	got, err := m.bench.Store.Coord().List(m.bench.ctx, prefix, after, n)
	m.bench.must(err)
	m.bench.same("list", got, want)
}

func (m *coordModel) Get(t *rapid.T) {
	key := someKey.Draw(t, "key")
	e, err := m.bench.Store.Coord().Get(m.bench.ctx, key)
	m.bench.must(err)
	m.bench.same("value", e, m.values[key])
}

func (m *coordModel) Reopen(t *rapid.T) {
	if m.bench.Reopen != nil && rapid.IntRange(0, 4).Draw(t, "really") == 0 {
		m.bench.Store = m.bench.Reopen()
	}
}

func (m *coordModel) Check(t *rapid.T) {
	es, err := m.bench.Store.Coord().List(m.bench.ctx, "", "", 0)
	m.bench.must(err)
	if len(es) != len(m.values) {
		t.Fatalf("%d values, want %d", len(es), len(m.values))
	}
}
