package storagetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

var lifeTests = []test{
	simple("ACancelledContextIsRefusedAtOnce", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		ctx, cancel := context.WithCancel(b.ctx)
		cancel()
		b.eachCall(ctx, w, func(name string, err error) {
			if err == nil {
				t.Errorf("%s went on with a cancelled context", name)
			}
		})
		if n := len(b.all(w.Shard)); n != 0 {
			t.Fatalf("%d records were written for a caller that had gone", n)
		}
	}),
	simple("CallersThatCancelUndoNothing", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		var all sync.WaitGroup
		var mu sync.Mutex
		acked := map[string]bool{}
		for i := range 16 {
			all.Go(func() {
				for j := range 20 {
					ctx, cancel := context.WithCancel(b.ctx)
					go cancel()
					rs := records(fmt.Sprintf("%d-%d", i, j), 2)
					err := b.Store.Log().Append(ctx, []storage.Batch{{Writer: w, Records: rs}})[0]
					rs[0].Data[0] = '!' // the caller owns its bytes again, whatever Append returned
					if err == nil {
						mu.Lock()
						acked[fmt.Sprintf("%d-%d/1", i, j)] = true
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		there := map[string]bool{}
		for _, r := range b.all(w.Shard) {
			if r.Data[0] == '!' {
				t.Fatal("the store kept the caller's bytes")
			}
			there[string(r.Data)] = true
		}
		for name := range acked {
			if !there[name] {
				t.Fatalf("%s was acknowledged and is missing", name)
			}
		}
	}),
	simple("CloseTwiceAndUseAfterwards", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		b.put(w, records("r", 1))
		waiting, watching := b.Store.Log().Changed(w.Shard), b.Store.Coord().Changed("")
		for range 2 {
			b.must(b.Store.Close())
		}
		b.eachCall(b.ctx, w, func(_ string, err error) { b.want(err, storage.ErrClosed) })
		_, _, err := b.Store.Local().Get([]byte("k"))
		b.want(err, storage.ErrClosed)
		b.want(b.Store.Local().Scan(nil, nil, false, func(_, _ []byte) bool { return true }), storage.ErrClosed)
		<-waiting
		<-watching
		<-b.Store.Log().Changed(w.Shard)
		<-b.Store.Coord().Changed("")
	}),
	simple("CloseWaitsForCommitsUnderWay", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		acked := make(chan record.Position, 1<<16)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for {
					rs := records("r", 1)
					if err := b.tryPut(w, rs); err != nil {
						b.expect(err, storage.ErrClosed)
						return
					}
					acked <- rs[0].Pos
				}
			})
		}
		for range 50 {
			<-acked
		}
		if b.Reopen == nil {
			b.must(b.Store.Close())
			all.Wait()
			return
		}
		reopened := b.Reopen()
		all.Wait()
		close(acked)
		b.Store = reopened
		there := map[record.Position]bool{}
		for _, r := range b.all(w.Shard) {
			there[r.Pos] = true
		}
		for p := range acked {
			if !there[p] {
				t.Fatalf("position %d was acknowledged and is missing after the store was opened again", p)
			}
		}
	}),
	simple("EverythingIsThereAfterReopening", func(t *testing.T, b *bench) {
		if b.Reopen == nil {
			return
		}
		log := b.Store.Log()
		w0, w1 := b.create(shardAt(0)), b.create(shardAt(1))
		b.put(w0, records("a", 30))
		b.put(w1, records("b", 20))
		b.must(log.Create(b.ctx, shardAt(2), 1000))
		b.must(log.Trim(b.ctx, w0.Shard, 11))
		b.must(log.Trim(b.ctx, w1.Shard, 3000)) // nothing left to find the end by
		last, err := log.Close(b.ctx, w1.Shard)
		b.must(err)
		gone := b.create(storage.Shard{Stream: 9})
		b.put(gone, records("c", 3))
		b.must(log.Delete(b.ctx, 9))
		rev := b.commit("", storage.Op{Key: "x", Value: []byte("1")}, storage.Op{Key: "y", Value: []byte("2")})
		b.commit("", storage.Op{Key: "y", Expect: rev})
		b.apply(storage.Soon, storage.LocalOp{Key: []byte("l"), Value: []byte("soon")})
		all := b.all(w0.Shard)

		b.Store = b.Reopen()
		log = b.Store.Log()
		b.sameRecords(b.all(w0.Shard), all)
		if _, _, end := b.scan(w0.Shard, 10, storage.Limit{}); end.Kind != storage.Trimmed || end.Oldest != 11 {
			t.Fatalf("scan below the trim: %+v", end)
		}
		if _, end, closed := b.bounds(w1.Shard); end != last+1 || !closed {
			t.Fatalf("closed shard: end %d, closed %v; want %d", end, closed, last+1)
		}
		if again, err := log.Close(b.ctx, w1.Shard); err != nil || again != last {
			t.Fatalf("close answers %d, %v; before %d", again, err, last)
		}
		b.want(b.tryPut(w0, records("late", 1)), storage.ErrFenced)
		b.want(log.Create(b.ctx, shardAt(2), 1), storage.ErrExists)
		if _, _, _, err := log.Bounds(b.ctx, gone.Shard); err == nil {
			t.Fatal("a deleted stream is back")
		}
		w, end, err := log.Acquire(b.ctx, w0.Shard)
		b.must(err)
		if p := b.put(w, records("new", 1))[0].Pos; end != all[len(all)-1].Pos+1 || p != 1000 {
			t.Fatalf(
				"acquired at %d, next position %d; want %d and 1000: the counter stays raised", end, p,
				all[len(all)-1].Pos+1,
			)
		}
		if e := b.get("x"); e.Revision != rev || string(e.Value) != "1" || b.get("y").Revision != 0 {
			t.Fatalf("coord: %+v", e)
		}
		if r := b.commit("", storage.Op{Key: "y", Value: []byte("3"), Expect: storage.Absent}); r <= rev+1 {
			t.Fatalf("revision %d was used before", r)
		}
		if v, _, err := b.Store.Local().Get([]byte("l")); string(v) != "soon" || err != nil {
			t.Fatalf("local: %q, %v", v, err)
		}
	}),
}

// eachCall makes every call that takes a context.
func (b *bench) eachCall(ctx context.Context, w storage.Writer, check func(name string, err error)) {
	log, coord := b.Store.Log(), b.Store.Coord()
	check("Create", log.Create(ctx, shardAt(3), 0))
	_, _, err := log.Acquire(ctx, w.Shard)
	check("Acquire", err)
	check("Append", log.Append(ctx, []storage.Batch{{Writer: w, Records: records("r", 1)}})[0])
	_, _, err = log.Scan(ctx, w.Shard, 1, storage.Limit{}, func(record.Record) {})
	check("Scan", err)
	_, err = log.Seek(ctx, w.Shard, 0)
	check("Seek", err)
	_, _, _, err = log.Bounds(ctx, w.Shard)
	check("Bounds", err)
	_, err = log.Close(ctx, w.Shard)
	check("Close", err)
	check("Trim", log.Trim(ctx, w.Shard, 1))
	check("Delete", log.Delete(ctx, 99))
	_, err = coord.Get(ctx, "k")
	check("Get", err)
	_, err = coord.List(ctx, "k", "", 0)
	check("List", err)
	_, err = coord.Commit(ctx, "", storage.Op{Key: "k", Value: []byte("v"), Expect: storage.Any})
	check("Commit", err)
	check("Apply", b.Store.Local().Apply(ctx, storage.Sync, storage.LocalOp{Key: []byte("k"), Value: []byte("v")}))
}
