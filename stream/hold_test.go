package stream

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// hold begins the subscription of an owner to the first shard, which must be let through.
func (b *bench) hold(of ConsumerID, owner string) *Subscription {
	b.Helper()
	sub, err := b.s.Hold(b.ctx, b.lookup(orders).ID, of, owner, 0)
	b.must(err)
	b.Cleanup(sub.Close)
	return sub
}

// woken reports whether a wait for a change would have ended by now. Others must be at rest.
func woken(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

// S-43: a mapping takes over from itself at any time, as after a restart of its reading. Another mapping of the same
// consumer is another reader: it waits for five seconds, F-05.
func TestAnOwnerTakesOverFromItselfAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	c := b.register("c")
	first := b.hold(c.ID, "a")

	_, err := b.s.Hold(b.ctx, info.ID, c.ID, "b", 0)
	wantCode(t, err, "ResourceInUseException")
	second := b.hold(c.ID, "a")
	if first.Ended() == nil || second.Ended() != nil {
		t.Errorf("the first has ended with %v, the second with %v", first.Ended(), second.Ended())
	}
	b.clock.SetOffset(DefaultTakeOver)
	b.hold(c.ID, "b")
	if fault.CodeOf(second.Ended()) != "ResourceInUseException" {
		t.Errorf("the second has ended with %v", second.Ended())
	}
}

// A consumer of the same name of a stream that was made anew is another one.
func TestAnOwnerIsHeldToItsStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.create(orders, 1)
	b.register("c")
	b.must(b.s.DeleteWithConsumers(b.ctx, orders))
	b.create(orders, 1)
	b.register("c")

	_, err := b.s.Hold(b.ctx, before.ID, ConsumerNamed(orders, "c"), "a", 0)
	wantCode(t, err, "ResourceNotFoundException")
}

// F-04, for mappings: neither a consumer that is CREATING nor one that is DELETING reads.
func TestAnOwnerWaitsForItsConsumer(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))
		b.advance(5 * time.Second)
		c, id := b.register("c"), b.lookup(orders).ID
		_, err := b.s.Hold(b.ctx, id, c.ID, "a", 0)
		wantCode(b.T, err, "ResourceInUseException")
		b.advance(5 * time.Second)
		sub := b.hold(c.ID, "a")
		b.must(b.s.DeregisterConsumer(b.ctx, c.ID))
		_, err = b.s.Hold(b.ctx, id, c.ID, "a", 0)
		wantCode(b.T, err, "ResourceInUseException")
		if fault.CodeOf(sub.Ended()) != "ResourceNotFoundException" {
			b.Errorf("the subscription of before has ended with %v", sub.Ended())
		}
		sub.Close()
	})
}

// Whoever waits for records is woken by them and by the end of the subscription, and the wait costs one goroutine,
// however often it is asked for.
func TestAnOwnerIsWokenByTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		c := b.register("c")
		sub := b.hold(c.ID, "a")
		changed := sub.Changed()
		synctest.Wait()
		if again := sub.Changed(); again != changed || woken(changed) {
			t.Error("a second look makes another channel, or nothing wakes")
		}
		b.put(orders, "k")
		synctest.Wait()
		if !woken(changed) {
			t.Error("a record does not wake")
		}
		changed = sub.Changed()
		b.hold(c.ID, "a") // takes over
		synctest.Wait()
		if !woken(changed) {
			t.Error("the end does not wake")
		}
		_, _, err := sub.Read(b.ctx, 1, storage.Limit{}, func(record.Record) {})
		wantCode(t, err, "ResourceInUseException")
		b.s.Stop()
	})
}

// counted returns the samples and the sum of a metric of consumer c.
func counted(st *metric.Store, k metric.Kind) (samples, sum float64) {
	st.Each(func(id metric.ID, _ string, total metric.Total) {
		if id.Name == k.Name && slices.ContainsFunc(id.Dimensions, func(d metric.Dimension) bool {
			return d.Name == metric.ConsumerName
		}) {
			samples, sum = total.Count, total.Sum
		}
	})
	return samples, sum
}

// SubscribeToShardEvent.Success is 0 for an event that the store kept from being published. A read that brings a
// mapping nothing is no event, and a reader that leaves has not failed.
func TestOnlyEventsAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, st := metered(t)
		b.s.Stop()
		h := &hooked{Store: b.store}
		b.s = New(Options{Store: h, Clock: b.clock, Metrics: st})
		b.create(orders, 1)
		c, d := b.register("c"), b.register("d")
		check := func(what string, samples, sum float64) {
			t.Helper()
			if n, total := counted(st, metric.SubscribeEvents); n != samples || total != sum {
				t.Errorf("%s: %g of %g events", what, total, n)
			}
		}
		owner := b.hold(c.ID, "a")
		read := func(ctx context.Context) error {
			_, _, err := owner.Read(ctx, 1, storage.Limit{}, func(record.Record) {})
			return err
		}
		b.must(read(b.ctx))
		check("nothing to read", 0, 0)

		h.fail = func(call string) error {
			if call == "scan" {
				return errDied
			}
			return nil
		}
		ctx, leave := context.WithCancel(b.ctx)
		leave()
		if read(ctx) == nil {
			t.Error("a read of who has left succeeds")
		}
		check("a reader that has left", 0, 0)
		if read(b.ctx) == nil {
			t.Error("a read of a broken store succeeds")
		}
		check("a broken store", 1, 0)
		owner.Close()
		b.must(b.s.DeregisterConsumer(b.ctx, c.ID))
		if _, err := b.subscribe(d.ID, IteratorInput{Shard: "0", Type: IterLatest}).Next(
			b.ctx, anySize, func(record.Record) {}); err == nil {
			t.Error("a client reads of a broken store")
		}
		check("a client", 1, 0)
		st.Stop()
	})
}
