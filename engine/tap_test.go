package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/record"
)

var tapBegan = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// numbered is the n-th observation of a shard.
func numbered(shard record.ShardID, n uint64) Observation {
	at := tapBegan.Add(time.Duration(n) * time.Millisecond)
	return Observation{Identity: Identity{Mapping: "m", Shard: shard}, At: at, What: &esm.ReadAsked{Seq: n}}
}

// counting is a listener that knows how many observations of each shard there were: told in order, or said to be lost.
type counting struct {
	fail func(format string, args ...any)
	next map[record.ShardID]uint64 // of each shard; the first is 1
	lost uint64
	told uint64
}

func (c *counting) observe(o Observation) {
	if c.next == nil {
		c.next = map[record.ShardID]uint64{}
	}
	want := c.next[o.Shard] + 1
	switch what := o.What.(type) {
	case *esm.ReadAsked:
		if what.Seq != want {
			c.fail("shard %d: observation %d is told after %d", o.Shard, what.Seq, want-1)
		}
		c.next[o.Shard] = what.Seq
		c.told++
	case *esm.Missed:
		if first := numbered(o.Shard, want).At; what.Count == 0 || !what.Since.Equal(first) {
			c.fail("shard %d: %d lost since %s, the next was of %s", o.Shard, what.Count, what.Since, first)
		}
		c.next[o.Shard] += what.Count
		c.lost += what.Count
	default:
		c.fail("told %T", what)
	}
}

// However much is put in and however slowly it is told, every observation of a shard is told in its place or counted in
// its place, and the engine is idle when all of that is done and not before.
func TestWhatATapLosesIsCounted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var active activity
		c := &counting{fail: t.Fatalf}
		p := newTap(&active, c.observe, nil)
		p.size = rapid.IntRange(1, 8).Draw(t, "size")
		put := map[record.ShardID]uint64{}
		var taken []told
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			default:
				shard := record.ShardID(rapid.IntRange(0, 2).Draw(t, "shard"))
				put[shard]++
				p.put(numbered(shard, put[shard]))
			case 0: // some of what was taken is told, then more is taken
				n := rapid.IntRange(0, len(taken)).Draw(t, "told")
				for i := range taken[:n] {
					p.tell(&taken[i])
				}
				if taken = taken[n:]; len(taken) == 0 {
					taken, _ = p.takeAndTellLosses(nil)
				}
			}
			if total := p.pending.Load(); total > int64(p.size) {
				t.Fatalf("%d wait in a tap of %d", total, p.size)
			}
		}
		for len(taken) > 0 || active.n.Load() > 0 {
			for i := range taken {
				p.tell(&taken[i])
			}
			taken, _ = p.takeAndTellLosses(nil)
		}
		for shard, n := range put {
			if c.next[shard] != n {
				t.Fatalf("shard %d: %d of %d are accounted for", shard, c.next[shard], n)
			}
		}
		if active.n.Load() != 0 || p.pending.Load() != 0 {
			t.Fatalf("%d are active and %d wait when all is told", active.n.Load(), p.pending.Load())
		}
	})
}

// A listener that does not come back holds no shard up: what does not fit is counted, and told when it goes on.
func TestASlowListenerHoldsNothingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var active activity
		c := &counting{fail: t.Errorf}
		goOn := make(chan struct{})
		p := newTap(&active, func(o Observation) {
			<-goOn
			c.observe(o)
		}, nil)
		p.start()
		const n = tapSize + 1234
		for i := range n {
			p.put(numbered(7, uint64(i+1)))
		}
		synctest.Wait()
		if active.n.Load() == 0 {
			t.Error("the engine is idle before anything is told")
		}

		close(goOn)
		p.stop(t.Context())

		if c.told != tapSize || c.lost != n-tapSize || active.n.Load() != 0 {
			t.Errorf("%d told, %d lost, %d active; %d were put in", c.told, c.lost, active.n.Load(), n)
		}
	})
}

// What is told is the listener's to keep: the machine uses its storage again.
func TestWhatATapTellsIsACopy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var active activity
		var got []Observation
		p := newTap(&active, func(o Observation) { got = append(got, o) }, nil)
		p.start()
		o := numbered(1, 1)
		p.put(o)
		o.What.(*esm.ReadAsked).Seq = 99
		p.put(o)
		p.stop(t.Context())
		if len(got) != 2 || got[0].What.(*esm.ReadAsked).Seq != 1 || got[1].What.(*esm.ReadAsked).Seq != 99 {
			t.Errorf("told %+v", got)
		}
	})
}

// A stop tells what is left. One that is out of time leaves a listener behind that does not return.
func TestStopOfATap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var active activity
		gone := make(chan struct{})
		p := newTap(&active, func(Observation) { <-gone }, nil)
		p.start()
		p.put(numbered(1, 1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		p.stop(ctx)
		if took := time.Since(began); took != time.Minute+tapPatience {
			t.Errorf("the stop took %s", took)
		}
		p.put(numbered(1, 2))
		close(gone)
		p.stop(t.Context()) // twice is harmless
		if active.n.Load() != 0 {
			t.Error("what is put in after a stop counts")
		}
	})
}

// Hints go the same way, so they come in order with what they are about. One that does not fit is not given.
func TestHintsAreToldInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var active activity
		var got []string
		p := newTap(&active, func(o Observation) {
			got = append(got, fmt.Sprint(o.What.(*esm.ReadAsked).Seq))
		}, func(_ function.Ref, text string) { got = append(got, text) })
		p.size = 3
		p.put(numbered(1, 1))
		if !p.hint(function.Ref{}, "hint") {
			t.Error("there is room for a hint")
		}
		p.put(numbered(1, 2))
		if p.hint(function.Ref{}, "too much") {
			t.Error("there is no room for another")
		}
		p.start()
		p.stop(t.Context())
		if want := []string{"1", "hint", "2"}; !slices.Equal(got, want) {
			t.Errorf("told %q", got)
		}
	})
}

// Advice that does not fit is given with the next attempt that deserves it, and then once.
func TestAdviceThatDoesNotFitIsGivenLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := 0
		e := New(Options{
			Log: slog.New(slog.DiscardHandler), Hinted: func(function.Ref, string) { given++ },
		})
		o := numbered(1, 1)
		for _, size := range []int{0, 10, 10} {
			e.tap.size = size
			e.advise(&o, esm.AdviceBlocked)
		}
		e.tap.start()
		e.tap.stop(t.Context())
		if given != 1 {
			t.Errorf("given %d times", given)
		}
	})
}
