package storagetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

var appendTests = []test{
	simple("RecordsComeBackAsTheyWere", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // larger than any block or chunk
		in := []record.Record{
			{Key: "a", Data: []byte("first")},
			{Key: "", Data: nil},
			{Key: "ключ", Hash: record.MaxHashKey, Explicit: true, Data: []byte{}},
			{Key: "big", Data: big},
			{Key: "zero", Hash: record.HashKey{}, Explicit: true, Data: []byte{0}},
		}
		for i := range 3000 {
			in = append(in, record.Record{Key: fmt.Sprint(i), Data: big[:i%700]})
		}
		before := record.MillisOf(b.Clock.Now())
		b.put(w, in)
		after := record.MillisOf(b.Clock.Now())

		out := b.all(w.Shard)
		if len(out) != len(in) {
			t.Fatalf("%d records came back, want %d", len(out), len(in))
		}
		for i, r := range out {
			want := in[i]
			if r.Pos != record.Position(i+1) || want.Pos != r.Pos || r.Arrival != want.Arrival || r.Arrival < before ||
				r.Arrival > after {
				t.Fatalf(
					"record %d: position %d, arrival %d; Append said %d, %d; clock between %d and %d", i, r.Pos,
					r.Arrival, want.Pos, want.Arrival, before, after,
				)
			}
			if r.Key != want.Key || r.Explicit != want.Explicit || r.Hash != want.Hash ||
				!bytes.Equal(r.Data, want.Data) {
				t.Fatalf("record %d: got %.80v, want %.80v", i, r, want)
			}
		}
	}),
	simple("KeyAndDataAreCopied", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		data := []byte("mine")
		b.put(w, []record.Record{{Key: "k", Data: data}})
		copy(data, "XXXX")
		if got := string(b.all(w.Shard)[0].Data); got != "mine" {
			t.Fatalf("data is %q after the caller reused its bytes", got)
		}
	}),
	// D-11: production no longer counts this way, but clients written for earlier emulators do.
	simple("FiveShardsOfAStreamShareOneCounter", func(t *testing.T, b *bench) {
		writers := []storage.Writer{b.create(shardAt(0)), b.create(shardAt(1)), b.create(shardAt(4))}
		other := b.create(shardAt(5))
		elsewhere := b.create(storage.Shard{Stream: 8})

		positions := make([]record.Position, 200)
		var all sync.WaitGroup
		for i := range positions {
			all.Go(func() {
				rs := records("r", 1)
				if err := b.tryPut(writers[i%len(writers)], rs); err != nil {
					t.Errorf("put: %v", err)
				}
				positions[i] = rs[0].Pos
			})
		}
		all.Wait()

		slices.Sort(positions)
		for i, p := range positions {
			if p != record.Position(i+1) {
				t.Fatalf("200 puts got the positions %v; want 1 to 200", positions)
			}
		}
		for _, w := range []storage.Writer{other, elsewhere} {
			if p := b.put(w, records("r", 1))[0].Pos; p != 1 {
				t.Fatalf("shard %v begins at %d, want 1: it counts for itself", w.Shard, p)
			}
		}
	}),
	simple("CreateRaisesTheCounter", func(t *testing.T, b *bench) {
		parent := b.create(shardAt(0))
		b.put(parent, records("p", 3))
		child := shardAt(1)
		b.must(b.Store.Log().Create(b.ctx, child, 100))
		w, end, err := b.Store.Log().Acquire(b.ctx, child)
		b.must(err)
		oldest, boundsEnd, closed := b.bounds(child)
		if end != 100 || oldest != 100 || boundsEnd != 100 || closed {
			t.Fatalf(
				"empty child: end %d, bounds %d to %d, closed %v; want 100 throughout, open", end, oldest, boundsEnd,
				closed,
			)
		}
		rs := b.put(w, records("c", 2))
		if rs[0].Pos != 100 || rs[1].Pos != 101 {
			t.Fatalf("first positions are %d, %d; want 100, 101", rs[0].Pos, rs[1].Pos)
		}
		if p := b.put(parent, records("p", 1))[0].Pos; p != 102 {
			t.Fatalf("next position of the group is %d, want 102", p)
		}
		got, _, end2 := b.scan(child, 1, storage.Limit{})
		if len(got) != 2 || end2.Kind != storage.Tail {
			t.Fatalf(
				"reading from below the first position gave %d records, end %d; want both: nothing was trimmed",
				len(got), end2.Kind,
			)
		}
		b.want(b.Store.Log().Create(b.ctx, child, 1), storage.ErrExists)
		if err := b.Store.Log().Create(b.ctx, shardAt(9), record.MaxPosition+1); err == nil {
			t.Fatal("a first position above the largest was accepted")
		}
	}),
	simple("PositionsEndBelowTwoToThe63", func(t *testing.T, b *bench) {
		b.must(b.Store.Log().Create(b.ctx, shardAt(0), record.MaxPosition))
		w := b.acquire(shardAt(0))
		if b.tryPut(w, records("r", 2)) == nil {
			t.Fatal("two records fitted where one position is left")
		}
		b.put(w, records("r", 1))
		if b.tryPut(w, records("r", 1)) == nil {
			t.Fatal("a record fitted behind the last position")
		}
		if n := len(b.all(w.Shard)); n != 1 {
			t.Fatalf("%d records, want 1", n)
		}
	}),
	simple("EveryBatchHasItsOwnResult", func(t *testing.T, b *bench) {
		open, shut, stale := b.create(shardAt(0)), b.create(shardAt(1)), b.create(shardAt(2))
		_, err := b.Store.Log().Close(b.ctx, shut.Shard)
		b.must(err)
		b.acquire(stale.Shard)
		missing := storage.Writer{Shard: shardAt(3), Epoch: 1}

		errs := b.Store.Log().Append(b.ctx, []storage.Batch{
			{Writer: open, Records: records("a", 2)},
			{Writer: shut, Records: records("b", 1)},
			{Writer: stale, Records: records("c", 1)},
			{Writer: missing, Records: records("d", 1)},
			{Writer: open, Records: nil},
			{Writer: open, Records: records("e", 1)},
		})

		for i, want := range []error{nil, storage.ErrShardClosed, storage.ErrFenced, storage.ErrNotFound, nil, nil} {
			b.want(errs[i], want)
		}
		if n := len(b.all(open.Shard)); n != 3 {
			t.Fatalf("the open shard has %d records, want 3", n)
		}
		if n := len(b.all(shut.Shard)) + len(b.all(stale.Shard)); n != 0 {
			t.Fatalf("%d records of refused batches are there", n)
		}
		if errs := b.Store.Log().Append(b.ctx, nil); len(errs) != 0 {
			t.Fatalf("appending nothing gave %v", errs)
		}
	}),
	simple("AReaderSeesABatchWholeOrNotAtAll", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		const batch, rounds = 50, 15
		data := bytes.Repeat([]byte("x"), 20_000) // 1 MB per batch: several blocks, several chunks
		go func() {
			for range rounds {
				rs := records("r", batch)
				for i := range rs {
					rs[i].Data = data
				}
				if err := b.tryPut(w, rs); err != nil {
					t.Errorf("put: %v", err)
					return
				}
			}
		}()
		for next := record.Position(1); next <= batch*rounds; {
			changed := b.Store.Log().Changed(w.Shard)
			rs, n, _ := b.scan(w.Shard, next, storage.Limit{})
			if len(rs)%batch != 0 {
				t.Fatalf("a reader saw %d records, part of a batch", len(rs))
			}
			if next = n; len(rs) == 0 {
				<-changed
			}
		}
	}),
	simple("ATailingReaderMissesNothing", func(t *testing.T, b *bench) {
		const writers, rounds = 8, 60
		w := b.create(shardAt(0))
		acked := make(chan []record.Record, writers*rounds)
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for j := range rounds {
					rs := records(fmt.Sprintf("%d-%d", i, j), 1+j%4)
					if err := b.tryPut(w, rs); err != nil {
						t.Errorf("put: %v", err)
						return
					}
					acked <- rs
				}
			})
		}
		go func() {
			all.Wait()
			close(acked)
			if _, err := b.Store.Log().Close(b.ctx, w.Shard); err != nil {
				t.Errorf("close: %v", err)
			}
		}()

		var seen []record.Record
		var sealed record.Millis
		for next, open := record.Position(1), true; open; {
			changed := b.Store.Log().Changed(w.Shard)
			rs, n, end := b.scan(w.Shard, next, storage.Limit{Records: 7})
			for _, r := range rs {
				if r.Arrival < sealed {
					t.Fatalf("position %d arrived at %d, but the shard was sealed up to %d", r.Pos, r.Arrival, sealed)
				}
			}
			seen, next = append(seen, rs...), n
			switch end.Kind {
			case storage.Tail:
				sealed = end.Sealed
				<-changed
			case storage.ShardEnd:
				open = false
			case storage.More, storage.Trimmed: // go on at n
			}
		}

		byPosition := make(map[record.Position]record.Record)
		for rs := range acked {
			for _, r := range rs {
				byPosition[r.Pos] = r
			}
		}
		if len(seen) != len(byPosition) {
			t.Fatalf("%d records seen, %d acknowledged", len(seen), len(byPosition))
		}
		for i, r := range seen {
			if r.Pos != record.Position(i+1) || string(r.Data) != string(byPosition[r.Pos].Data) {
				t.Fatalf("record %d is %d %q, acknowledged was %q", i, r.Pos, r.Data, byPosition[r.Pos].Data)
			}
		}
	}),
	simple("AnAcknowledgedRecordIsReadable", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					rs := records("r", 1)
					if err := b.tryPut(w, rs); err != nil {
						t.Errorf("put: %v", err)
						return
					}
					found := false
					if _, _, err := b.Store.Log().Scan(
						b.ctx, w.Shard, rs[0].Pos, storage.Limit{Records: 1},
						func(r record.Record) { found = r.Pos == rs[0].Pos },
					); err != nil ||
						!found {
						t.Errorf("position %d was acknowledged but not read: %v", rs[0].Pos, err)
						return
					}
				}
			})
		}
		all.Wait()
	}),
}
