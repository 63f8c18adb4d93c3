package engine

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// inboxSize holds every result that can be outstanding at once (a read, ten invocations or deliveries, a save, a tick,
// changes of configuration), so that posting hardly ever waits.
const inboxSize = 64

// shardRunner is the goroutine of one machine: take an event, step, start the effects, post their results back. It has
// no opinions.
type shardRunner struct {
	e      *Engine
	id     Identity
	target function.Name
	src    source.Source
	send   destination.Sender // nil without a destination
	x      *Executor
	log    *slog.Logger
	meter  *meter
	inbox  *inbox[posted]
	broken func(why string)       // the machine is parked; called at most once, must not block
	hinder func(h hindrance)      // what keeps it from reading now; must not block
	finish func(esm.FinishReason) // called once, when everything has ended

	ctx    context.Context // of everything that may be abandoned
	cancel context.CancelFunc
	wg     sync.WaitGroup

	epoch    uint64           // of the grant under which it runs
	revision storage.Revision // of the last checkpoint saved
	horizon  record.Position  // the last one told
	reserved atomic.Int64     // of the budget, for reads under way
	hindered atomic.Int32     // the hindrance that it was told last
	fetch    context.CancelFunc
	calls    map[uint64]context.CancelFunc
	waiters  map[int]*waiter // enrolled lanes
	timer    *clock.Timer
	abandon  *time.Timer // since its release; the mapping runner's
	wake     time.Time
}

// hindrance is why a shard cannot be read where trying again does not help by itself.
type hindrance int32

const (
	unhindered hindrance = iota
	denied               // the function's role may not read
	keptOut              // another reader has the place of the consumer
)

// hindranceOf returns what an error of a read says.
func hindranceOf(err error) hindrance {
	switch fault.CodeOf(err) {
	case fault.CodeAccessDenied:
		return denied
	case fault.CodeInUse:
		return keptOut
	}
	return unhindered
}

// hinders notes what keeps the shard from being read, and tells it when it changes.
func (r *shardRunner) hinders(h hindrance) {
	if hindrance(r.hindered.Load()) != h { // only the read under way writes it
		r.hindered.Store(int32(h))
		r.hinder(h)
	}
}

// posted is an entry of a runner's inbox: an event, or how to make it where the executor's state may be touched, on the
// runner's goroutine.
type posted struct {
	event esm.Event
	make  func() esm.Event
	ask   func(parked string) // neither: a question, with why the machine is parked if it is
}

func (p posted) get() esm.Event {
	if p.make != nil {
		return p.make()
	}
	return p.event
}

func (r *shardRunner) post(make func() esm.Event) { r.inbox.post(posted{make: make}) }
func (r *shardRunner) postEvent(ev esm.Event)     { r.inbox.post(posted{event: ev}) }

// run is the loop. It returns when the machine has finished and everything it started has ended.
func (r *shardRunner) run() {
	reason := r.loop()
	r.cancel()
	r.inbox.close()
	if r.timer != nil {
		r.timer.Stop()
	}
	for _, w := range r.waiters {
		w.cancel()
	}
	r.wg.Wait()
	r.x.Close()
	r.e.budget.Return(r.reserved.Load())
	r.finish(reason)
}

func (r *shardRunner) loop() (reason esm.FinishReason) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		var broken *esm.Broken
		if err, ok := p.(error); !ok || !errors.As(err, &broken) {
			panic(p)
		}
		// The one place where a broken invariant is caught: this machine is taken out of service, and nothing else
		// stops.
		r.log.Error(
			"parked: a bug in shardmill; the shard is not processed until it is restarted", "error", broken, "stack",
			string(debug.Stack()),
		)
		r.broken(broken.Error())
		r.e.tap.put(Observation{Identity: r.id, At: r.e.o.Clock.Now(), What: &esm.Parked{Why: broken.What}})
		r.e.active.end() // of the event that broke it
		reason = r.park(broken.What)
	}()
	r.e.active.begin()
	ev := esm.Event(esm.Tick{})
	for {
		reason, done := r.step(ev)
		r.e.active.end()
		if done {
			return reason
		}
		ev = r.next()
		if oldest, moved := r.horizonMoved(ev); moved {
			if reason, done := r.step(esm.Horizon{Oldest: oldest}); done {
				r.e.active.end()
				return reason
			}
		}
	}
}

// next returns the next event, and answers the questions that come before it.
func (r *shardRunner) next() esm.Event {
	for {
		p := <-r.inbox.ch
		if p.ask == nil {
			return p.get()
		}
		p.ask("")
		r.e.active.end()
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

// park keeps taking events, and acts on a release only. Nothing else is looked at: the executor may be in any state.
func (r *shardRunner) park(why string) esm.FinishReason {
	r.cancel()
	for next := range r.inbox.ch {
		if next.ask != nil {
			next.ask(why)
		}
		r.e.active.end()
		if _, ok := next.event.(esm.Release); ok {
			break
		}
	}
	return esm.Released
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
