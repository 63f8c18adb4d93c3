package stream

import (
	"context"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// lazyCoord is a Coord whose commits of streams take their time, as over a disk, before and after they are applied.
type lazyCoord struct {
	storage.Coord
	pause func()
}

func (c lazyCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	c.pause()
	defer c.pause()
	return c.Coord.Commit(ctx, group, ops...)
}

// O-30: a record has one type of encryption. What its put was told is what every reader sees at its position, also one
// that reads while the change is stored, whatever comes of the change.
func TestARecordHasOneTypeOfEncryption(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { overlapWithChanges(t, seed) })
		})
	}
}

func overlapWithChanges(t *testing.T, seed uint64) {
	b := setup(t)
	b.create(orders, 2)
	b.s.Stop()
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0x656e63))
	pause := func(most time.Duration) {
		mu.Lock()
		d := time.Duration(rng.Int64N(int64(most)))
		mu.Unlock()
		<-time.NewTimer(d).C
	}
	faulty := &storagetest.Faulty{Coord: b.store.Coord()}
	lazy := lazyCoord{faulty, func() { pause(8 * time.Millisecond) }}
	b.s = New(Options{Store: storagetest.With(b.store, lazy), Clock: b.clock})
	b.must(b.s.Start(b.ctx))
	defer b.s.Stop()

	seen := map[string]bool{} // by key of the record
	kinds := map[bool]int{}
	judge := func(who, key string, encrypted bool) {
		mu.Lock()
		defer mu.Unlock()
		before, known := seen[key]
		if seen[key] = encrypted; known && before != encrypted {
			t.Errorf("record %s is encrypted: %v before, and now to %s: %v", key, before, who, encrypted)
		}
		if !known {
			kinds[encrypted]++
		}
	}
	over := make(chan struct{})
	var all, changing sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				default:
				}
				pause(3 * time.Millisecond)
				key := strconv.Itoa(n) + "/" + strconv.Itoa(i)
				placed, err := b.s.PutRecords(b.ctx, orders, []record.Record{{Key: key}})
				b.must(err)
				judge("its put", key, placed[0].Encrypted)
			}
		})
	}
	for shard := range 2 {
		token, err := b.s.Iterator(b.ctx, orders, IteratorInput{Shard: strconv.Itoa(shard), Type: IterTrimHorizon})
		b.must(err)
		all.Go(func() {
			for last := false; !last; {
				select {
				case <-over:
					last = true
				default:
				}
				pause(10 * time.Millisecond)
				var info *ShardInfo
				_, err := b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: token}, // from the beginning, each time
					func(s *ShardInfo) { info = s },
					func(r record.Record) { judge("a reader", r.Key, info.Encrypted(r.Arrival)) })
				b.must(err)
			}
		})
	}
	faults := []storagetest.Fault{storagetest.Refuse, storagetest.LoseIt, storagetest.LoseWord}
	for n := range 2 {
		changing.Go(func() {
			for range 12 {
				pause(10 * time.Millisecond)
				change := b.s.StartEncryption
				if mu.Lock(); rng.IntN(2) == 0 {
					change = b.s.StopEncryption
				}
				if rng.IntN(4) == 0 {
					faulty.FailNext(1, faults[rng.IntN(len(faults))])
				}
				mu.Unlock()
				_ = change(b.ctx, orders, KMS, "alias/"+strconv.Itoa(n)) // it may fail
			}
		})
	}
	changing.Wait()
	close(over)
	all.Wait()
	if kinds[true] == 0 || kinds[false] == 0 {
		t.Errorf("%d records were encrypted, and %d were not", kinds[true], kinds[false])
	}
}
