package stream

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// subscriber returns a room over a store with hooks, in a bubble, and a subscription of its stream of one shard.
func subscriber(t *testing.T, test func(b *bench, h *hooked, sub *Subscription)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.s.Stop()
		h := &hooked{Store: b.store}
		b.s = New(Options{Store: h, Clock: b.clock})
		b.create(orders, 1)
		test(b, h, b.subscribe(b.register("c").ID, fromHorizon))
	})
}

// idle lets time of the bubble pass.
func (b *bench) idle(d time.Duration) { <-time.After(d) }

// event returns the next event, its number of records and how long it took.
func (b *bench) event(sub *Subscription, most int) (ev Event, records int, took time.Duration) {
	b.Helper()
	began := time.Now()
	ev, err := sub.Next(b.ctx, func() int { return most }, func(record.Record) { records++ })
	b.must(err)
	return ev, records, time.Since(began)
}

// F-02: what is put between a look at the tip and the wait is pushed at once, and does not wait for a heart-beat.
func TestAPutBetweenTheLookAndTheWaitIsPushed(t *testing.T) {
	subscriber(t, func(b *bench, h *hooked, sub *Subscription) {
		h.scanned = func() { b.put(orders, "k") }
		if _, n, took := b.event(sub, MaxReadBytes); n != 1 || took != 0 {
			b.Errorf("%d records after %s", n, took)
		}
	})
}

// F-03, gaps of at most five seconds: the four seconds to a heart-beat count from the last event, also if its reader
// has taken its time for that.
func TestHeartBeatsCountFromTheLastEvent(t *testing.T) {
	subscriber(t, func(b *bench, _ *hooked, sub *Subscription) {
		b.event(sub, MaxReadBytes)
		b.idle(3 * time.Second) // it is written
		if _, _, took := b.event(sub, MaxReadBytes); took != time.Second {
			b.Errorf("the next one comes %s later", took)
		}
	})
}

// MillisBehindLatest is 0 once the tip is reached, even if that took all that one event, or one call, may bring; short
// of it, it is the age of the last record.
func TestWhoHasReadAllIsNotBehind(t *testing.T) {
	subscriber(t, func(b *bench, _ *hooked, sub *Subscription) {
		b.put(orders, "a", "b")
		b.idle(7 * time.Second)
		token, err := b.s.Iterator(b.ctx, orders, IteratorInput{Shard: "0", Type: IterTrimHorizon})
		b.must(err)
		for _, want := range []int64{7000, 0} {
			if ev, n, _ := b.event(sub, 1); n != 1 || ev.Behind != want {
				b.Errorf("an event of %d records is %d ms behind, want %d", n, ev.Behind, want)
			}
			out, err := b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: token, Limit: 1}, func(*ShardInfo) {},
				func(record.Record) {})
			if err != nil || out.Behind != want {
				b.Errorf("a call is %d ms behind, want %d; %v", out.Behind, want, err)
			}
			token = out.Next
		}
	})
}

// F-09: at the end of a shard, behind is how long ago the shard has ended, not how old its last record is.
func TestBehindAtTheEndOfAShard(t *testing.T) {
	subscriber(t, func(b *bench, _ *hooked, sub *Subscription) {
		b.put(orders, "k")
		b.idle(10 * time.Second)
		b.split(orders, 0)
		b.idle(2 * time.Second)
		for {
			ev, _, _ := b.event(sub, MaxReadBytes)
			if ev.Children == nil {
				continue
			}
			if ev.Behind != 2000 {
				b.Errorf("%d ms behind", ev.Behind)
			}
			return
		}
	})
}

// F-03: ContinuationSequenceNumber never decreases, even if the clock does.
func TestContinuationsNeverDecrease(t *testing.T) {
	subscriber(t, func(b *bench, _ *hooked, sub *Subscription) {
		b.put(orders, "k")
		last := ""
		for i := range 4 {
			b.clock.SetOffset(time.Duration(-i) * time.Hour)
			ev, _, _ := b.event(sub, MaxReadBytes)
			if ev.Continuation < last { // all are equally long
				b.Errorf("%s follows %s", ev.Continuation, last)
			}
			last = ev.Continuation
		}
	})
}

// A subscription ends once: what happens to it later does not change what its reader is told.
func TestTheFirstReasonIsTold(t *testing.T) {
	subscriber(t, func(b *bench, _ *hooked, sub *Subscription) {
		b.clock.SetOffset(DefaultTakeOver)
		b.subscribe(sub.id, fromHorizon)
		b.clock.SetOffset(SubscriptionLife)
		synctest.Wait()
		if fault.CodeOf(sub.Ended()) != "ResourceInUseException" {
			b.Errorf("it has ended with %v", sub.Ended())
		}
	})
}

// Who moves the clock by hours does not wait for each subscription's end on the way: it is enough that all have ended.
func TestTheClockDoesNotStopAtSubscriptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.s.Stop() // whose timers stop it, too
		b.create(orders, 3)
		c := b.register("c")
		var subs []*Subscription
		for i := range 3 {
			subs = append(subs, b.subscribe(c.ID, IteratorInput{Shard: fmt.Sprint(i), Type: IterLatest}))
			<-time.After(time.Second)
		}
		stops := 0
		_, err := b.clock.Advance(b.ctx, time.Hour, func(context.Context) error { stops++; return nil })
		b.must(err)
		synctest.Wait()
		for _, sub := range subs {
			if sub.Ended() == nil {
				t.Error("one goes on")
			}
		}
		if stops != 2 { // before and after
			t.Errorf("the clock stopped %d times", stops)
		}
	})
}
