package engine

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/source"
)

// Functions is what the engine needs of the function room. Safe for concurrent use.
type Functions interface {
	// Invoke runs the function once and answers its result; see function.Functions.
	Invoke(ctx context.Context, inv function.Invocation) function.Result
	// Enrol calls waiter once when concurrency of the function is free again; cancel takes the waiter back.
	Enrol(ref function.Ref, waiter func()) (cancel func())
	// Changed is closed at the next change of the function's code, configuration, concurrency, versions or aliases.
	Changed(ref function.Ref) <-chan struct{}
	// Find is the configuration of what a qualifier stands for; "" is $LATEST.
	Find(ref function.Ref, qualifier string) (*function.Configuration, bool)
}

// Options of an Engine. All members but Pace, Observe, Hinted, Metrics and Trace are required.
type Options struct {
	Mappings     *mapping.Mappings
	Functions    Functions
	Checkpoints  *checkpoint.Store
	Destinations destination.Table
	Source       func(mapping.Mapping) source.Source // what a mapping polls
	Clock        *clock.Clock
	Log          *slog.Logger
	Pace         Pace      // the zero value: as fast as it goes
	Ownership    Ownership // which shards it runs; Everything, if no other engine works on the store
	// Observe is told what happens in every shard, in order. It runs on no shard's goroutine and holds none up; while
	// it takes its time the engine is not idle, and what does not fit into the bound of what waits is told as
	// esm.Missed. nil: nothing is told.
	Observe func(Observation)
	// Hinted is told, in the same way, advice about a mapping of a function, once for each kind. nil: it goes to the
	// log only.
	Hinted func(of function.Ref, hint string)
	// how long a delete, a disable or a stop waits for attempts in flight, in real time; 0: 30 s
	AbandonAfter time.Duration
	Metrics      *metric.Store // nil: nothing is measured
	// bytes that records read and not settled take over all shards; beyond it each shard holds one batch; 0: no bound
	BufferMemory int64
	// told of every machine when it is made, and gives what is told of its events and commands; nil: nothing is
	// traced
	Trace func(Machine) Tracer
}

// Engine runs every mapping. Safe for concurrent use.
type Engine struct {
	o       Options
	active  activity
	reads   atomic.Uint64 // that have ended
	budget  *Budget
	advices advices
	tap     *tap
	crew    *crew
	pulse   pulse

	mu      sync.Mutex
	cancel  context.CancelFunc        // nil: not started
	done    chan struct{}             // closed when no mapping is taken up any more
	runners map[string]*mappingRunner // by UUID
	left    leftovers                 // that are looked for and forgotten as the mappings are followed
}

// New returns an engine that runs nothing yet.
func New(o Options) *Engine {
	if o.AbandonAfter == 0 {
		o.AbandonAfter = 30 * time.Second
	}
	e := &Engine{
		o: o, runners: map[string]*mappingRunner{}, advices: advices{given: map[string]uint64{}},
		crew: newCrew(), pulse: pulse{clock: o.Clock},
	}
	e.left = leftovers{checkpoints: o.Checkpoints, of: map[string]bool{}}
	e.tap = newTap(&e.active, o.Observe, o.Hinted)
	if o.BufferMemory > 0 {
		e.budget = NewBudget(o.BufferMemory)
	}
	return e
}

// Start begins to run the mappings that exist and those that come. It returns when the existing ones have been read. An
// engine that runs, or has been stopped, stays as it is.
func (e *Engine) Start(ctx context.Context) error {
	run, cancel := context.WithCancel(context.Background())
	e.mu.Lock()
	if e.cancel != nil {
		e.mu.Unlock()
		cancel()
		return nil
	}
	done := make(chan struct{})
	e.cancel, e.done = cancel, done
	e.mu.Unlock()
	changed := e.o.Mappings.Changed()
	if _, err := e.reconcile(ctx, run); err != nil {
		cancel()
		close(done)
		e.mu.Lock()
		e.cancel = nil
		e.mu.Unlock()
		return err
	}
	e.tap.start()
	go func() {
		defer close(done)
		e.follow(run, changed)
	}()
	return nil
}

// reconcileAgain is how long, in real time, it takes to try again what could not be brought to the runners.
const reconcileAgain = 100 * time.Millisecond

// follow brings every change of the mappings to the runners, until run ends.
func (e *Engine) follow(run context.Context, changed <-chan struct{}) {
	again := time.NewTimer(0) // what Start could not hand over
	defer again.Stop()
	for {
		select {
		case <-run.Done():
			return
		case <-changed:
		case <-again.C:
		}
		e.active.begin()
		changed = e.o.Mappings.Changed()
		failed := e.left.look(run)
		all, err := e.reconcile(run, run)
		if err == nil && failed == nil {
			failed = e.left.forget(run, e.runs)
		}
		e.active.end()
		if err == nil && failed != nil && run.Err() == nil {
			e.o.Log.Warn("forgetting checkpoints of deleted mappings; trying again", "error", failed)
			again.Reset(forgetAgain)
		}
		if err != nil && run.Err() == nil {
			e.o.Log.Error("reading event source mappings; trying again", "error", err)
		}
		if err != nil {
			changed = nil // whatever changes meanwhile is read after the pause
		}
		if err != nil || !all {
			again.Reset(reconcileAgain)
		}
	}
}

// Stop lets attempts in flight end, saves every checkpoint, tells what was observed and ends. When ctx ends first,
// attempts are abandoned; their records come again. Twice is harmless.
func (e *Engine) Stop(ctx context.Context) {
	e.mu.Lock()
	cancel, done := e.cancel, e.done
	e.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-done
	e.mu.Lock()
	runners := slices.Collect(maps.Values(e.runners))
	e.mu.Unlock()
	for _, r := range runners {
		r.stop()
	}
	for _, r := range runners {
		select {
		case <-r.ended:
		case <-ctx.Done():
			r.abandon()
			<-r.ended
		}
	}
	e.tap.stop(ctx)
	e.crew.dismiss()
}

// reconcile brings the runners in line with the mappings. all is false when a runner was too busy to be told; nothing
// new begins once run has ended.
func (e *Engine) reconcile(ctx, run context.Context) (all bool, err error) {
	mappings, err := e.o.Mappings.All(ctx)
	if err != nil {
		return false, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if run.Err() != nil {
		return true, nil
	}
	all = true
	seen := make(map[string]bool, len(mappings))
	for _, m := range mappings {
		seen[m.UUID] = true
		r := e.runners[m.UUID]
		if r == nil {
			r = newMappingRunner(e, m)
			e.runners[m.UUID] = r
			e.active.begin() // until it has begun
			go r.run()
			continue
		}
		all = r.configure(m) && all
	}
	for id, r := range e.runners {
		if !seen[id] { // forgotten: the runner has asked for it and ends by itself, or another engine has
			select {
			case <-r.ended:
				delete(e.runners, id)
				e.advices.forget(id)
				r.meter.release()
				e.left.of[id] = true
			default:
				r.vanish()
				all = false // look again
			}
		}
	}
	return all, nil
}

// runs reports whether a mapping has a runner, as every one does that was there when the mappings were read last.
func (e *Engine) runs(uuid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runners[uuid] != nil
}

// Idle reports whether nothing is under way: no invocation, no delivery, no save, no read that has found something, no
// event that waits to be taken, and no observation that waits to be told.
func (e *Engine) Idle() bool { return e.active.n.Load() == 0 }

// Rested returns a channel that is closed when nothing has been under way for a moment, at once if that is so now.
func (e *Engine) Rested() <-chan struct{} { return e.active.rested() }

// Reads returns how many reads have ended, whether they brought records, a failure or an end of the shard, or were
// abandoned. A poll that finds nothing is followed by the next one of the same read. It is counted before the engine
// can be idle.
func (e *Engine) Reads() uint64 { return e.reads.Load() }

// Buffered returns how many bytes of the buffer memory are taken, those reserved for reads under way included. It is 0
// where that memory has no bound.
func (e *Engine) Buffered() int64 { return e.budget.Used() }

// activity counts what is under way. The zero value is ready.
type activity struct {
	n     atomic.Int64
	await atomic.Pointer[chan struct{}] // closed when n falls to 0; nil without a waiter
}

func (a *activity) begin() { a.n.Add(1) }

func (a *activity) end() {
	if a.n.Add(-1) == 0 {
		a.wake()
	}
}

// wake lets those go that wait for rest.
func (a *activity) wake() {
	if a.await.Load() == nil {
		return
	}
	if c := a.await.Swap(nil); c != nil {
		close(*c)
	}
}

// rested returns a channel that is closed when n is, or has been a moment ago, 0.
func (a *activity) rested() <-chan struct{} {
	c := make(chan struct{})
	for !a.await.CompareAndSwap(nil, &c) {
		if other := a.await.Load(); other != nil {
			c = *other
			break
		}
	}
	if a.n.Load() == 0 { // the last end may have come before there was a waiter
		a.wake()
	}
	return c
}
