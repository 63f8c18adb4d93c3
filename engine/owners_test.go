package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/engine/enginetest"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/stream"
)

// owners are engines over one store, each with rooms of its own, as if it were a process of its own. Shards are theirs
// as the test hands them out.
type owners struct {
	t           *testing.T
	store       storage.Store
	clock       *clock.Clock
	functions   *fakeFunctions
	checkpoints *checkpoint.Store
	stream      uint32
	shards      []storage.Shard
	all         []*owner
	uuid        func() string
}

type owner struct {
	*owners
	name     string
	cut      *cut
	grants   *enginetest.Grants
	streams  *stream.Streams
	mappings *mapping.Mappings
	engine   *engine.Engine
	calls    atomic.Int64 // of the function
}

// newOwners returns engines, of which the first decides States, over a store with stream orders. None owns anything
// yet.
func newOwners(t *testing.T, store storage.Store, c *clock.Clock, shards int, names ...string) *owners {
	o := &owners{
		t: t, store: store, clock: c, functions: newFakeFunctions(), checkpoints: checkpoint.New(store.Coord()),
		uuid: counted(),
	}
	maker := stream.New(stream.Options{Store: store, Clock: c})
	o.must(maker.Create(t.Context(), orders, stream.CreateInput{Shards: shards}))
	info, err := maker.Lookup(t.Context(), orders)
	o.must(err)
	o.stream = info.ID
	for i := range info.Shards {
		o.shards = append(o.shards, storage.Shard{Stream: info.ID, Index: info.Shards[i].ID})
	}
	for i, name := range names {
		grants := &enginetest.Grants{}
		grants.Decide(i == 0)
		o.begin(name, grants)
	}
	return o
}

// begin starts an engine with rooms of its own.
func (o *owners) begin(name string, grants *enginetest.Grants) *owner {
	o.t.Helper()
	w := &owner{owners: o, name: name, grants: grants, cut: &cut{Store: o.store, gone: make(chan struct{})}}
	w.streams = stream.New(stream.Options{Store: w.cut, Clock: o.clock})
	o.must(w.streams.Start(o.t.Context()))
	w.mappings = mapping.New(mapping.Options{
		Coord: w.cut.Coord(), Clock: o.clock, Sources: testSources{w.streams}, Functions: testFunctions{},
		NewUUID: o.uuid,
	})
	w.engine = engine.New(engine.Options{
		Mappings: w.mappings, Functions: w, Checkpoints: checkpoint.New(w.cut.Coord()), Clock: o.clock,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Ownership: grants,
		Source: func(m mapping.Mapping) source.Source {
			return source.NewKinesis(w.streams, m.Stream, m.EventSourceARN, m.Region)
		},
	})
	o.must(w.engine.Start(o.t.Context()))
	o.all = append(o.all, w)
	return w
}

func (o *owners) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// end stops what still runs. The store is closed.
func (o *owners) end() {
	for _, w := range o.all {
		w.engine.Stop(o.t.Context())
		_ = w.mappings.Close(o.t.Context())
		w.streams.Stop()
	}
	o.must(o.store.Close())
}

// give hands shards to an engine under a new epoch. Engines that are not told, by from, go on as zombies.
func (o *owners) give(to *owner, shards []storage.Shard, from ...*owner) (epoch uint64) {
	o.t.Helper()
	for _, w := range from {
		for _, s := range shards {
			w.grants.Revoke(s)
		}
	}
	epoch, err := o.checkpoints.RaiseEpoch(o.t.Context())
	o.must(err)
	for _, s := range shards {
		to.grants.Grant(s, engine.Grant{Epoch: epoch})
	}
	return epoch
}

// create makes a mapping at an engine and waits until it is at rest.
func (w *owner) create(k mapping.Knobs) string {
	w.t.Helper()
	k.FunctionName = p("f")
	m, _, err := w.mappings.Create(w.t.Context(), caller, mapping.CreateInput{
		Knobs: k, EventSourceARN: p(orders.ARN()), StartingPosition: p("TRIM_HORIZON"),
	})
	w.must(err)
	synctest.Wait()
	return m.UUID
}

func (w *owner) put(key string, data ...string) {
	w.t.Helper()
	recs := make([]record.Record, len(data))
	for i, d := range data {
		recs[i] = record.Record{Key: key, Data: []byte(d)}
	}
	_, err := w.streams.PutRecords(w.t.Context(), orders, recs)
	w.must(err)
}

// Invoke and its neighbours are the functions as one engine sees them.
func (w *owner) Invoke(ctx context.Context, inv function.Invocation) function.Result {
	select {
	case <-w.cut.gone:
		<-ctx.Done() // the process is dead: nothing runs and nothing comes back
		return function.Result{Class: function.PlatformError, Reason: function.ReasonAbandoned, StatusCode: 500}
	default:
	}
	w.calls.Add(1)
	return w.functions.Invoke(ctx, inv)
}

func (w *owner) Enrol(ref function.Ref, waiter func()) func()          { return w.functions.Enrol(ref, waiter) }
func (w *owner) Changed(ref function.Ref) <-chan struct{}              { return w.functions.Changed(ref) }
func (w *owner) Lookup(r function.Ref) (*function.Configuration, bool) { return w.functions.Lookup(r) }

// held returns the checkpoint of a mapping on a shard.
func (o *owners) held(uuid string, shard record.ShardID) checkpoint.Held {
	o.t.Helper()
	h, _, err := o.checkpoints.Load(o.t.Context(), uuid, shard)
	o.must(err)
	return h
}

// cut is a store that a process can be cut off from, as it is by its death. It counts commits of small values.
type cut struct {
	storage.Store
	commits atomic.Int64
	once    sync.Once
	gone    chan struct{} // closed: nothing reaches the store any more, as after the death of the process
}

func (c *cut) Coord() storage.Coord { return cutCoord{c.Store.Coord(), c} }

func (c *cut) die() { c.once.Do(func() { close(c.gone) }) }

func (c *cut) err() error {
	select {
	case <-c.gone:
		return storage.ErrClosed
	default:
		return nil
	}
}

type cutCoord struct {
	storage.Coord
	c *cut
}

func (c cutCoord) Get(ctx context.Context, key string) (storage.Entry, error) {
	if err := c.c.err(); err != nil {
		return storage.Entry{}, err
	}
	return c.Coord.Get(ctx, key)
}

func (c cutCoord) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	if err := c.c.err(); err != nil {
		return nil, err
	}
	return c.Coord.List(ctx, prefix, after, n)
}

func (c cutCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if err := c.c.err(); err != nil {
		return 0, err
	}
	c.c.commits.Add(1)
	return c.Coord.Commit(ctx, group, ops...)
}

// inBubble runs a test with engines over a memory store on fake time.
func inBubble(t *testing.T, shards int, test func(t *testing.T, o *owners, a, b *owner)) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		o := newOwners(t, memory.New(memory.Options{Clock: c}), c, shards, "a", "b")
		defer o.end()
		test(t, o, o.all[0], o.all[1])
	})
}

// Each engine runs the shards that it is granted, all of them together run every shard, and none runs what nobody owns.
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
			t.Errorf("the shard that nobody owns has a checkpoint: %+v", h)
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
		o.functions.mu.Lock()
		o.functions.duration = 10 * time.Second
		o.functions.mu.Unlock()
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
		o.functions.mu.Lock()
		o.functions.duration = 10 * time.Millisecond
		o.functions.mu.Unlock()
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

// Whoever comes late is refused: an engine that is granted a shard under an epoch that was overtaken does not run it.
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
			t.Errorf("nobody decides, and it is %s", got)
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
		if !a.engine.Idle() || !b.engine.Idle() {
			t.Error("something still counts as under way")
		}
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
				Knobs: mapping.Knobs{FunctionName: p(fmt.Sprint("f", i))}, EventSourceARN: p(orders.ARN()),
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
