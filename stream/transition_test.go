package stream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

const inState = "Stream orders under account 000000000000 not ACTIVE, instead in state "

// paced returns a room whose transitions stay visible, in a bubble.
func paced(t *testing.T, test func(b *bench)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		b := &bench{T: t, clock: c, store: memory.New(memory.Options{Clock: c}), ctx: t.Context()}
		b.reopenPaced(AWSPace())
		test(b)
		b.s.Stop()
	})
}

// reopenPaced continues with another process.
func (b *bench) reopenPaced(p Pace) {
	if b.s != nil {
		b.s.Stop()
	}
	b.s = New(Options{Store: b.store, Clock: b.clock, Pace: p})
	b.must(b.s.Start(b.ctx))
}

func (b *bench) status(want Status) {
	b.Helper()
	if got := b.lookup(orders).Status; got != want {
		b.Errorf("the stream is %s, want %s", got, want)
	}
}

func (b *bench) refuses(err error, text string) {
	b.Helper()
	if err == nil || err.Error() != "ResourceInUseException: "+text && err.Error() != text {
		b.Errorf("%v, want %s", err, text)
	}
}

// O-05, O-06, O-07, O-08 and the quota of creations.
func TestACreationStaysVisible(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))

		b.status(Creating)
		if n := len(b.lookup(orders).Shards); n != 0 {
			b.Errorf("%d shards are shown", n) // O-05
		}
		_, err := b.s.PutRecords(b.ctx, orders, []record.Record{{Key: "a"}})
		wantCode(t, err, "ResourceNotFoundException")                     // O-06
		b.refuses(b.s.Split(b.ctx, orders, "0", "9"), inState+"CREATING") // O-07
		b.refuses(b.s.IncreaseRetention(b.ctx, orders, 48), inState+"CREATING")
		b.refuses(b.s.AddTags(b.ctx, orders, map[string]string{"a": "b"}), inState+"CREATING")
		b.advance(5 * time.Second)
		b.status(Active)
		b.put(orders, "a")

		other := Name{orders.Account, orders.Region, "other"}
		b.must(b.s.Create(b.ctx, other, CreateInput{Shards: 1}))
		b.must(b.s.Delete(b.ctx, other)) // O-08: allowed
		if got := b.lookup(other).Status; got != Deleting {
			b.Errorf("a stream deleted while CREATING is %s", got)
		}
		b.advance(10 * time.Second)
		_, err = b.s.Lookup(b.ctx, other)
		wantCode(t, err, "ResourceNotFoundException")

		for i := range creatingQuota {
			b.must(b.s.Create(b.ctx, Name{orders.Account, orders.Region, fmt.Sprint("s", i)}, CreateInput{Shards: 1}))
		}
		wantCode(t, b.s.Create(b.ctx, other, CreateInput{Shards: 1}), "LimitExceededException")
		b.advance(5 * time.Second)
		b.must(b.s.Create(b.ctx, other, CreateInput{Shards: 1}))
	})
}

// O-22 and 2.6: while UPDATING, reads and writes go on, and go to the parent; a second change is refused.
func TestAnUpdateStaysVisible(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 2}))
		b.advance(5 * time.Second)
		changes := []func() error{
			func() error { return b.s.Split(b.ctx, orders, "0", "9") },
			func() error { return b.s.Merge(b.ctx, orders, "3", "1") },
			func() error { _, err := b.s.UpdateShardCount(b.ctx, orders, 3); return err },
			func() error { _, err := b.s.UpdateShardCount(b.ctx, orders, 3); return err }, // the same
			func() error { return b.s.SetMode(b.ctx, orders, OnDemand, nil) },
			func() error { return b.s.SetMode(b.ctx, orders, Provisioned, nil) },
			func() error { return b.s.IncreaseRetention(b.ctx, orders, 48) },
			func() error { return b.s.DecreaseRetention(b.ctx, orders, 24) },
			func() error { return b.s.SetRecordBytes(b.ctx, orders, 2<<20) },
			func() error { return b.s.StartEncryption(b.ctx, orders, KMS, "alias/a") },
			func() error { return b.s.StartEncryption(b.ctx, orders, KMS, "alias/b") },
			func() error { return b.s.StopEncryption(b.ctx, orders, KMS, "alias/b") },
			func() error { return b.s.SetMode(b.ctx, orders, OnDemand, nil) },
			func() error { _, _, err := b.s.SetWarm(b.ctx, orders, 6); return err },
		}
		_, err := b.s.SetCommitment(b.ctx, orders.Account, orders.Region, true)
		b.must(err)
		for i, change := range changes {
			shards := len(b.lookup(orders).Shards)
			b.must(change())
			b.status(Updating)
			if n := len(b.lookup(orders).Shards); n != shards {
				b.Errorf("change %d shows %d shards before it has ended, of %d", i, n, shards)
			}
			b.put(orders, "a", "b")
			b.refuses(b.s.SetMode(b.ctx, orders, OnDemand, nil), inState+"UPDATING")
			b.refuses(b.s.Delete(b.ctx, orders), inState+"UPDATING")
			if b.lookup(orders).Mode == Provisioned { // the check of the mode comes first
				b.refuses(b.s.Split(b.ctx, orders, "0", "9"), inState+"UPDATING")
			}
			if i%2 == 0 {
				b.reopenPaced(AWSPace()) // a restart in the midst
				b.status(Updating)
			}
			b.advance(5 * time.Second)
			b.status(Active)
		}
		b.must(b.s.IncreaseRetention(b.ctx, orders, 24)) // without effect
		b.status(Active)
	})
}

// A deletion hides the stream at once from readers and writers, and its state is seen until it has ended.
func TestADeletionStaysVisible(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))
		b.advance(5 * time.Second)
		info := b.lookup(orders)
		b.put(orders, "a")
		changed := b.s.ShardsChanged(info.ID)

		const document = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"222222222222"},` +
			`"Action":"kinesis:PutRecord","Resource":"*"}}`
		b.must(b.s.Delete(b.ctx, orders))

		<-changed
		b.status(Deleting)
		if _, ok, err := b.s.LookupID(b.ctx, info.ID); ok || err != nil {
			b.Error("its readers do not learn that it is going", err)
		}
		_, err := b.s.PutRecords(b.ctx, orders, []record.Record{{Key: "a"}})
		wantCode(t, err, "ResourceNotFoundException")
		_, err = b.s.Iterator(b.ctx, orders, IteratorInput{Shard: "0", Type: IterLatest})
		wantCode(t, err, "ResourceNotFoundException")
		b.refuses(b.s.Delete(b.ctx, orders), inState+"DELETING")
		b.refuses(b.s.Split(b.ctx, orders, "0", "9"), inState+"DELETING")
		b.refuses(b.s.AddTags(b.ctx, orders, map[string]string{"a": "b"}), inState+"DELETING")
		b.refuses(b.s.SetPolicy(b.ctx, orders, document), inState+"DELETING")
		wantCode(t, b.s.Create(b.ctx, orders, CreateInput{Shards: 1}), "ResourceInUseException")
		b.reopenPaced(AWSPace())
		b.status(Deleting)
		b.advance(5 * time.Second)
		_, err = b.s.Lookup(b.ctx, orders)
		wantCode(t, err, "ResourceNotFoundException")
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))
	})
}

// What a process with a pace has left is final at once for one without.
func TestAnInstantProcessCompletesWhatAPacedOneLeft(t *testing.T) {
	paced(t, func(b *bench) {
		b.must(b.s.Create(b.ctx, orders, CreateInput{Shards: 1}))
		b.reopenPaced(Pace{})
		b.status(Active)
		b.reopenPaced(AWSPace())
		b.must(b.s.Split(b.ctx, orders, "0", "9"))
		b.reopenPaced(Pace{})
		b.status(Active)
		if n := b.lookup(orders).OpenShards(); n != 2 {
			b.Errorf("%d shards are open", n)
		}
		b.reopenPaced(AWSPace())
		b.must(b.s.Delete(b.ctx, orders))
		b.reopenPaced(Pace{})
		_, err := b.s.Lookup(b.ctx, orders)
		wantCode(t, err, "ResourceNotFoundException")
	})
}

// A storage that fails in the midst of a change leaves a stream that completes it by itself, whichever step it was.
func TestAFailedChangeIsTriedAgain(t *testing.T) {
	t.Parallel()
	for steps := range 40 {
		done := false
		synctest.Test(t, func(t *testing.T) {
			c := clock.New(0)
			f := &failing{Store: memory.New(memory.Options{Clock: c})}
			f.left.Store(1 << 30)
			b := &bench{T: t, clock: c, store: f, ctx: t.Context()}
			b.s = New(Options{Store: f, Clock: c})
			b.must(b.s.Start(b.ctx))
			b.create(orders, 4)
			f.left.Store(int64(steps))
			_, err := b.s.UpdateShardCount(b.ctx, orders, 3)
			if err != nil && !errors.Is(err, errDied) {
				t.Fatal(err)
			}
			before := b.lookup(orders)
			b.advance(1500 * time.Millisecond) // the first try fails as well
			f.left.Store(1 << 30)

			b.advance(2 * time.Second)

			info := b.lookup(orders)
			open := info.OpenShards()
			switch {
			case info.Status != Active:
				t.Fatalf("after %d steps the stream stays %s", steps, info.Status)
			case before.Status == Updating && (open != 3 || len(info.Shards) != 11):
				t.Fatalf("after %d steps %d shards are open", steps, open)
			case before.Status == Active && err != nil && open != 4:
				t.Fatalf("a change that was refused leaves %d shards", open)
			}
			b.put(orders, "a", "b", "c")
			done = err == nil
			b.s.Stop()
		})
		if done {
			return
		}
	}
	t.Fatal("the change takes more steps than were tried")
}

// An appointment of a stream that is gone does nothing to the stream that has its name now.
func TestALateAppointmentMeetsANamesake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	gone := b.s.byName[orders]
	b.must(b.s.Delete(b.ctx, orders))
	info := b.create(orders, 1)

	b.s.complete(b.ctx, gone)

	b.put(orders, "a")
	b.reopen()
	if got := b.lookup(orders); got.ID != info.ID {
		t.Errorf("%+v", got)
	}
}

// R-11 with a crash at every step: the next process finds the change done or not begun, finishes what was begun, and
// every record is readable.
func TestACrashWithinARescaleIsCompleted(t *testing.T) {
	t.Parallel()
	for steps := range 40 {
		b := setup(t)
		info := b.create(orders, 4)
		b.put(orders, "a", "b", "c", "d", "e")
		f := &failing{Store: b.store}
		f.left.Store(int64(steps))
		dying := New(Options{Store: f, Clock: b.clock})
		_, err := dying.UpdateShardCount(b.ctx, orders, 3)
		dying.Stop()

		b.s.Stop()
		b.reopen()

		after := b.lookup(orders)
		if n := len(after.Shards); after.Status != Active || n != 11 && (n != 4 || err == nil) {
			t.Fatalf("after %d steps, %v: %d shards, %s", steps, err, n, after.Status)
		}
		b.put(orders, "a", "b", "c", "d", "e")
		total := 0
		for _, sh := range after.Shards {
			keys, end := b.drain(info.ID, sh.ID, 0)
			total += len(keys)
			if (sh.Closed != 0) != (end.Kind == storage.ShardEnd) {
				t.Errorf("%s ends with %v", sh.ID, end.Kind)
			}
		}
		if total != 10 {
			t.Fatalf("after %d steps %d of 10 records are readable", steps, total)
		}
		if err == nil {
			return
		}
	}
	t.Fatal("the change takes more steps than were tried")
}

// Writers that run beside a rescale lose nothing, and each key keeps its order.
func TestPutsGoOnWhileAStreamIsRescaled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 4)
	const producers, each = 4, 60
	done := make(chan error, producers)
	for p := range producers {
		go func() {
			for i := range each {
				placed, err := b.s.PutRecords(b.ctx, orders, []record.Record{
					{Key: fmt.Sprint(p), Data: fmt.Append(nil, i)}, {Key: fmt.Sprint(p, "-", i)},
				})
				if err != nil || placed[0].Fault != nil || placed[1].Fault != nil {
					done <- fmt.Errorf("%v, %w", placed, err)
					return
				}
			}
			done <- nil
		}()
	}
	for _, n := range []int{3, 5, 10, 7, 4} {
		_, err := b.s.UpdateShardCount(b.ctx, orders, n)
		b.must(err)
	}
	for range producers {
		b.must(<-done)
	}
	total, last := 0, map[string]int{}
	for _, sh := range b.lookup(orders).Shards { // by id: parents come first
		from, end := record.Position(0), storage.End{Kind: storage.More}
		for end.Kind == storage.More {
			var err error
			from, end, err = b.s.Read(b.ctx, info.ID, sh.ID, from, storage.Limit{}, func(r record.Record) {
				total++
				var i int
				if _, err := fmt.Sscan(string(r.Data), &i); err != nil {
					return
				}
				if i != last[r.Key] {
					t.Errorf("key %s: %d comes, %d is next", r.Key, i, last[r.Key])
				}
				last[r.Key] = i + 1
			})
			b.must(err)
		}
	}
	if total != producers*each*2 {
		t.Errorf("%d records are readable, %d were acknowledged", total, producers*each*2)
	}
}

// The intent as the first release wrote it.
func TestAnOldIntentIsCarriedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 2)
	b.s.Stop()
	e, err := b.store.Coord().Get(b.ctx, nameKey(orders))
	b.must(err)
	r, err := decodeStream(e)
	b.must(err)
	r.Status, r.Version = Updating, 1
	_, err = b.store.Coord().Commit(b.ctx, group,
		storage.Op{Key: e.Key, Value: encode(r), Expect: e.Revision},
		storage.Op{Key: planKey(info.ID), Value: []byte(
			`{"v":1,"parents":[0,1],"starts":["0"],"ends":["340282366920938463463374607431768211455"]}`,
		), Expect: storage.Absent})
	b.must(err)

	b.reopen()

	if after := b.lookup(orders); after.Status != Active || len(after.Shards) != 3 || after.OpenShards() != 1 {
		t.Errorf("%+v", after)
	}
}

// The sweeper follows a shorter period at once, although its next look was an hour away.
func TestAShorterRetentionIsSwept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		info := b.create(orders, 1)
		b.must(b.s.IncreaseRetention(b.ctx, orders, 48))
		b.put(orders, "old")
		b.advance(30 * time.Hour)
		b.put(orders, "new")
		synctest.Wait()
		shard := storage.Shard{Stream: info.ID}
		before, _, _, err := b.store.Log().Bounds(b.ctx, shard)
		b.must(err)

		b.must(b.s.DecreaseRetention(b.ctx, orders, 24))
		synctest.Wait()

		after, tip, _, err := b.store.Log().Bounds(b.ctx, shard)
		if err != nil || after <= before || after != tip-1 {
			t.Errorf("the log begins at %d, then at %d of %d; %v", before, after, tip, err)
		}
		b.s.Stop()
	})
}

// Stop ends what is tried again and again.
func TestStopEndsTheTriesOfAChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		f := &failing{Store: b.store}
		f.left.Store(1)
		s := New(Options{Store: f, Clock: b.clock})
		if err := s.Split(context.Background(), orders, "0", "9"); !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		b.advance(10 * time.Minute)
		s.Stop()
		if s.transit.timers != nil {
			t.Error("a timer is left")
		}
		b.s.Stop()
	})
}
