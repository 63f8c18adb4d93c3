package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

var readTests = []test{
	simple("LimitsBoundAScan", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		in := make([]record.Record, 10)
		for i := range in {
			in[i] = record.Record{Key: "12345", Data: make([]byte, 95)} // 100 bytes each
		}
		b.put(w, in[:4])
		b.put(w, in[4:])
		for _, c := range []struct {
			from  record.Position
			limit storage.Limit
			n     int
			kind  storage.EndKind
		}{
			{1, storage.Limit{}, 10, storage.Tail},
			{1, storage.Limit{Records: 3}, 3, storage.More},
			{3, storage.Limit{Records: 3}, 3, storage.More}, // across the two appends
			{8, storage.Limit{Records: 3}, 3, storage.Tail}, // nothing is left, and the end says so
			{1, storage.Limit{Bytes: 300}, 3, storage.More},
			{1, storage.Limit{Bytes: 399}, 3, storage.More},
			{1, storage.Limit{Bytes: 1}, 1, storage.More}, // at least one
			{1, storage.Limit{Records: 5, Bytes: 200}, 2, storage.More},
			{0, storage.Limit{Records: 2}, 2, storage.More}, // 0 is before the first record
			{11, storage.Limit{}, 0, storage.Tail},
			{500, storage.Limit{}, 0, storage.Tail},
		} {
			rs, next, end := b.scan(w.Shard, c.from, c.limit)
			wantNext := max(c.from, 1) + record.Position(c.n)
			if len(rs) != c.n || end.Kind != c.kind || next != wantNext {
				t.Errorf(
					"scan from %d, %+v: %d records, next %d, end %d; want %d, %d, %d", c.from, c.limit, len(rs), next,
					end.Kind, c.n, wantNext, c.kind,
				)
			}
		}
	}),
	simple("SeekFindsTheFirstArrivalAtOrAfter", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		if p := b.seek(w.Shard, 0); p != 1 {
			t.Fatalf("seek in an empty shard gave %d, want 1", p)
		}
		var in []record.Record
		for range 40 {
			in = append(in, b.put(w, records("r", 3))...) // equal arrivals within each batch
			b.Clock.SetOffset(b.Clock.Offset() + 700*time.Millisecond)
		}
		check := func(rs []record.Record) {
			t.Helper()
			for _, at := range instants(in) {
				if got, want := b.seek(w.Shard, at), seekNaively(rs, at, in[len(in)-1].Pos+1); got != want {
					t.Fatalf("seek %d: position %d, want %d", at, got, want)
				}
			}
		}
		check(in)
		b.must(b.Store.Log().Trim(b.ctx, w.Shard, in[50].Pos))
		check(in[50:])
	}),
	simple("SeekWhenTheClockStepsBack", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		var in []record.Record
		for i := range 60 {
			step := 500 * time.Millisecond
			if i%10 == 9 {
				step = -4 * time.Second
			}
			in = append(in, b.put(w, records("r", 1+i%2))...)
			b.Clock.SetOffset(b.Clock.Offset() + step)
		}
		if in[0].Arrival > in[len(in)-1].Arrival {
			t.Fatal("the test means to end later than it began")
		}
		for _, trim := range []int{0, 30, 55} {
			b.must(b.Store.Log().Trim(b.ctx, w.Shard, in[trim].Pos))
			for _, at := range instants(in) {
				if got, want := b.seek(w.Shard, at), seekNaively(in[trim:], at, in[len(in)-1].Pos+1); got != want {
					t.Fatalf("trimmed %d, seek %d: position %d, want %d", trim, at, got, want)
				}
			}
		}
	}),
	simple("SeekFindsWhatArrivedBeforeTheClockSteppedBackAfterTrimAndReopen", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		b.put(w, records("trimmed", 1))
		b.must(b.Store.Log().Trim(b.ctx, w.Shard, record.MaxPosition))
		b.Clock.SetOffset(500 * time.Millisecond) // a backend may index arrivals once a second
		in := b.put(w, records("r", 1))[0]
		b.Clock.SetOffset(-time.Hour)
		later := b.put(w, records("later", 1))[0]
		if later.Arrival >= in.Arrival {
			t.Fatalf("the test means to have arrival %d after a later one, %d", later.Arrival, in.Arrival)
		}
		if b.Reopen != nil {
			b.Store = b.Reopen()
		}
		for at, want := range map[record.Millis]record.Position{
			later.Arrival: in.Pos, in.Arrival: in.Pos, in.Arrival + 1: later.Pos + 1,
		} {
			if got := b.seek(w.Shard, at); got != want {
				t.Errorf("seek %d: position %d, want %d", at, got, want)
			}
		}
	}),
	simple("SealedIsKeptEvenWhenTheClockStepsBack", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		b.Clock.SetOffset(time.Hour)
		_, _, end := b.scan(w.Shard, 1, storage.Limit{})
		if now := record.MillisOf(b.Clock.Now()); end.Kind != storage.Tail || end.Sealed > now ||
			end.Sealed < now-60_000 {
			t.Fatalf("end %+v at %d; want a tail sealed up to now", end, now)
		}
		b.Clock.SetOffset(0)
		if r := b.put(w, records("r", 1))[0]; r.Arrival < end.Sealed {
			t.Fatalf("a record arrived at %d although nothing before %d could", r.Arrival, end.Sealed)
		}
	}),
	simple("SealedMovesOnAfterAnAppend", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		for i := range 2 {
			arrival := b.put(w, records("r", 1))[0].Arrival
			b.Clock.SetOffset(b.Clock.Offset() + time.Hour)
			_, _, end := b.scan(w.Shard, 1, storage.Limit{})
			if want := arrival + record.Millis(time.Hour.Milliseconds()); end.Sealed < want {
				t.Fatalf("after %d appends and an hour the tail is sealed up to %d, want %d or later", i+1, end.Sealed, want)
			}
		}
	}),
	simple("TrimHidesAtOnceAndNeverMovesBack", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		for range 5 {
			b.put(w, records("r", 10))
		}
		log := b.Store.Log()
		b.must(log.Trim(b.ctx, w.Shard, 1))
		if rs, _, end := b.scan(w.Shard, 1, storage.Limit{}); len(rs) != 50 || end.Kind != storage.Tail {
			t.Fatalf("after a trim that hides nothing: %d records, end %d", len(rs), end.Kind)
		}
		for _, before := range []record.Position{24, 24, 5, 0} { // twice, then backwards
			b.must(log.Trim(b.ctx, w.Shard, before))
			rs, next, end := b.scan(w.Shard, 23, storage.Limit{})
			if len(rs) != 0 || next != 23 || end.Kind != storage.Trimmed || end.Oldest != 24 {
				t.Fatalf(
					"trim %d, scan from 23: %d records, next %d, %+v; want nothing, trimmed up to 24", before, len(rs),
					next, end,
				)
			}
			rs, _, _ = b.scan(w.Shard, 24, storage.Limit{})
			if oldest, _, _ := b.bounds(w.Shard); oldest != 24 || len(rs) != 27 || rs[0].Pos != 24 {
				t.Fatalf("trim %d: oldest %d, %d records from 24 on; want 24, 27", before, oldest, len(rs))
			}
		}
		// beyond the end counts as the end: later records stay readable
		b.must(log.Trim(b.ctx, w.Shard, record.MaxPosition))
		if oldest, end, _ := b.bounds(w.Shard); oldest != 51 || end != 51 {
			t.Fatalf("all trimmed: bounds %d to %d, want 51 to 51", oldest, end)
		}
		b.put(w, records("later", 1))
		if rs := b.all(w.Shard); len(rs) != 1 || rs[0].Pos != 51 {
			t.Fatalf("after trimming all, %d records are readable, want the new one", len(rs))
		}
	}),
	simple("AReadOfWhatIsTrimmedMeanwhileLeavesNothingOut", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		for range 4 {
			b.put(w, records("r", 2))
		}
		trim := func() { b.must(b.Store.Log().Trim(b.ctx, w.Shard, 7)) }
		for _, limit := range []storage.Limit{{Records: 1}, {Bytes: 1}, {Records: 4}} {
			from, end := record.Position(1), storage.End{}
			var err error
			visits := 0
			if from, end, err = b.Store.Log().Scan(b.ctx, w.Shard, from, limit, func(record.Record) {
				if visits++; visits == 1 {
					trim()
				}
			}); err != nil || visits == 0 || end.Kind != storage.More {
				t.Fatalf("limit %+v: %d visits, next %d, end %d, %v; want more to follow", limit, visits, from, end.Kind, err)
			}
			if _, next, end := b.scan(w.Shard, from, storage.Limit{}); from < 7 &&
				(end.Kind != storage.Trimmed || end.Oldest != 7 || next != from) {
				t.Fatalf("limit %+v: the scan behind it: next %d, %+v; want trimmed up to 7", limit, next, end)
			}
			w = b.create(shardAt(w.Shard.Index + 5)) // a group of its own, whose positions begin at 1
			for range 4 {
				b.put(w, records("r", 2))
			}
		}
	}),
	simple("ASeekOfWhatIsTrimmedMeanwhileFindsTheOldest", func(t *testing.T, b *bench) {
		for at := range 6 {
			w := b.create(shardAt(record.ShardID(5 * at)))
			first := b.put(w, records("trimmed", 2))[0]
			b.put(w, records("kept", 2))
			trim := func() { b.must(b.Store.Log().Trim(b.ctx, w.Shard, 3)) }
			ctx := &askedContext{Context: b.ctx, left: at, then: trim}
			pos, err := b.Store.Log().Seek(ctx, w.Shard, first.Arrival)
			if err != nil || pos != 1 && pos != 3 {
				t.Fatalf("trimmed when asked for the %dth time: position %d, %v; want 1, or 3", at, pos, err)
			}
		}
	}),
	simple("SeekKnowsEachMillisecondAfterReopening", func(t *testing.T, b *bench) {
		var in []record.Record
		gaps := []time.Duration{999, 1000, 1001, 1999} // milliseconds; a backend may index arrivals once a second
		for i := range gaps {
			w := b.create(shardAt(record.ShardID(i)))
			b.put(w, records("first", 1))
			b.Clock.SetOffset(b.Clock.Offset() + gaps[i]*time.Millisecond)
			in = append(in, b.put(w, records("r", 1))[0])
			b.Clock.SetOffset(b.Clock.Offset() - time.Hour)
			b.put(w, records("last", 1))
		}
		if b.Reopen != nil {
			b.Store = b.Reopen()
		}
		for i, r := range in {
			if got := b.seek(shardAt(record.ShardID(i)), r.Arrival); got != r.Pos {
				t.Errorf("%d ms after the first: position %d, want %d", gaps[i], got, r.Pos)
			}
		}
	}),
	simple("RecordsStayValidAfterTrim", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		b.put(w, records("r", 100))
		rs := b.all(w.Shard)
		b.must(b.Store.Log().Trim(b.ctx, w.Shard, 101))
		for i := range 100 {
			b.put(w, records("other", 1+i))
		}
		b.same("records held by a reader", rs, func() []record.Record {
			want := records("r", 100)
			for i := range want {
				want[i].Pos, want[i].Arrival = record.Position(i+1), rs[i].Arrival
			}
			return want
		}())
	}),
	simple("ChangedFiresAtAppendCloseTrimAndDelete", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		log := b.Store.Log()
		for _, c := range []struct {
			what string
			do   func()
		}{
			{"append", func() { b.put(w, records("r", 2)) }},
			{"trim", func() { b.must(log.Trim(b.ctx, w.Shard, 2)) }},
			{"close", func() { _, err := log.Close(b.ctx, w.Shard); b.must(err) }},
			{"delete", func() { b.must(log.Delete(b.ctx, w.Shard.Stream)) }},
		} {
			changed := log.Changed(w.Shard)
			if isClosed(changed) {
				t.Fatalf("woken before %s", c.what)
			}
			c.do()
			if !isClosed(changed) {
				t.Fatalf("not woken by %s", c.what)
			}
		}
	}),
}

// askedContext calls then when it is asked for its error for the left-th time: between two steps of a call.
type askedContext struct {
	context.Context
	left int
	then func()
}

func (c *askedContext) Err() error {
	if c.left--; c.left == -1 {
		c.then()
	}
	return c.Context.Err()
}

// instants are all arrivals and the milliseconds around them.
func instants(rs []record.Record) []record.Millis {
	at := []record.Millis{0, rs[len(rs)-1].Arrival + 1_000_000}
	for _, r := range rs {
		at = append(at, r.Arrival-1, r.Arrival, r.Arrival+1)
	}
	return at
}

func seekNaively(rs []record.Record, at record.Millis, end record.Position) record.Position {
	for _, r := range rs {
		if r.Arrival >= at {
			return r.Pos
		}
	}
	return end
}
