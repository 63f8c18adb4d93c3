package stream

import (
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/record"
)

// Widening halves the widest shards, so that no open shard is more than twice as wide as another when the first ones
// were alike.
func TestWideningHalvesTheWidest(t *testing.T) {
	t.Parallel()
	info := &Info{Name: orders}
	for i, keys := range evenRanges(4) {
		info.Shards = append(info.Shards, ShardInfo{ID: record.ShardID(i), Range: keys})
	}
	for _, target := range []int{0, 4, 5, 11, 64, 1000, MostWarm} {
		steps := widen(info.Shards, target)
		if err := checkSteps(info, steps); err != nil {
			t.Fatalf("to %d: %v", target, err)
		}
		after := &Info{Shards: perform(info.Shards, steps, 1)}
		if got, want := after.OpenShards(), max(4, target); got != want {
			t.Errorf("to %d: %d open shards", target, got)
		}
		var open []ShardInfo
		for _, s := range after.Shards {
			if s.Closed == 0 {
				open = append(open, s)
			}
		}
		most, least := newOpenShard(0, open[0].Range).width, newOpenShard(0, open[0].Range).width
		for _, s := range open {
			if w := newOpenShard(0, s.Range).width; w.Cmp(most) > 0 {
				most = w
			} else if w.Cmp(least) < 0 {
				least = w
			}
		}
		if least.Lsh(least, 1).Add(least, big.NewInt(1)).Cmp(most) < 0 {
			t.Errorf("to %d: shards of %s and of half of %s keys", target, most, least)
		}
	}
}

// A shard with fewer keys than two shards need is not halved, and the call ends.
func TestWideningEndsWithTheKeys(t *testing.T) {
	t.Parallel()
	var end record.HashKey
	end[len(end)-1] = 9
	steps := widen([]ShardInfo{{Range: record.HashKeyRange{End: end}}}, 100)
	if len(steps) == 0 || len(steps) > 9 {
		t.Errorf("%d steps", len(steps))
	}
}

// 10 GiB a second are possible, and no more.
func TestTheLargestWarmThroughput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.s.SetCommitment(b.ctx, orders.Account, orders.Region, true)
	b.must(err)
	b.must(b.s.checkWarm(b.ctx, orders, OnDemand, MostWarm))
	wantCode(t, b.s.checkWarm(b.ctx, orders, OnDemand, MostWarm+1), codeInvalid)
}

// A commitment that was given up and is kept all the same is the one that has begun long ago.
func TestACommitmentIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	set := func(enabled bool) Commitment {
		t.Helper()
		c, err := b.s.SetCommitment(b.ctx, orders.Account, orders.Region, enabled)
		b.must(err)
		return c
	}
	began := set(true)
	b.clock.SetOffset(time.Hour)
	if c := set(false); c.Status != CommitmentLeaving {
		t.Errorf("%+v", c)
	}
	b.clock.SetOffset(2 * time.Hour)
	if c := set(true); c != began {
		t.Errorf("began as %+v, is %+v", began, c)
	}
}

// With a pace, the present throughput is the former one until the change has ended.
func TestWarmThroughputChangesVisibly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.reopenPaced(AWSPace())
		_, err := b.s.SetCommitment(b.ctx, orders.Account, orders.Region, true)
		b.must(err)
		b.must(b.s.Create(b.ctx, orders, CreateInput{}))
		b.advance(5 * time.Second)
		for _, c := range []struct{ target, before, open int }{{9, 0, 9}, {12, 9, 12}, {3, 12, 12}} {
			target, current, err := b.s.SetWarm(b.ctx, orders, c.target)
			b.must(err)
			if target != c.target || current != c.before {
				t.Errorf("to %d: answered %d of %d", c.target, current, target)
			}
			b.status(Updating)
			b.reopenPaced(AWSPace()) // a restart in the midst
			b.advance(5 * time.Second)
			b.status(Active)
			info := b.lookup(orders)
			target, current = info.WarmThroughput()
			if target != c.target || current != c.target || info.OpenShards() != c.open {
				t.Errorf("to %d: %d of %d, %d open shards", c.target, current, target, info.OpenShards())
			}
		}
		b.s.Stop()
	})
}
