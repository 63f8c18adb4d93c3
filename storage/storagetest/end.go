package storagetest

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

var endTests = []test{
	simple("NoAppendSucceedsOnceCloseHasReturned", func(t *testing.T, b *bench) {
		for round := range 6 {
			w := b.create(shardAt(record.ShardID(round)))
			var shut atomic.Bool
			var highest atomic.Uint64
			var all sync.WaitGroup
			started := make(chan struct{}, 4)
			for range 4 {
				all.Go(func() {
					for first := true; ; first = false {
						after := shut.Load()
						rs := records("r", 3)
						err := b.tryPut(w, rs)
						if first {
							started <- struct{}{}
						}
						switch {
						case err == nil && after:
							t.Error("an append began after Close had returned, and succeeded")
							return
						case err != nil:
							b.expect(err, storage.ErrShardClosed)
							return
						}
						for p := uint64(rs[2].Pos); ; {
							if h := highest.Load(); h >= p || highest.CompareAndSwap(h, p) {
								break
							}
						}
					}
				})
			}
			for range 4 {
				<-started
			}
			last, err := b.Store.Log().Close(b.ctx, w.Shard)
			b.must(err)
			shut.Store(true)
			all.Wait()

			rs, _, end := b.scan(w.Shard, 1, storage.Limit{})
			if uint64(last) != highest.Load() || rs[len(rs)-1].Pos != last || end.Kind != storage.ShardEnd {
				t.Fatalf(
					"close said %d, the highest acknowledged is %d, the last readable %d, end %d", last, highest.Load(),
					rs[len(rs)-1].Pos, end.Kind,
				)
			}
			again, err := b.Store.Log().Close(b.ctx, w.Shard)
			b.must(err)
			if _, e, closed := b.bounds(w.Shard); again != last || e != last+1 || !closed {
				t.Fatalf("closed twice: %d then %d; bounds end %d, closed %v", last, again, e, closed)
			}
		}
	}),
	simple("ClosingAnEmptyShardAnswersZero", func(t *testing.T, b *bench) {
		b.must(b.Store.Log().Create(b.ctx, shardAt(0), 50))
		for range 2 {
			last, err := b.Store.Log().Close(b.ctx, shardAt(0))
			b.must(err)
			if last != 0 {
				t.Fatalf("last is %d, want 0", last)
			}
		}
		rs, _, end := b.scan(shardAt(0), 1, storage.Limit{})
		if len(rs) != 0 || end.Kind != storage.ShardEnd {
			t.Fatalf("%d records, end %d; want the shard's end", len(rs), end.Kind)
		}
		w, pos, err := b.Store.Log().Acquire(b.ctx, shardAt(0))
		b.must(err)
		if pos != 50 {
			t.Fatalf("acquired at %d, want 50", pos)
		}
		b.want(b.tryPut(w, records("r", 1)), storage.ErrShardClosed)
	}),
	simple("AClosedShardRemembersItsLastRecordAfterTrim", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		b.put(w, records("r", 9))
		_, err := b.Store.Log().Close(b.ctx, w.Shard)
		b.must(err)
		b.must(b.Store.Log().Trim(b.ctx, w.Shard, 10))
		last, err := b.Store.Log().Close(b.ctx, w.Shard)
		b.must(err)
		if last != 9 {
			t.Fatalf("last is %d, want 9", last)
		}
	}),
	simple("AcquireFencesEarlierWriters", func(t *testing.T, b *bench) {
		first := b.create(shardAt(0))
		b.want(b.tryPut(storage.Writer{Shard: first.Shard}, records("r", 1)), storage.ErrFenced)
		b.put(first, records("r", 4))
		second, end, err := b.Store.Log().Acquire(b.ctx, first.Shard)
		b.must(err)
		if end != 5 || second.Epoch == first.Epoch {
			t.Fatalf(
				"acquired at %d with epoch %d after epoch %d; want 5 and another epoch", end, second.Epoch, first.Epoch,
			)
		}
		b.want(b.tryPut(first, records("r", 1)), storage.ErrFenced)
		b.put(second, records("r", 1))
	}),
	simple("AcquireAnswersTheExactEnd", func(t *testing.T, b *bench) {
		w := b.create(shardAt(0))
		var all sync.WaitGroup
		var highest atomic.Uint64
		for range 4 {
			all.Go(func() {
				for {
					rs := records("r", 1)
					if err := b.tryPut(w, rs); err != nil {
						b.expect(err, storage.ErrFenced)
						return
					}
					for p := uint64(rs[0].Pos); ; {
						if h := highest.Load(); h >= p || highest.CompareAndSwap(h, p) {
							break
						}
					}
				}
			})
		}
		for highest.Load() < 20 {
			<-b.Store.Log().Changed(w.Shard)
		}
		_, end, err := b.Store.Log().Acquire(b.ctx, w.Shard)
		b.must(err)
		rs, _, _ := b.scan(w.Shard, 1, storage.Limit{})
		all.Wait()
		if after := b.all(w.Shard); len(after) != len(rs) || uint64(end) != highest.Load()+1 ||
			end != rs[len(rs)-1].Pos+1 {
			t.Fatalf(
				"acquired at %d with %d records readable; in the end %d records, %d acknowledged", end, len(rs),
				len(after), highest.Load(),
			)
		}
	}),
	simple("DeleteRemovesTheWholeStreamAndNothingElse", func(t *testing.T, b *bench) {
		log := b.Store.Log()
		gone := []storage.Writer{b.create(shardAt(0)), b.create(shardAt(1)), b.create(shardAt(77))}
		kept := []storage.Writer{b.create(storage.Shard{Stream: 6, Index: 77}), b.create(storage.Shard{Stream: 8})}
		for _, w := range append(gone, kept...) {
			b.put(w, records("r", 5))
		}
		for range 2 {
			b.must(log.Delete(b.ctx, 7))
		}
		for _, w := range gone {
			b.want(b.tryPut(w, records("r", 1)), storage.ErrNotFound)
			_, _, err := log.Scan(b.ctx, w.Shard, 1, storage.Limit{}, func(record.Record) {})
			b.want(err, storage.ErrNotFound)
			_, _, _, err = log.Bounds(b.ctx, w.Shard)
			b.want(err, storage.ErrNotFound)
			_, err = log.Seek(b.ctx, w.Shard, 0)
			b.want(err, storage.ErrNotFound)
			_, err = log.Close(b.ctx, w.Shard)
			b.want(err, storage.ErrNotFound)
			_, _, err = log.Acquire(b.ctx, w.Shard)
			b.want(err, storage.ErrNotFound)
			b.want(log.Trim(b.ctx, w.Shard, 1), storage.ErrNotFound)
			<-log.Changed(w.Shard) // a deleted shard keeps no reader waiting
		}
		for _, w := range kept {
			b.put(w, records("r", 1))
			if n := len(b.all(w.Shard)); n != 6 {
				t.Fatalf("%v has %d records, want 6", w.Shard, n)
			}
		}
		b.must(log.Delete(b.ctx, 12345))
	}),
}
