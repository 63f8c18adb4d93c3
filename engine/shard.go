package engine

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// inboxSize holds every result that can be outstanding at once (a read, ten invocations or deliveries, a save, a tick, changes of configuration), so that posting
// hardly ever waits.
const inboxSize = 64

// shardRunner is the goroutine of one machine: take an event, step, start the effects, post their results back. It has no opinions.
type shardRunner struct {
	e      *Engine
	id     Identity
	ref    function.Ref
	src    source.Source
	send   destination.Sender // nil without a destination
	x      *Executor
	log    *slog.Logger
	inbox  chan func() esm.Event
	ended  chan struct{}
	finish func(esm.FinishReason, string) // called once, from the runner's goroutine

	ctx    context.Context // of everything that may be abandoned
	cancel context.CancelFunc
	wg     sync.WaitGroup

	revision storage.Revision // of the last checkpoint saved
	horizon  record.Position  // the last one told
	fetch    context.CancelFunc
	calls    map[uint64]context.CancelFunc
	waiters  map[int]func() // enrolled lanes
	timer    *clock.Timer
	wake     time.Time
}

// post hands an event to the runner; it is made on the runner's goroutine, where the executor's state may be touched.
func (r *shardRunner) post(make func() esm.Event) {
	r.e.active.begin()
	select {
	case r.inbox <- make:
	case <-r.ended:
		r.e.active.end()
	}
}

func (r *shardRunner) postEvent(ev esm.Event) { r.post(func() esm.Event { return ev }) }

// run is the loop. It returns when the machine has finished and everything it started has ended.
func (r *shardRunner) run() {
	reason, parked := r.loop()
	close(r.ended)
	if r.timer != nil {
		r.timer.Stop()
	}
	r.cancel()
	for _, cancel := range r.waiters {
		cancel()
	}
	r.wg.Wait()
	for { // what was posted and will not be taken
		select {
		case <-r.inbox:
			r.e.active.end()
			continue
		default:
		}
		break
	}
	r.finish(reason, parked)
}

func (r *shardRunner) loop() (reason esm.FinishReason, parked string) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		var broken *esm.Broken
		if err, ok := p.(error); !ok || !errors.As(err, &broken) {
			panic(p)
		}
		// The one place where a broken invariant is caught: this machine is taken out of service, and nothing else stops.
		r.log.Error("parked: a bug in shardmill; the shard is not processed until it is restarted", "error", broken, "stack", string(debug.Stack()))
		reason, parked = r.park(), broken.Error()
	}()
	r.e.active.begin()
	ev := esm.Event(esm.Tick{})
	for {
		reason, done := r.step(ev)
		r.e.active.end()
		if done {
			return reason, ""
		}
		ev = (<-r.inbox)()
		if oldest, moved := r.horizonMoved(ev); moved {
			if reason, done := r.step(esm.Horizon{Oldest: oldest}); done {
				r.e.active.end()
				return reason, ""
			}
		}
	}
}

// step feeds one event to the machine and starts what it asks for.
func (r *shardRunner) step(ev esm.Event) (reason esm.FinishReason, done bool) {
	for _, eff := range r.x.Step(r.e.o.Clock.Now(), ev) {
		if d, ok := eff.(Done); ok {
			return d.Reason, true
		}
		r.perform(eff)
	}
	r.setTimer()
	return 0, false
}

// park keeps taking events, and acts on a release only.
func (r *shardRunner) park() esm.FinishReason {
	r.cancel()
	r.e.active.end()
	for {
		ev := (<-r.inbox)()
		r.e.active.end()
		if _, ok := ev.(esm.Release); ok {
			return esm.Released
		}
	}
}

// setTimer makes sure that a Tick comes when the machine wants one.
func (r *shardRunner) setTimer() {
	wake := r.x.Wake()
	if wake.Equal(r.wake) {
		return
	}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	r.wake = wake
	if wake.IsZero() {
		return
	}
	r.timer = r.e.o.Clock.At(wake, func() {
		r.post(func() esm.Event {
			if r.wake.Equal(wake) {
				r.wake = time.Time{}
			}
			return esm.Tick{}
		})
	})
}

// horizonMoved asks, when the machine has waited for a Tick, whether retention has moved on in the meantime.
func (r *shardRunner) horizonMoved(ev esm.Event) (oldest record.Position, moved bool) {
	if _, ok := ev.(esm.Tick); !ok {
		return 0, false
	}
	oldest, err := r.src.Oldest(r.ctx, r.id.Shard)
	if err != nil || oldest <= r.horizon {
		return 0, false
	}
	r.horizon = oldest
	return oldest, true
}
