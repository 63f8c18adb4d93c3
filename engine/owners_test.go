package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream"
)

// Each engine runs the shards that it is granted, all of them together run every shard, and none runs what no engine
// owns.
func TestEnginesRunWhatTheyOwn(t *testing.T) {
	t.Parallel()
	inBubble(t, 3, func(t *testing.T, o *owners, a, b *owner) {
		uuid := a.create(mapping.Knobs{BatchSize: p(int64(1))})
		o.give(a, o.shards[:1])
		o.give(b, o.shards[1:2])
		for i := range 30 {
			a.put(fmt.Sprint("key", i), fmt.Sprint(i))
		}
		pass(time.Minute)

		perShard := map[string]int{}
		for _, c := range o.functions.seen() {
			perShard[c.shard]++
		}
		first, second := perShard["shardId-000000000000"], perShard["shardId-000000000001"]
		if int(a.calls.Load()) != first || int(b.calls.Load()) != second || first*second == 0 || len(perShard) != 2 {
			t.Errorf("a runs %d, b %d; of the shards %v", a.calls.Load(), b.calls.Load(), perShard)
		}
		if h := o.held(uuid, 2); h.Revision != storage.Absent {
			t.Errorf("the shard that no engine owns has a checkpoint: %+v", h)
		}
	})
}

// A planned hand-over: what is revoked comes to rest, the next owner goes on exactly there. Nothing is lost, nothing
// comes twice, and order holds, in both directions, however often.
func TestPlannedHandOversRepeatNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, 2, func(t *testing.T, o *owners, a, b *owner) {
		a.create(mapping.Knobs{BatchSize: p(int64(1))})
		o.give(a, o.shards)
		from, to := a, b
		for i := range 20 {
			a.put("k", numbered(10*i+1, 10*i+10)...)
			pass(35 * time.Millisecond) // some are done, one runs
			for _, s := range o.shards {
				from.grants.Revoke(s)
			}
			pass(time.Second) // it comes to rest
			o.give(to, o.shards)
			from, to = to, from
		}
		pass(time.Minute)

		if got := o.functions.delivered(); !slices.Equal(got, numbered(1, 200)) {
			t.Errorf("delivered %v", got)
		}
		if a.calls.Load() == 0 || b.calls.Load() == 0 {
			t.Errorf("a ran %d, b %d", a.calls.Load(), b.calls.Load())
		}
	})
}

// A hand-over that waits for nothing: the next owner claims while attempts of the one before still run. They are
// duplicates, and nothing is lost or skipped.
func TestHandOversUnderLoadLoseNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, 2, func(t *testing.T, o *owners, a, b *owner) {
		uuid := a.create(mapping.Knobs{BatchSize: p(int64(3)), ParallelizationFactor: p(int64(2))})
		o.give(a, o.shards)
		from, to := a, b
		epoch := uint64(0)
		for i := range 40 {
			for k := range 4 {
				a.put(fmt.Sprint("key", k), numbered(40*i+10*k+1, 40*i+10*k+10)...)
			}
			pass(time.Duration(1+i%17) * time.Millisecond)
			epoch = o.give(to, o.shards, from)
			from, to = to, from
		}
		pass(time.Minute)

		o.inOrder(4)
		for _, s := range o.shards {
			if h := o.held(uuid, s.Index); h.Epoch != epoch {
				t.Errorf("%s: epoch %d, want %d", s.Index, h.Epoch, epoch)
			}
		}
		if m, err := a.mappings.Get(t.Context(), caller, uuid); err != nil || m.State != mapping.Enabled {
			t.Errorf("%+v, %v", m, err)
		}
	})
}

// inOrder fails unless the first deliveries of every key are all of its records, in order. Of keys key0, key1, … each
// has records 10k+1 to 10k+10 of every forty.
func (o *owners) inOrder(keys int) {
	o.t.Helper()
	next := map[string]int{}
	seen := map[string]bool{}
	for _, c := range o.functions.seen() {
		for i, key := range c.keys {
			if seen[c.data[i]] {
				continue
			}
			seen[c.data[i]] = true
			n := 0
			if _, err := fmt.Sscan(c.data[i], &n); err != nil {
				o.t.Fatal(err)
			}
			if n < next[key] {
				o.t.Errorf("%s: %d comes after %d", key, n, next[key])
			}
			next[key] = n
		}
	}
	if want := 40 * 40 / 4 * keys; len(seen) != want {
		o.t.Errorf("%d records are delivered, want %d", len(seen), want)
	}
}

// A zombie is an engine that was not told that it lost a shard. It cannot move the checkpoint: its save conflicts, what
// it ran is a duplicate, and it lets go. Granted the shard anew, it goes on where the other is.
func TestAZombieCannotMoveACheckpoint(t *testing.T) {
	t.Parallel()
	inBubble(t, 1, func(t *testing.T, o *owners, a, b *owner) {
		uuid := a.create(mapping.Knobs{BatchSize: p(int64(1))})
		o.give(a, o.shards)
		a.put("k", numbered(1, 3)...)
		pass(time.Second)
		o.functions.takes(10 * time.Second)
		a.put("k", "4")
		pass(time.Second) // it runs at a

		epoch := o.give(b, o.shards)
		pass(time.Second)
		before := o.held(uuid, 0)
		if before.Epoch != epoch || b.calls.Load() != 1 {
			t.Fatalf("epoch %d, %d calls", before.Epoch, b.calls.Load())
		}
		pass(8500 * time.Millisecond) // a's call has ended, b's has not

		if h := o.held(uuid, 0); h.Revision != before.Revision {
			t.Errorf("the zombie has moved the checkpoint to %+v", h)
		}
		o.functions.takes(10 * time.Millisecond)
		a.put("k", "5", "6")
		pass(time.Minute)
		if n := a.calls.Load(); n > 5 { // one more may have begun before its save conflicted
			t.Errorf("the zombie goes on: %d calls", n)
		}
		want := numbered(1, 6)
		got := o.functions.delivered()
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("delivered %v", got)
		}

		o.give(a, o.shards, b)
		a.put("k", "7")
		pass(time.Minute)
		if got := o.functions.delivered(); got[len(got)-1] != "7" {
			t.Errorf("the fenced shard does not go on with its next grant: %v", got)
		}
	})
}

// A late claim is refused: an engine that is granted a shard under an epoch that was overtaken does not run it.
func TestALateGrantIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, 1, func(t *testing.T, o *owners, a, b *owner) {
		uuid := b.create(mapping.Knobs{BatchSize: p(int64(1))})
		late, err := o.checkpoints.RaiseEpoch(t.Context())
		o.must(err)
		epoch := o.give(b, o.shards)
		pass(time.Second)
		for _, standing := range []bool{false, true} {
			a.grants.Grant(o.shards[0], engine.Grant{Epoch: late, Standing: standing})
			pass(time.Second)
			a.put("k", "1")
			pass(time.Second)
			if h := o.held(uuid, 0); a.calls.Load() != 0 || h.Epoch != epoch {
				t.Errorf("standing %t: %d calls, epoch %d", standing, a.calls.Load(), h.Epoch)
			}
			a.grants.Revoke(o.shards[0])
		}
	})
}

// The State of a mapping is decided by one engine. The others run their shards and leave it alone, and end with it.
func TestTheStateIsDecidedByOne(t *testing.T) {
	t.Parallel()
	inBubble(t, 2, func(t *testing.T, o *owners, a, b *owner) {
		a.grants.Decide(false)
		uuid := a.create(mapping.Knobs{BatchSize: p(int64(1))})
		o.give(a, o.shards[:1])
		o.give(b, o.shards[1:])
		state := func() mapping.State {
			m, err := b.mappings.Get(t.Context(), caller, uuid)
			o.must(err)
			return m.State
		}
		pass(time.Minute)
		if got := state(); got != mapping.Creating {
			t.Errorf("no engine decides, and it is %s", got)
		}
		b.grants.Decide(true)
		pass(time.Second)
		if got := state(); got != mapping.Enabled {
			t.Errorf("b decides, and it is %s", got)
		}
		for i := range 20 {
			a.put(fmt.Sprint("key", i), fmt.Sprint(i))
		}
		pass(time.Minute)
		if a.calls.Load() == 0 || b.calls.Load() == 0 {
			t.Errorf("a ran %d, b %d", a.calls.Load(), b.calls.Load())
		}
		_, err := a.mappings.Delete(t.Context(), caller, uuid)
		o.must(err)
		pass(time.Minute)
		left, err := o.store.Coord().List(t.Context(), "", "", 0)
		o.must(err)
		for _, e := range left {
			if strings.HasPrefix(e.Key, "mapping/") || strings.HasPrefix(e.Key, "checkpoint/") {
				t.Errorf("left: %s", e.Key)
			}
		}
		o.atRest()
	})
}

// An engine that is granted a shard of a mapping and hears late that the mapping is deleted finds no checkpoint. It
// does not begin from the start of the shard: nothing is delivered once more, and nothing is left of the mapping.
func TestADeletedMappingIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	inBubble(t, 1, func(t *testing.T, o *owners, a, b *owner) {
		uuid := a.create(mapping.Knobs{BatchSize: p(int64(1))})
		o.give(a, o.shards)
		a.put("k", numbered(1, 3)...)
		pass(time.Minute)
		b.cut.claims = make(chan struct{})
		o.give(b, o.shards, a)
		b.cut.claims <- struct{}{}
		b.cut.deaf.Store(true)
		_, err := a.mappings.Delete(t.Context(), caller, uuid)
		o.must(err)
		pass(time.Minute) // a forgets it
		close(b.cut.claims)
		pass(time.Minute)

		if got := o.functions.delivered(); !slices.Equal(got, numbered(1, 3)) || b.calls.Load() != 0 {
			t.Errorf("delivered %v, %d of them by b", got, b.calls.Load())
		}
		b.cut.deaf.Store(false)
		pass(time.Minute)
		if left, err := o.checkpoints.Shards(t.Context(), uuid); err != nil || len(left) != 0 {
			t.Errorf("checkpoints of %v are left, %v", left, err)
		}
		o.atRest()
	})
}

// An engine that has the store for itself writes nothing when it starts and nothing while its mappings are idle,
// however many there are and whatever epochs their checkpoints have.
func TestIdleMappingsWriteNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const mappings = 1000
		coord := &cut{gone: make(chan struct{})}
		w := newWorldOn(t, 1, func(c storage.Coord) storage.Coord { return cutCoord{c, coord} })
		defer w.close()
		w.put("k", "1")
		for i := range mappings {
			_, _, err := w.mappings.Create(t.Context(), caller, mapping.CreateInput{
				Knobs: mapping.Knobs{
					FunctionName: p(fmt.Sprint("f", i)),
					Metrics:      []string{"EventCount"}[:i%2], // half of them have zeros to count
				},
				EventSourceARN:   p(orders.ARN()),
				StartingPosition: p([]string{"TRIM_HORIZON", "LATEST"}[i%2]),
			})
			w.must(err)
		}
		w.pass(time.Minute)
		if got := len(w.functions.seen()); got != mappings/2 {
			t.Fatalf("%d invocations", got)
		}
		for range 2 { // the second time the directory's epoch is above that of every checkpoint
			w.engine.Stop(t.Context())
			w.pass(time.Minute)
			before := coord.commits.Load()

			w.start()
			w.pass(time.Hour)

			if n := coord.commits.Load() - before; n != 0 {
				t.Errorf("%d commits", n)
			}
			_, err := checkpoint.New(w.coord).RaiseEpoch(t.Context())
			w.must(err)
		}
		w.put("k", "2")
		w.pass(time.Minute)
		if got := len(w.functions.seen()); got != mappings/2+mappings {
			t.Errorf("%d invocations", got)
		}
	})
}

// Children wait for the checkpoint of a parent that another engine runs: they start when it says that the parent has
// ended, and not before, in the engine that owns them.
func TestChildrenWaitForAParentElsewhere(t *testing.T) {
	t.Parallel()
	inBubble(t, 1, func(t *testing.T, o *owners, a, b *owner) {
		uuid := a.create(mapping.Knobs{BatchSize: p(int64(1))})
		o.give(a, o.shards)
		a.put("k", numbered(1, 5)...)
		info, err := a.streams.Lookup(t.Context(), orders)
		o.must(err)
		left, right := info.Shards[0].Range, info.Shards[0].Range
		left.End[0], right.Start[0] = 0x7f, 0x80
		for i := 1; i < len(left.End); i++ {
			left.End[i], right.Start[i] = 0xff, 0
		}
		o.must(a.streams.Reshard(t.Context(), orders, []record.ShardID{0}, []record.HashKeyRange{left, right}))
		children := []storage.Shard{{Stream: o.stream, Index: 1}, {Stream: o.stream, Index: 2}}
		o.give(b, children)
		b.put("k", numbered(6, 8)...)
		pass(25 * time.Millisecond) // two of the parent's are done
		if n := b.calls.Load(); n != 0 || o.held(uuid, 0).Checkpoint.Ended {
			t.Fatalf("a child has begun before its parent has ended: %d calls", n)
		}
		pass(time.Minute)

		if got := o.functions.delivered(); !slices.Equal(got, numbered(1, 8)) {
			t.Errorf("delivered %v", got)
		}
		if a.calls.Load() != 5 || b.calls.Load() != 3 || !o.held(uuid, 0).Checkpoint.Ended {
			t.Errorf("a ran %d, b %d; the parent is at %+v", a.calls.Load(), b.calls.Load(), o.held(uuid, 0))
		}
	})
}

// A change of the mapping by way of one engine's rooms is put into effect by the others, without a restart.
func TestOtherEnginesFollowChangesOfTheMapping(t *testing.T) {
	t.Parallel()
	inBubble(t, 1, func(t *testing.T, o *owners, a, b *owner) {
		uuid := a.create(mapping.Knobs{BatchSize: p(int64(1))})
		o.give(b, o.shards)
		pass(time.Second)
		update := func(k mapping.Knobs) {
			_, _, err := a.mappings.Update(t.Context(), caller, uuid, mapping.UpdateInput{Knobs: k})
			o.must(err)
			pass(time.Second)
		}
		update(mapping.Knobs{BatchSize: p(int64(4))})
		a.put("k", numbered(1, 4)...)
		pass(time.Second)
		if calls := o.functions.seen(); len(calls) != 1 || len(calls[0].data) != 4 {
			t.Errorf("%d calls after the batch size has changed", len(calls))
		}
		update(mapping.Knobs{Enabled: p(false)})
		a.put("k", "5")
		pass(time.Minute)
		if n := b.calls.Load(); n != 1 {
			t.Errorf("%d calls while it is disabled", n)
		}
		update(mapping.Knobs{Enabled: p(true)})
		pass(time.Minute)
		if got := o.functions.delivered(); !slices.Equal(got, numbered(1, 5)) {
			t.Errorf("delivered %v", got)
		}
		for _, w := range o.all {
			m, err := w.mappings.Get(t.Context(), caller, uuid)
			if err != nil || m.State != mapping.Enabled || m.LastResult != "OK" {
				t.Errorf("%s shows %+v, %v", w.name, m, err)
			}
		}
	})
}

// Every shard that is taken away has the whole patience for its attempt in flight, whatever was taken away before.
func TestEveryLostShardHasItsTime(t *testing.T) {
	t.Parallel()
	inBubble(t, 2, func(t *testing.T, o *owners, a, b *owner) {
		a.create(mapping.Knobs{BatchSize: p(int64(100))})
		o.give(a, o.shards)
		begin := func(hash string, takes time.Duration) {
			t.Helper()
			o.functions.takes(takes)
			_, err := a.streams.PutRecord(t.Context(), orders, stream.PutRecordInput{
				Record: record.Record{Key: "k", Data: []byte(hash)}, HashKey: hash,
			})
			o.must(err)
			synctest.Wait()
		}
		begin("0", 2*time.Minute)
		a.grants.Revoke(o.shards[0])
		pass(20 * time.Second)
		begin("340282366920938463463374607431768211455", 25*time.Second)
		a.grants.Revoke(o.shards[1])
		o.functions.takes(10 * time.Millisecond)
		pass(time.Minute)
		o.give(b, o.shards)
		pass(time.Minute)
		if got := o.functions.delivered(); len(got) != 3 || got[2] != "0" {
			t.Errorf("delivered %v; want the one that took too long again, and the other not", got)
		}
	})
}
