package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/source"
)

// Functions is what the engine needs of the function room. Safe for concurrent use.
type Functions interface {
	// Invoke runs the function once and answers its result; see function.Functions.
	Invoke(ctx context.Context, inv function.Invocation) function.Result
	// Enrol calls waiter once when concurrency of the function is free again; cancel takes the waiter back.
	Enrol(ref function.Ref, waiter func()) (cancel func())
	// Changed is closed at the next change of the function's code, configuration or concurrency.
	Changed(ref function.Ref) <-chan struct{}
	// Lookup is the function's configuration.
	Lookup(ref function.Ref) (*function.Configuration, bool)
}

// Options of an Engine. All members but Observe are required.
type Options struct {
	Mappings     *mapping.Mappings
	Functions    Functions
	Checkpoints  *checkpoint.Store
	Destinations destination.Table
	Source       func(mapping.Mapping) source.Source // what a mapping polls
	Clock        *clock.Clock
	Log          *slog.Logger
	Epoch        uint64            // of the node lease; written into every checkpoint
	Observe      func(Observation) // must not block; nil: nobody listens
	AbandonAfter time.Duration     // how long a delete, a disable or a stop waits for attempts in flight, in real time; 0: 30 s
}

// Engine runs every mapping. Safe for concurrent use.
type Engine struct {
	o      Options
	active activity

	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	runners map[string]*mappingRunner // by UUID
}

// New is an engine that runs nothing yet.
func New(o Options) *Engine {
	if o.AbandonAfter == 0 {
		o.AbandonAfter = 30 * time.Second
	}
	if o.Observe == nil {
		o.Observe = func(Observation) {}
	}
	return &Engine{o: o, runners: map[string]*mappingRunner{}}
}

// Start begins to run the mappings that exist and those that come. It returns when the existing ones have been read.
func (e *Engine) Start(ctx context.Context) error {
	changed := e.o.Mappings.Changed()
	if err := e.reconcile(ctx); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.Background())
	e.cancel, e.done = cancel, make(chan struct{})
	go func() {
		defer close(e.done)
		for {
			select {
			case <-run.Done():
				return
			case <-changed:
			}
			changed = e.o.Mappings.Changed()
			if err := e.reconcile(run); err != nil && run.Err() == nil {
				e.o.Log.Error("reading event source mappings; trying again at the next change", "error", err)
			}
		}
	}()
	return nil
}

// Stop lets attempts in flight end, saves every checkpoint and ends. When ctx ends first, attempts are abandoned; their records come again. Twice is harmless.
func (e *Engine) Stop(ctx context.Context) {
	if e.cancel == nil {
		return
	}
	e.cancel()
	<-e.done
	e.mu.Lock()
	runners := make([]*mappingRunner, 0, len(e.runners))
	for _, r := range e.runners {
		runners = append(runners, r)
	}
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
}

// reconcile brings the runners in line with the mappings.
func (e *Engine) reconcile(ctx context.Context) error {
	all, err := e.o.Mappings.All(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := make(map[string]bool, len(all))
	for _, m := range all {
		seen[m.UUID] = true
		r := e.runners[m.UUID]
		if r == nil {
			r = newMappingRunner(e, m)
			e.runners[m.UUID] = r
			go r.run()
			continue
		}
		r.configure(m)
	}
	for id, r := range e.runners {
		if !seen[id] { // forgotten: the runner has asked for it and ends by itself
			select {
			case <-r.ended:
				delete(e.runners, id)
			default:
			}
		}
	}
	return nil
}

// Idle reports that nothing is under way: no invocation, no delivery, no save, no read that has found something, no event that waits to be taken.
func (e *Engine) Idle() bool { return e.active.n.Load() == 0 }

// activity counts what is under way.
type activity struct{ n atomic.Int64 }

func (a *activity) begin() { a.n.Add(1) }
func (a *activity) end()   { a.n.Add(-1) }

// ShardStatus is what one shard of a mapping does, for people.
type ShardStatus struct {
	Identity
	Parked string // why the machine was taken out of service; "" when it runs
}
