package stream

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// beside returns the streams of one more process over the store of b, which follows nothing, and the hooks in its
// calls.
func (b *bench) beside() (*bench, *hooked) {
	b.Helper()
	h := &hooked{Store: b.store}
	c := &bench{T: b.T, clock: b.clock, store: b.store, ctx: b.ctx}
	c.s = New(Options{Store: h, Clock: b.clock})
	b.must(c.s.ready(b.ctx))
	return c, h
}

// A change that another process makes while its earlier ones are being read is seen too.
func TestAChangeDuringTheReadingIsSeen(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, _ *bench) {
		b, h := a.beside()
		h.listed = func() { a.create(orders, 1) }
		b.must(b.s.Start(b.ctx))
		defer b.s.Stop()
		synctest.Wait()
		b.lookup(orders)
	})
}

// A stream that was deleted and made anew between two looks is another stream, under its own number.
func TestAStreamMadeAnewBetweenTwoLooks(t *testing.T) {
	t.Parallel()
	a := setup(t)
	b, _ := a.beside()
	first := a.create(orders, 1)
	b.must(b.s.catchUp(b.ctx))
	changed := b.s.ShardsChanged(first.ID)
	a.must(a.s.Delete(a.ctx, orders))
	second := a.create(orders, 2)

	b.must(b.s.catchUp(b.ctx))

	select {
	case <-changed:
	default:
		t.Error("who waits for the deleted stream was not woken")
	}
	if _, ok, err := b.s.LookupID(b.ctx, first.ID); ok || err != nil {
		t.Errorf("the deleted stream is found by its number: %t, %v", ok, err)
	}
	if info, ok, err := b.s.LookupID(b.ctx, second.ID); !ok || err != nil || len(info.Shards) != 2 {
		t.Errorf("the new stream by its number: %+v, %t, %v", info, ok, err)
	}
}

// What another process changes about a stream leaves alone what this one knows of its shards: a writer that was
// acquired again would fence the puts under way.
func TestAChangeOfAnotherProcessKeepsTheWriters(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.create(orders, 1)
	b, h := a.beside()
	b.put(orders, "k")
	a.must(a.s.AddTags(a.ctx, orders, map[string]string{"team": "a"}))

	b.must(b.s.catchUp(b.ctx))
	b.put(orders, "l")

	if tags, _, err := b.s.Tags(b.ctx, orders, "", 10); err != nil || len(tags) != 1 || h.acquires != 1 {
		t.Errorf("tags %v, %v; a writer was acquired %d times", tags, err, h.acquires)
	}
}

// A change of this process that another one follows at once is not installed over it.
func TestAnOlderChangeIsNotInstalledOverANewerOne(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, _ *bench) {
		a.create(orders, 1)
		b, h := a.beside()
		b.must(b.s.Start(b.ctx))
		defer b.s.Stop()
		synctest.Wait()
		h.committed = func() {
			a.must(a.s.AddTags(a.ctx, orders, map[string]string{"of": "a"}))
			synctest.Wait()
		}
		b.must(b.s.AddTags(b.ctx, orders, map[string]string{"by": "b"}))
		synctest.Wait()
		want := []Tag{{"by", "b"}, {"of", "a"}}
		if tags, _, err := b.s.Tags(b.ctx, orders, "", 10); err != nil || !slices.Equal(tags, want) {
			t.Errorf("tags %v, %v", tags, err)
		}
	})
}

// The records of a stream that another process has created expire here too, although there was nothing to expire
// before.
func TestADiscoveredStreamIsSwept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		store := memory.New(memory.Options{Clock: c})
		b := &bench{T: t, clock: c, store: store, ctx: t.Context()}
		b.s = New(Options{Store: store, Clock: c})
		b.must(b.s.Start(b.ctx))
		defer b.s.Stop()
		synctest.Wait()
		a, _ := b.beside() // sweeps nothing
		info := a.create(orders, 1)
		a.put(orders, "k")
		synctest.Wait()

		b.advance(DefaultRetention + 2*time.Hour)
		synctest.Wait()

		oldest, end, _, err := store.Log().Bounds(t.Context(), storage.Shard{Stream: info.ID})
		if err != nil || oldest != end {
			t.Errorf("records from %d to %d are still kept, %v", oldest, end, err)
		}
	})
}

// A stream that another process deletes is no longer measured here.
func TestAStreamDeletedElsewhereIsNoLongerMeasured(t *testing.T) {
	t.Parallel()
	a := setup(t)
	a.create(orders, 1)
	store, err := metric.New(metric.Options{Clock: a.clock, Local: a.store.Local()})
	a.must(err)
	defer store.Stop()
	b := &bench{T: t, clock: a.clock, store: a.store, ctx: a.ctx}
	b.s = New(Options{Store: a.store, Clock: a.clock, Metrics: store})
	b.put(orders, "k")
	if n := len(b.s.meters.byID); n != 1 {
		t.Fatalf("%d streams are measured", n)
	}
	a.must(a.s.Delete(a.ctx, orders))

	b.must(b.s.catchUp(b.ctx))

	if n := len(b.s.meters.byID); n != 0 {
		t.Errorf("%d streams are measured", n)
	}
}

// Stop returns when nothing reads or writes the store any more.
func TestStopWaitsForTheReading(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, _ *bench) {
		b, h := a.beside()
		gate, stopped := make(chan struct{}), make(chan struct{})
		h.list = func(string) { <-gate }
		b.must(b.s.Start(b.ctx))
		synctest.Wait()
		go func() {
			b.s.Stop()
			close(stopped)
		}()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("stopped while the store was being read")
		default:
		}
		close(gate)
		<-stopped
	})
}

// A put that meets the end of a reshard between its append and its wait goes to the children at once.
func TestAPutMeetsAReshardThatHasEnded(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, _ *bench) {
		a.create(orders, 1)
		b, h := a.beside()
		h.append = func() { b.split(orders, 0) }
		began := time.Now()
		if placed := b.put(orders, "k"); placed[0].Shard == 0 || time.Since(began) > 0 {
			t.Errorf("in %s after %s", placed[0].Shard, time.Since(began))
		}
	})
}

// Who looks for a change in the moment in which a reshard closes the shard is woken: either the log or the list tells.
func TestAReshardBetweenTwoLooksWakes(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, _ *bench) {
		info := a.create(orders, 1)
		b, h := a.beside()
		h.bounds = func() { b.split(orders, 0) }
		changed := b.s.Changed(info.ID, 0)
		synctest.Wait()
		if !woken(changed) {
			t.Error("the reader sleeps over the end of its shard")
		}
	})
}

// A creation that fails because its caller has left is undone: the name is free again.
func TestACreationIsUndoneAlthoughItsCallerHasLeft(t *testing.T) {
	t.Parallel()
	a := setup(t)
	b, h := a.beside()
	ctx, leave := context.WithCancel(b.ctx)
	h.create = leave
	if err := b.s.Create(ctx, orders, CreateInput{Shards: 2}); err == nil {
		t.Fatal("created")
	}
	if info, err := b.s.Lookup(b.ctx, orders); fault.CodeOf(err) != fault.CodeNotFound {
		t.Errorf("%+v, %v", info, err)
	}
	b.create(orders, 1)
}

// Puts that meet at a shard that nobody has acquired yet share one writer: a second one would fence the first.
func TestPutsShareTheirWriter(t *testing.T) {
	t.Parallel()
	two(t, func(t *testing.T, a, _ *bench) {
		a.create(orders, 1)
		b, h := a.beside()
		gate := make(chan struct{})
		h.acquire = func() { <-gate }
		var putting sync.WaitGroup
		for range 5 {
			putting.Go(func() { b.put(orders, "k") })
		}
		synctest.Wait()
		close(gate)
		putting.Wait()
		if h.acquires != 1 {
			t.Errorf("the shard was acquired %d times", h.acquires)
		}
	})
}

// A record that comes to a shard whose emptiness is known expires to the millisecond all the same.
func TestAnEmptyShardsHorizonIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		info := b.create(orders, 1)
		b.s.Stop()
		b.advance(DefaultRetention + time.Hour)
		b.drain(info.ID, 0, 1)
		_, err := b.s.Resolve(b.ctx, info.ID, 0, Start{Kind: TrimHorizon})
		b.must(err)
		b.advance(500 * time.Millisecond)
		b.put(orders, "k")
		for _, c := range []struct {
			pass time.Duration
			want int
		}{{DefaultRetention, 1}, {time.Millisecond, 0}} {
			b.advance(c.pass)
			if keys, _ := b.drain(info.ID, 0, 1); len(keys) != c.want {
				t.Errorf("after %s %q are readable", c.pass, keys)
			}
		}
	})
}

// What has been trimmed is not trimmed again by the next sweep.
func TestASweepTrimsOnce(t *testing.T) {
	again(t, func(b *bench, _ func(calls ...string)) {
		trims := 0
		b.s.log.(hookedLog).h.fail = func(call string) error {
			if call == "trim" {
				trims++
			}
			return nil
		}
		b.create(orders, 1)
		b.put(orders, "k")
		b.pass(DefaultRetention + 5*time.Hour)
		if trims != 1 {
			b.Errorf("%d trims", trims)
		}
	})
}

// What is known of the horizon is used no longer than it is true.
func TestTheHorizonMovesOnRecordByRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		info := b.create(orders, 1)
		b.s.Stop()
		b.advance(time.Hour)
		b.put(orders, "a")
		b.advance(30 * time.Second)
		b.put(orders, "b")
		b.advance(30 * time.Second)
		b.put(orders, "c")
		b.advance(DefaultRetention - time.Minute + time.Millisecond)
		for _, want := range [][]string{{"b", "c"}, {"c"}, nil} {
			if keys, _ := b.drain(info.ID, 0, 1); !slices.Equal(keys, want) {
				t.Errorf("%q are readable, want %q", keys, want)
			}
			b.advance(30 * time.Second)
		}
	})
}

// A closed shard that has outlived its records wakes those that wait for another shard list.
func TestAnExpiredShardChangesTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		defer b.s.Stop()
		info := b.create(orders, 1)
		b.split(orders, 0)
		changed := b.s.ShardsChanged(info.ID)
		b.advance(DefaultRetention - time.Minute)
		synctest.Wait()
		select {
		case <-changed:
			t.Error("the list changed before the shard has expired")
		default:
		}
		b.advance(2*time.Minute + time.Second)
		synctest.Wait()
		select {
		case <-changed:
		default:
			t.Error("who waits for another shard list was not woken when a shard expired")
		}
	})
}
