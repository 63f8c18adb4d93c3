package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

var clicks = Name{orders.Account, orders.Region, "clicks"}

func (b *bench) overQuota(err error, current, more int) {
	b.Helper()
	want := fmt.Sprintf("Current shard count for the account: %d. Limit: 4. "+
		"Number of additional shards that would have resulted from this request: %d.", current, more)
	if fault.CodeOf(err) != codeLimit || !strings.Contains(err.Error(), want) {
		b.Errorf("%v, want %s", err, want)
	}
}

// "A split that exceeds the account's shard quota: LimitExceededException." What another stream is being split into
// counts, while it is carried out; what was refused, or failed before it began, does not.
func TestTwoReshardsStayWithinTheQuotaTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		b.create(clicks, 2)
		f := &failing{Store: b.store}
		f.left.Store(1000)
		var s *Streams
		var during []error
		asked, other := false, Name{orders.Account, orders.Region, "other"}
		s = New(Options{Store: closing{f, func() {
			if len(during) == 0 && asked {
				during = append(during,
					s.Split(b.ctx, clicks, "4", "9"), s.Create(b.ctx, other, CreateInput{Shards: 1}))
			}
		}}, Clock: b.clock, ShardQuota: 4})

		if err := s.Split(b.ctx, orders, "0", "1"); fault.CodeOf(err) != codeInvalid {
			t.Errorf("halves that are too small: %v", err)
		}
		f.left.Store(0)
		if err := s.Split(b.ctx, orders, "0", "9"); !errors.Is(err, errDied) {
			t.Errorf("a store that fails: %v", err)
		}
		f.left.Store(1000)
		b.must(s.Split(b.ctx, clicks, "0", "9"))
		b.must(s.Merge(b.ctx, clicks, "2", "3"))
		asked = true
		b.must(s.Split(b.ctx, orders, "0", "9"))
		if len(during) != 2 {
			t.Fatal("no shard was closed")
		}
		for _, err := range during {
			b.overQuota(err, 4, 1)
		}
		b.overQuota(s.Split(b.ctx, clicks, "4", "9"), 4, 1)
		b.must(s.Merge(b.ctx, orders, "1", "2"))
		b.must(s.Split(b.ctx, clicks, "4", "9"))
		s.Stop()
		b.s.Stop()
	})
}

// What another stream is becoming counts as well, in the quota of on-demand streams, before the change is durable.
func TestTwoChangesOfModeStayWithinTheQuotaTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	b.create(clicks, 1)
	var s *Streams
	var during []error
	asked, fails := false, false
	s = New(Options{Store: committing{b.store, func() error {
		if fails {
			return errDied
		}
		if asked {
			asked = false
			during = append(during, s.SetMode(b.ctx, clicks, OnDemand, nil))
		}
		return nil
	}}, Clock: b.clock})
	for i := range OnDemandQuota - 1 {
		name := Name{orders.Account, orders.Region, fmt.Sprint("other", i)}
		b.must(s.Create(b.ctx, name, CreateInput{Mode: OnDemand}))
	}
	fails = true // and what has failed does not count
	if err := s.SetMode(b.ctx, clicks, OnDemand, nil); !errors.Is(err, errDied) {
		t.Errorf("a store that fails: %v", err)
	}
	fails, asked = false, true
	b.must(s.SetMode(b.ctx, orders, OnDemand, nil))
	if len(during) != 1 || fault.CodeOf(during[0]) != codeLimit {
		t.Errorf("while the last one becomes on-demand: %v", during)
	}
	s.Stop()
	b.s.Stop()
}

// committing calls before ahead of each commit of metadata, which fails if that does.
type committing struct {
	storage.Store
	before func() error
}

type committingCoord struct {
	storage.Coord
	before func() error
}

func (c committing) Coord() storage.Coord { return committingCoord{c.Store.Coord(), c.before} }

func (c committingCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if err := c.before(); err != nil {
		return 0, err
	}
	return c.Coord.Commit(ctx, group, ops...)
}

// With a pace the same holds for as long as the first stream is UPDATING, over a restart too.
func TestAPacedReshardCountsAgainstTheQuota(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 2}))
		b.must(b.s.Create(b.ctx, clicks, CreateInput{Shards: 1}))
		b.advance(5 * time.Second)
		b.s.quota = 4
		b.must(b.s.Split(b.ctx, orders, "0", "9"))

		b.overQuota(b.s.Split(b.ctx, clicks, "0", "9"), 4, 1)
		b.reopenPaced(AWSPace())
		b.s.quota = 4
		b.overQuota(b.s.Split(b.ctx, clicks, "0", "9"), 4, 1)
		b.advance(5 * time.Second)
		synctest.Wait()
		if n := b.lookup(orders).OpenShards(); n != 3 {
			b.Fatalf("%d shards", n)
		}
		b.overQuota(b.s.Split(b.ctx, clicks, "0", "9"), 4, 1)
		b.must(b.s.Merge(b.ctx, orders, "2", "3"))
		b.advance(5 * time.Second)
		synctest.Wait()
		b.must(b.s.Split(b.ctx, clicks, "0", "9"))
	})
}

// "UpdateShardCount: … more than double, less than half the current count; above 10,000; from above 10,000 to anything
// but below 10,000." To the present number is no change, and no more than that.
func TestTargetsOfUpdateShardCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, target int
		refused        string
	}{
		{1, 2, ""},
		{1, 3, "double"},
		{4, 2, ""},
		{5, 2, "half"},
		{5, 3, ""},
		{10_000, 10_000, ""},
		{9_999, 10_000, ""},
		{10_000, 10_001, "at most 10000"},
		{10_001, 10_000, "fewer than 10000"},
		{10_001, 9_999, ""},
		{10_001, 10_001, "at most 10000"},
	} {
		err := checkTarget(orders, c.before, c.target)
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%d → %d: %v, want %q", c.before, c.target, err, c.refused)
		}
	}
}

// What is logged about growth is true when it is logged: with a pace the shards come later.
func TestGrowthIsLoggedAsItBegins(t *testing.T) {
	paced(t, func(b *bench) {
		var log bytes.Buffer
		b.s.slog = slog.New(slog.NewTextHandler(&log, nil))
		b.must(b.s.Create(b.ctx, orders, CreateInput{Mode: OnDemand}))
		b.advance(time.Hour)
		st, err := b.s.find(b.ctx, orders)
		b.must(err)
		b.heat(st, 0, 1_000_000_000)

		const want = `msg="an on-demand stream gets more shards for its traffic" stream=arn:aws:kinesis:us-east-1:000000000000:stream/orders open_shards_before=4 open_shards=5`
		if b.lookup(orders).OpenShards() != 4 || !strings.Contains(log.String(), want) {
			b.Errorf("%d shards; %s", b.lookup(orders).OpenShards(), log.String())
		}
	})
}
