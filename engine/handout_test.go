package engine_test

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

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
	return o.beginOn(&cut{Store: o.store, gone: make(chan struct{})}, name, grants)
}

// beginOn does so over a store as the engine sees it.
func (o *owners) beginOn(store *cut, name string, grants *enginetest.Grants) *owner {
	o.t.Helper()
	w := &owner{owners: o, name: name, grants: grants, cut: store}
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
	return createMapping(w.t, w.mappings, k)
}

func (w *owner) put(key string, data ...string) {
	w.t.Helper()
	putRecords(w.t, w.streams, key, data)
}

// atRest fails unless nothing counts as under way at any engine.
func (o *owners) atRest() {
	o.t.Helper()
	for _, w := range o.all {
		if !w.engine.Idle() {
			o.t.Errorf("%s: something still counts as under way", w.name)
		}
	}
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

func (w *owner) Enrol(ref function.Ref, waiter func()) func() { return w.functions.Enrol(ref, waiter) }
func (w *owner) Changed(ref function.Ref) <-chan struct{}     { return w.functions.Changed(ref) }
func (w *owner) Find(r function.Ref, qualifier string) (*function.Configuration, bool) {
	return w.functions.Find(r, qualifier)
}

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
	claims  chan struct{} // unless nil, taken from before a checkpoint is looked at, twice
	looks   chan struct{} // unless nil, taken from before it is looked whose checkpoints there are, twice
	keeps   atomic.Bool   // no checkpoint can be deleted
	deaf    atomic.Bool   // mappings cannot be listed, so no change of them is heard of
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
	if c.c.claims != nil && strings.HasPrefix(key, "checkpoint/") {
		<-c.c.claims // it is about to look
		<-c.c.claims // it may
	}
	return c.Coord.Get(ctx, key)
}

func (c cutCoord) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	if err := c.c.err(); err != nil {
		return nil, err
	}
	if c.c.deaf.Load() && strings.HasPrefix(prefix, "mapping/") {
		return nil, errDisk
	}
	if c.c.looks != nil && prefix == "checkpoint/" {
		<-c.c.looks
		<-c.c.looks
	}
	return c.Coord.List(ctx, prefix, after, n)
}

func (c cutCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if err := c.c.err(); err != nil {
		return 0, err
	}
	if c.c.keeps.Load() && strings.HasPrefix(group, "checkpoint/") && ops[0].Value == nil {
		return 0, errDisk
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
