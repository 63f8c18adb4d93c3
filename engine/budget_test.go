package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// counting is a source that counts the records it hands out.
type counting struct {
	source.Source
	visited *atomic.Int64
}

func (c counting) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	return c.Source.Read(ctx, shard, from, limit, func(r record.Record) {
		c.visited.Add(1)
		visit(r)
	})
}

// Without memory to read ahead a shard holds one batch, and a backlog is still worked off in order and without a pause.
func TestShortMemoryLeavesEveryShardOneBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		const batch, all = 10, 205
		var visited, done atomic.Int64
		w.budget = 1
		w.restartWith(func(s source.Source) source.Source { return counting{s, &visited} })
		var ahead int64
		w.functions.handle = func(i invocation) function.Result {
			w.functions.mu.Lock()
			defer w.functions.mu.Unlock()
			ahead = max(ahead, visited.Load()-done.Load())
			done.Add(int64(len(i.data)))
			return ok()
		}
		w.put("k", numbered(1, all)...)

		w.create(mapping.Knobs{BatchSize: p(int64(batch))})
		w.pass(time.Second)

		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, all)) {
			t.Errorf("delivered %d: %v", len(got), got)
		}
		if n := len(w.functions.seen()); n != all/batch+1 {
			t.Errorf("%d invocations, so batches were not full", n)
		}
		if ahead > batch {
			t.Errorf("%d records were held, one batch is %d", ahead, batch)
		}
		w.atRest("after the backlog")
	})
}

// breaking is a source whose reads break in the midst, as often as is left.
type breaking struct {
	source.Source
	left *atomic.Int64
}

func (b breaking) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	if b.left.Add(-1) < 0 {
		return b.Source.Read(ctx, shard, from, limit, visit)
	}
	if _, _, err := b.Source.Read(ctx, shard, from, storage.Limit{Records: 1}, visit); err != nil {
		return from, storage.End{}, err
	}
	return from, storage.End{}, errors.New("the disk")
}

// A read that breaks after its first record gives back all that it had reserved.
func TestABrokenReadGivesItsMemoryBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var left atomic.Int64
		left.Store(5)
		w.budget = 1 << 30
		w.restartWith(func(s source.Source) source.Source { return breaking{s, &left} })
		w.put("k", numbered(1, 20)...)
		w.create(mapping.Knobs{BatchSize: p(int64(20))})
		w.pass(10 * time.Minute)
		if n := len(w.functions.delivered()); n != 20 || left.Load() > 0 {
			t.Fatalf("%d records are delivered, %d reads are left to break", n, left.Load())
		}
		if n := w.engine.Buffered(); n != 0 {
			t.Errorf("%d bytes are taken, and nothing is held", n)
		}
	})
}

// With room in the budget a shard reads ahead as far as the core wants.
func TestEnoughMemoryReadsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var visited atomic.Int64
		w.budget = 1 << 30
		w.functions.duration = time.Hour
		w.restartWith(func(s source.Source) source.Source { return counting{s, &visited} })
		w.put("k", numbered(1, 200)...)
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.pass(time.Second)
		if n := visited.Load(); n != 200 {
			t.Errorf("%d records were read", n)
		}
		now, cancel := context.WithCancel(t.Context())
		cancel()
		w.engine.Stop(now)
	})
}

// Short memory stalls no lane for ever: batches of many lanes, bisected ones and those that a restart reads again all
// come to an end.
func TestShortMemoryStallsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.budget = 1
		w.restartWith(nil)
		want := map[string]bool{}
		for i := range 300 {
			d := fmt.Sprint(i)
			want[d] = true
			w.put("key-"+d, d)
		}
		w.functions.handle = poisoned("150")
		w.create(mapping.Knobs{
			BatchSize: p(int64(20)), BatchingWindowSeconds: p(int64(3)), ParallelizationFactor: p(int64(7)),
			Bisect: p(true), MaxRetries: p(int64(2)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		for range 5 {
			w.pass(1500 * time.Millisecond)
			w.restartWith(nil)
		}
		w.pass(2 * time.Minute)
		for _, d := range w.functions.delivered() {
			delete(want, d)
		}
		if len(want) != 0 {
			t.Errorf("%d records were never delivered", len(want))
		}
		if n := len(w.notices()); n != 1 {
			t.Errorf("%d notices", n)
		}
		w.atRest("after the backlog")
	})
}
