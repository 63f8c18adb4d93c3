package stream

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// "AT_TIMESTAMP (start ≤ ts and (open or end ≥ ts)) · FROM_TIMESTAMP (open, or closed with end ≥ ts)": both ends belong
// to a shard, to the millisecond. O-21.
func TestShardsAtAnInstant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		b.advance(time.Minute)
		b.must(b.s.Split(b.ctx, orders, "0", "9"))
		end := b.lookup(orders).Shards[0].Closed
		b.advance(time.Minute)
		for _, c := range []struct {
			at       record.Millis
			is, from []record.ShardID
		}{
			{end - 1, []record.ShardID{0}, []record.ShardID{0, 1, 2}},
			{end, []record.ShardID{0, 1, 2}, []record.ShardID{0, 1, 2}},
			{end + 1, []record.ShardID{1, 2}, []record.ShardID{1, 2}},
		} {
			for filter, want := range map[FilterType][]record.ShardID{
				FilterAtTimestamp: c.is, FilterFromTimestamp: c.from,
			} {
				in := ListShardsInput{Filter: &ShardFilter{Type: filter, At: &c.at}}
				page, _, err := b.s.ListShards(b.ctx, orders, in)
				b.must(err)
				var got []record.ShardID
				for _, sh := range page {
					got = append(got, sh.ID)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %d ms after the end: %v, want %v", filter, c.at-end, got, want)
				}
			}
		}
		b.s.Stop()
	})
}

// pass moves the clock, and has the work of each stop done. It is for bubbles.
func (b *bench) pass(d time.Duration) {
	b.Helper()
	_, err := b.clock.Advance(b.ctx, d, func(context.Context) error {
		synctest.Wait()
		return nil
	})
	b.must(err)
}

// A closed shard is gone from the list in the millisecond after its retention, and those who wait for another list are
// told then, not at a later sweep, unless one came in the minute before.
func TestTheEndOfAShardIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		id := b.create(orders, 1).ID
		b.advance(17 * time.Minute) // sweeps are a minute apart at least
		b.must(b.s.Split(b.ctx, orders, "0", "9"))
		gone := b.lookup(orders).Shards[0].Closed + record.Millis(DefaultRetention.Milliseconds()) + 1
		b.put(orders, "k")
		changed := b.s.ShardsChanged(id)
		to := func(at record.Millis) (told bool) {
			b.pass(at.Time().Sub(b.clock.Now()))
			select {
			case <-changed:
				return true
			default:
				return false
			}
		}

		if told := to(gone - 1); told || len(b.lookup(orders).Shards) != 3 {
			t.Errorf("in its last millisecond: told %t, %d shards", told, len(b.lookup(orders).Shards))
		}
		if told := to(gone); !told || len(b.lookup(orders).Shards) != 2 {
			t.Errorf("afterwards: told %t, %d shards", told, len(b.lookup(orders).Shards))
		}
		b.s.Stop()
	})
}

// seeking is a store in which something happens whenever the place of an instant has been found.
type seeking struct {
	storage.Store
	after func()
}

type seekingLog struct {
	storage.Log
	after func()
}

func (s seeking) Log() storage.Log { return seekingLog{s.Store.Log(), s.after} }

func (l seekingLog) Seek(ctx context.Context, sh storage.Shard, at record.Millis) (record.Position, error) {
	pos, err := l.Log.Seek(ctx, sh, at)
	l.after()
	return pos, err
}

// A shard that is closed and has lost its last record is not looked at again: streams that were resharded once are
// swept no more often than others.
func TestEmptyClosedShardsAreNotSweptAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		b.put(orders, "k")
		b.must(b.s.Split(b.ctx, orders, "0", "9"))
		looks := 0
		s := New(Options{Store: seeking{b.store, func() { looks++ }}, Clock: b.clock})
		b.s.Stop()
		b.must(s.Start(b.ctx))
		b.pass(2 * DefaultRetention)
		looks = 0

		b.pass(DefaultRetention)

		if looks > 2*2*24 { // two open shards, with a sweep an hour
			t.Errorf("%d looks in a day", looks)
		}
		s.Stop()
	})
}

// A reader that looked for the horizon a while ago finds the one of a faster reader, and does not put its own in the
// place of it.
func TestTheHorizonNeverMovesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	b.s.Stop()
	b.put(orders, "a")
	b.advance(time.Hour)
	b.put(orders, "b")
	b.advance(time.Hour)
	b.put(orders, "c")
	begin := b.s.now()
	var s *Streams
	slower := true
	var faster record.Position
	horizon := func(now record.Millis) record.Position {
		st, err := s.find(b.ctx, orders)
		b.must(err)
		sn := st.snap.Load()
		pos, err := s.horizonOf(b.ctx, sn, sn.shards[0], now)
		b.must(err)
		return pos
	}
	day := record.Millis(DefaultRetention.Milliseconds())
	s = New(Options{Store: seeking{b.store, func() {
		if slower {
			slower = false
			faster = horizon(begin + day - 1000)
		}
	}}, Clock: b.clock})

	slow := horizon(begin + day - 3600_000 - 1000)

	if faster == 0 || slow != faster {
		t.Errorf("the horizon was %d, and is %d afterwards", faster, slow)
	}
	if again := horizon(begin + day - 3600_000 - 1000); again != faster {
		t.Errorf("the horizon was %d, and is %d for the next reader", faster, again)
	}
	s.Stop()
}
