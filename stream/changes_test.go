package stream

import (
	"context"
	"errors"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// "If an existing open boundary lies within max(open, target) of b_i, use the existing one": up to that many keys, on
// either side, and no further.
func TestASweepUsesABoundaryThatAlmostExists(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		open, target int
		off          int64 // of the shard boundary that lies near the first even one
		used         bool
	}{
		{3, 2, 3, true},
		{3, 2, -3, true},
		{3, 2, 4, false},
		{3, 2, -4, false},
		{2, 4, 4, true},
		{2, 4, -4, true},
		{2, 4, 5, false},
		{2, 4, -5, false},
	} {
		half := evenRanges(c.target)[1].Start
		var at record.HashKey
		new(big.Int).Add(half.Big(), big.NewInt(c.off)).FillBytes(at[:])
		left, right := cut(evenRanges(1)[0], at)
		ranges := []record.HashKeyRange{left, right}
		if c.open == 3 {
			last, _ := record.ParseHashKey("340282366920938463463374607431768211400")
			a, b := cut(right, last)
			ranges = []record.HashKeyRange{left, a, b}
		}
		open := make([]part, len(ranges))
		for i, r := range ranges {
			open[i] = part{record.ShardID(i), r}
		}

		want := predecessor(half)
		if c.used {
			want = predecessor(at)
		}
		if got := sweepEnds(open, c.target)[0]; got != want {
			t.Errorf("%d → %d, %d keys beside: the first range ends at %s, want %s", c.open, c.target, c.off, got, want)
		}
	}
}

// What has expired stays so over any number of longer retention periods.
func TestLongerAndLongerRetentionBringsNothingBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.put(orders, "old")
	b.advance(25 * time.Hour)
	b.must(b.s.IncreaseRetention(b.ctx, orders, 48))
	trimmed := b.lookup(orders).Trimmed // the sweeper may be faster than the reader below
	b.must(b.s.IncreaseRetention(b.ctx, orders, 72))

	if again := b.lookup(orders).Trimmed; again < trimmed {
		t.Errorf("the horizon moves back by %d ms", trimmed-again)
	}
	if keys, _ := b.drain(info.ID, 0, 1); len(keys) > 0 {
		t.Errorf("%v is back", keys)
	}
	b.s.Stop()
}

// A second change is refused while a stream is UPDATING, even one that would change nothing; and nothing is left of the
// transition when it has ended.
func TestAnEmptyChangeIsRefusedWhileUpdating(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))
		b.advance(5 * time.Second)
		b.must(b.s.Split(b.ctx, orders, "0", "9"))
		b.refuses(b.s.SetRecordBytes(b.ctx, orders, DefaultRecordBytes), inState+"UPDATING")
		b.advance(5 * time.Second)
		if info := b.lookup(orders); info.Status != Active || info.Due != 0 {
			b.Errorf("%s, due %d", info.Status, info.Due)
		}
	})
}

// A stream that becomes provisioned brings its shards into the account's quota.
func TestTheQuotaHoldsForAChangeOfMode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := New(Options{Store: b.store, Clock: b.clock, ShardQuota: 3})
	b.must(s.Create(b.ctx, orders, CreateInput{Mode: OnDemand}))
	if err := s.SetMode(b.ctx, orders, Provisioned, nil); fault.CodeOf(err) != codeLimit {
		t.Errorf("four shards in a quota of three: %v", err)
	}
	s.Stop()
	b.s.Stop()
}

// Shards that were opened exactly fifteen minutes ago are those that may double again, although they count as created a
// second later.
func TestGrowthCountsFromTheMomentAShardAccepts(t *testing.T) {
	t.Parallel()
	created := time.UnixMilli(1_700_000_000_000)
	at := record.MillisOf(created) + 60*minuteMillis
	info := Info{Created: created, Mode: OnDemand, Shards: even(1)}
	info.Shards[0].Created = record.MillisOf(created) - birthOffset
	info.Shards = perform(info.Shards, grow(&info, []record.ShardID{0}, at), at)
	if n := len(grow(&info, []record.ShardID{1, 2}, at+doublingMillis)); n != 2 {
		t.Errorf("%d of two hot shards are split", n)
	}
}

// A stream grows again when it is hot again; not once it is provisioned.
func TestGrowthGoesOnWhileTheModeAllows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.must(b.s.Create(b.ctx, orders, CreateInput{Mode: OnDemand}))
		st, err := b.s.find(b.ctx, orders)
		b.must(err)
		minute := int64(1_000_000_000)
		hot := func(id record.ShardID) int {
			minute = b.heat(st, id, minute)
			return b.lookup(orders).OpenShards()
		}
		b.advance(time.Hour)
		if n := hot(0); n != 5 {
			t.Errorf("%d shards after the first load", n)
		}
		if n := hot(1); n != 6 {
			t.Errorf("%d shards after the second", n)
		}
		b.s.Stop()
		if n := hot(2); n != 6 {
			t.Errorf("%d shards after a load while the room is stopped", n)
		}
		b.must(b.s.Start(b.ctx))
		if n := hot(2); n != 7 {
			t.Errorf("%d shards after the third load", n)
		}
		b.must(b.s.SetMode(b.ctx, orders, Provisioned, nil))
		if n := hot(3); n != 7 {
			t.Errorf("a provisioned stream has grown to %d shards", n)
		}
		b.s.Stop()
	})
}

// heat gives a shard the load of a few minutes near its capacity, beginning with one since 1970, and returns the next.
func (b *bench) heat(st *stream, id record.ShardID, minute int64) int64 {
	sh := st.snap.Load().shards[id]
	for range hotMinutes + 1 {
		at := record.Millis(minute * minuteMillis)
		b.s.measureLoad(st, sh, []record.Record{{Arrival: at, Data: make([]byte, nearBytes)}})
		synctest.Wait()
		minute++
	}
	return minute
}

// closing is a store in which something happens whenever a shard is closed.
type closing struct {
	storage.Store
	before func()
}

type closingLog struct {
	storage.Log
	before func()
}

func (c closing) Log() storage.Log { return closingLog{c.Store.Log(), c.before} }

func (l closingLog) Close(ctx context.Context, s storage.Shard) (record.Position, error) {
	l.before()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return l.Log.Close(ctx, s)
}

// A shard ends when it is closed, not when its reshard began: "we … must not assign a sequence number ≥ the parent's
// end". And what has begun is completed, although its caller has left.
func TestAShardEndsWhenItIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		ctx, leave := context.WithCancel(b.ctx)
		s := New(Options{Store: closing{b.store, func() { b.advance(time.Minute); leave() }}, Clock: b.clock})
		began := b.s.now()
		b.must(s.Split(ctx, orders, "0", "9"))
		info, err := s.Lookup(b.ctx, orders)
		b.must(err)
		if closed := info.Shards[0].Closed; closed < began+minuteMillis {
			t.Errorf("closed %d ms after the call, while it took records for a minute", closed-began)
		}
		s.Stop()
		b.s.Stop()
	})
}

// The pause before what failed is tried again doubles, from a second on, and begins anew for the next change.
func TestThePausesBetweenTriesGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		id := b.create(orders, 1).ID
		f := &failing{Store: b.store}
		s := New(Options{Store: f, Clock: b.clock})
		pause := func() time.Duration {
			s.transit.mu.Lock()
			defer s.transit.mu.Unlock()
			return s.transit.pauses[id]
		}
		f.left.Store(1)
		if err := s.Split(b.ctx, orders, "0", "9"); !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			if got := pause(); got != want {
				t.Errorf("a pause of %s, want %s", got, want)
			}
			b.advance(want)
			synctest.Wait()
		}
		f.left.Store(1000)
		b.advance(time.Minute)
		synctest.Wait()
		if got := pause(); got != 0 {
			t.Errorf("a pause of %s is left of what has succeeded", got)
		}
		s.Stop()
		b.s.Stop()
	})
}

// What waited for another try when the room was stopped is tried when it is started again.
func TestAFailedChangeIsTriedAfterAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		f := &failing{Store: b.store}
		s := New(Options{Store: f, Clock: b.clock})
		b.must(s.Start(b.ctx))
		f.left.Store(1)
		if err := s.Split(b.ctx, orders, "0", "9"); !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		s.Stop()
		f.left.Store(1000)
		b.must(s.Start(b.ctx))
		synctest.Wait()
		if info, err := s.Lookup(b.ctx, orders); err != nil || info.Status != Active || info.OpenShards() != 2 {
			t.Errorf("%+v, %v", info, err)
		}
		s.Stop()
		b.s.Stop()
	})
}

// Retention goes on while a stream is UPDATING.
func TestAStreamIsSweptWhileUpdating(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		info := b.create(orders, 1)
		b.reopenPaced(Pace{Updating: 1000 * time.Hour})
		b.put(orders, "old")
		b.must(b.s.SetRecordBytes(b.ctx, orders, 2*DefaultRecordBytes))
		for range 30 {
			b.advance(time.Hour)
			synctest.Wait()
		}
		oldest, tip, _, err := b.store.Log().Bounds(b.ctx, storage.Shard{Stream: info.ID})
		if err != nil || oldest != tip {
			t.Errorf("the log begins at %d of %d; %v", oldest, tip, err)
		}
		b.s.Stop()
	})
}

// Stop returns when no change of a stream is being carried out any more.
func TestStopWaitsForAChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		gate, stopped := make(chan struct{}), make(chan struct{})
		s := New(Options{Store: closing{b.store, func() { <-gate }}, Clock: b.clock, Pace: AWSPace()})
		b.must(s.Start(b.ctx))
		b.must(s.Split(b.ctx, orders, "0", "9"))
		b.clock.SetOffset(5 * time.Second)
		synctest.Wait()
		go func() {
			s.Stop()
			close(stopped)
		}()
		synctest.Wait()

		select {
		case <-stopped:
			t.Error("stopped while a shard was being closed")
		default:
		}
		close(gate)
		<-stopped
		b.s.Stop()
	})
}
