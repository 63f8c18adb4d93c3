package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
)

func anySize() int { return MaxReadBytes }

// subscribe begins a subscription that must be let through.
func (b *bench) subscribe(id ConsumerID, in IteratorInput) *Subscription {
	b.Helper()
	sub, err := b.s.Subscribe(b.ctx, id, in)
	b.must(err)
	b.Cleanup(sub.Close)
	return sub
}

var fromHorizon = IteratorInput{Shard: "0", Type: IterTrimHorizon}

// next returns the keys of the next event, how it ended, or the code of its fault.
func (b *bench) next(sub *Subscription) string {
	b.Helper()
	var keys []string
	_, err := sub.Next(b.ctx, anySize, func(r record.Record) { keys = append(keys, r.Key) })
	switch {
	case errors.Is(err, io.EOF):
		return "end"
	case err != nil:
		return fault.CodeOf(err)
	}
	return strings.Join(keys, " ")
}

// SubscribeToShard.Success, .RateExceeded, SubscribeToShardEvent.Success, .Bytes, .Records, .MillisBehindLatest count
// by stream and consumer, and an event in the Outgoing metrics of its shard; not as a GetRecords. They go with the
// consumer.
func TestConsumersAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, st := metered(t)
		b.create(orders, 1)
		b.monitor(AllShardMetrics, 0)
		shown := func() (all []string) {
			st.Each(func(id metric.ID, _ string, total metric.Total) {
				consumer := slices.ContainsFunc(id.Dimensions, func(d metric.Dimension) bool {
					return d.Name == metric.ConsumerName && d.Value == "c"
				})
				if total.Count > 0 && (consumer && len(id.Dimensions) == 2 || strings.HasPrefix(id.Name, "Outgoing") ||
					strings.HasPrefix(id.Name, "GetRecords")) {
					all = append(all, fmt.Sprintf("%s %g/%g", id.Name, total.Sum, total.Count))
				}
			})
			slices.Sort(all)
			return all
		}
		c := b.register("c")
		sub := b.subscribe(c.ID, fromHorizon)
		_, err := b.s.Subscribe(b.ctx, c.ID, fromHorizon)
		wantCode(t, err, "ResourceInUseException")
		var refused *fault.Error
		if !errors.As(err, &refused) || !strings.Contains(refused.Hint, "after 5s it can be taken over") {
			t.Errorf("refused with %+v", refused)
		}
		b.put(orders, "a", "bb") // 10 and 12 bytes, keys included
		b.put(orders, "c")
		<-time.After(time.Second)
		if _, err := sub.Next(b.ctx, func() int { return 22 },
			func(record.Record) {}); err != nil { // one second behind
			t.Fatal(err)
		}
		b.next(sub)
		b.next(sub) // nothing, after a while

		b.shows(shown, "OutgoingBytes 32/2", "OutgoingRecords 3/2", "SubscribeToShard.RateExceeded 1/1",
			"SubscribeToShard.Success 1/2", "SubscribeToShardEvent.Bytes 32/3",
			"SubscribeToShardEvent.MillisBehindLatest 1000/3", "SubscribeToShardEvent.Records 3/3",
			"SubscribeToShardEvent.Success 3/3")

		b.must(b.s.DeregisterConsumer(b.ctx, c.ID))
		b.shows(shown, "OutgoingBytes 32/2", "OutgoingRecords 3/2")
	})
}

// A consumer that another process deregisters, and a stream that it deletes, end the subscriptions of this one.
func TestSubscriptionsEndWithWhatAnotherProcessRemoves(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, b *bench) {
		a.create(orders, 1)
		c, d := a.register("c"), a.register("d")
		synctest.Wait()
		subs := []*Subscription{b.subscribe(c.ID, fromHorizon), b.subscribe(d.ID, fromHorizon)}
		a.must(a.s.DeregisterConsumer(a.ctx, c.ID))
		if got := b.next(subs[0]); got != "ResourceNotFoundException" {
			t.Errorf("the first ends with %s", got)
		}
		a.must(a.s.DeleteWithConsumers(a.ctx, orders))
		if got := b.next(subs[1]); got != "ResourceNotFoundException" {
			t.Errorf("the second ends with %s", got)
		}
	})
}

// A subscription that begins while its consumer goes does not outlive it, whichever comes first.
func TestASubscriptionIsNotForgottenByARace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	c := b.register("c")
	st, err := b.s.find(b.ctx, orders)
	b.must(err)
	before := st.snap.Load()
	b.must(b.s.DeregisterConsumer(b.ctx, c.ID))

	_, err = b.s.subscribe(before, before.consumers[0], before.shards[0], 1, "")

	wantCode(t, err, "ResourceNotFoundException")
	if n := len(b.s.seats.of); n != 0 {
		t.Errorf("seats of %d consumers are kept, and there is none", n)
	}
}

// What begins while its consumer goes finds no series, and makes none: nobody would release them.
func TestAConsumerThatIsGoneIsNotMeasured(t *testing.T) {
	t.Parallel()
	b, st := metered(t)
	b.create(orders, 1)
	var m consumerMeter
	m.release()
	m.open(st, b.register("c").ID)
	if n, _ := counted(st, metric.SubscribeSuccess); m.subscribed != nil || n != 0 {
		t.Errorf("a series with %g samples", n)
	}
	m.failed(b.clock.Now())
}

// A reader that has left leaves no timer behind for the rest of the five minutes.
func TestCloseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		b.s.Stop() // whose timers fire, too
		b.subscribe(b.register("c").ID, fromHorizon).Close()
		before := b.clock.Fired()
		b.advance(2 * SubscriptionLife)
		if n := b.clock.Fired() - before; n != 0 {
			t.Errorf("%d timers have fired", n)
		}
	})
}

// 6.2, two mebibytes a second: events that are too small for a pause of their own add up. A subscription that ends does
// not wait for its pause, nor does one whose clock was set back.
func TestTheRateOfASubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.s.Stop()
		b.s = New(Options{Store: b.store, Clock: b.clock})
		b.create(orders, 1)
		for range 4 {
			recs := make([]record.Record, 128)
			for i := range recs {
				recs[i] = record.Record{Key: "k", Data: make([]byte, 8<<10-1)}
			}
			_, err := b.s.PutRecords(b.ctx, orders, recs)
			b.must(err)
		}
		b.s = New(Options{Store: b.store, Clock: b.clock, Limits: true})
		sub := b.subscribe(b.register("c").ID, fromHorizon)
		took := func(most int) time.Duration {
			t.Helper()
			began := time.Now()
			_, err := sub.Next(b.ctx, func() int { return most }, func(record.Record) {})
			b.must(err)
			return time.Since(began)
		}
		all := time.Duration(0)
		for range 256 { // two mebibytes
			all += took(8 << 10)
		}
		if all < 980*time.Millisecond || all > time.Second {
			t.Errorf("256 events of 8 KiB took %s", all)
		}
		took(1 << 20)
		b.clock.SetOffset(-time.Hour)
		if d := took(8 << 10); d != 0 {
			t.Errorf("after the clock was set back an event took %s", d)
		}
		took(1<<20 - 8<<10) // half a second is owed now
		go func() {
			<-time.After(100 * time.Millisecond)
			b.s.EndSubscriptions()
		}()
		began := time.Now()
		if got := b.next(sub); got != "InternalFailure" || time.Since(began) != 100*time.Millisecond {
			t.Errorf("it ends with %s after %s", got, time.Since(began))
		}
	})
}

// The Outgoing metrics of a shard follow the stream's setting as it is by now, not as it was when the reader came.
func TestASubscriptionMeasuresWhatIsAskedForByNow(t *testing.T) {
	t.Parallel()
	b, shown := monitored(t)
	b.monitor(0, AllShardMetrics)
	sub := b.subscribe(b.register("c").ID, fromHorizon)
	b.put(orders, "before")
	b.next(sub)
	b.monitor(ShardOutgoingRecords, 0)
	b.put(orders, "a", "b")
	b.next(sub)
	b.shows(shown, "OutgoingRecords 0 2/1")
}

// Seats that nobody has are removed once they mean nothing, however many shards there are.
func TestFreeSeatsAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 3*mostFree)
	c := b.register("c")
	for i := range 3 * mostFree {
		b.subscribe(c.ID, IteratorInput{Shard: fmt.Sprint(i), Type: IterLatest}).Close()
		b.clock.SetOffset(b.clock.Offset() + time.Second)
	}
	b.clock.SetOffset(b.clock.Offset() + time.Hour)
	b.subscribe(c.ID, IteratorInput{Shard: "0", Type: IterLatest}).Close()
	b.clock.SetOffset(b.clock.Offset() + time.Hour)
	b.subscribe(c.ID, IteratorInput{Shard: "0", Type: IterLatest}).Close() // whose seat is free by now
	for _, of := range b.s.seats.of {
		if len(of.at) > mostFree+1 || of.free != len(of.at) {
			t.Errorf("%d seats are kept, %d of them free", len(of.at), of.free)
		}
	}
}

// TakeOver: negative: a second subscription always wins.
func TestAnyAgeCanBeTakenOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.s = New(Options{Store: b.store, Clock: b.clock, TakeOver: -1})
	b.create(orders, 1)
	c := b.register("c")
	first := b.subscribe(c.ID, fromHorizon)
	b.subscribe(c.ID, fromHorizon)
	if got := b.next(first); got != "ResourceInUseException" {
		t.Errorf("the first ends with %s", got)
	}
}

// A reader behind the trim horizon goes on at the oldest record, silently, as with GetRecords.
func TestASubscriptionFollowsTheTrimHorizon(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	c := b.register("c")
	old := b.put(orders, "old")[0]
	b.clock.SetOffset(25 * time.Hour)
	b.put(orders, "new")
	number := b.lookup(orders).SequenceNumber(0, old.Pos, old.Arrival)
	sub := b.subscribe(c.ID, IteratorInput{Shard: "0", Type: IterAt, Sequence: number})
	if got := b.next(sub); got != "new" {
		t.Errorf("the first event has %s", got)
	}
}

// A reader that leaves is told so, and OnEnd tells of other ends only: at once if it has ended before.
func TestEndsAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		c, d := b.register("c"), b.register("d")
		told := 0
		sub := b.subscribe(c.ID, fromHorizon)
		sub.OnEnd(func() { told++ })
		ctx, leave := context.WithCancel(b.ctx)
		leave()
		if _, err := sub.Next(ctx, anySize, func(record.Record) {}); !errors.Is(err, context.Canceled) {
			t.Errorf("a reader that has left gets %v", err)
		}
		sub.Close()
		sub.Close()
		other := b.subscribe(d.ID, fromHorizon)
		other.OnEnd(func() { told += 10 })
		b.s.EndSubscriptions()
		other.OnEnd(func() { told += 100 })
		if told != 110 {
			t.Errorf("told %d", told)
		}
		_, err := b.s.Subscribe(b.ctx, d.ID, IteratorInput{Shard: "0", Type: IterLatest})
		wantCode(t, err, "InternalFailure")
	})
}
