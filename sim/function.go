package sim

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// theFunction is the one that every mapping calls.
var theFunction = fleet.Function{Name: "function"}

// functions is what a process has of package function: the machine that decides who may invoke and where, and
// execution environments that take time to start and to end, in virtual time.
type functions struct {
	fleet      *fleet.Fleet
	limits     fleet.Limits
	reserved   int
	ticket     fleet.Ticket
	generation fleet.Generation
	waiter     fleet.Waiter
	calls      map[fleet.Ticket]*call
	waiters    map[fleet.Waiter]place
	wakes      time.Time // when the Tick comes that is on its way; zero: none
}

// place is a lane that was refused.
type place struct {
	r    *runner
	lane int
}

// call is an invocation that has not ended.
type call struct {
	r       *runner
	life    int
	c       engine.Call
	ps      []record.Position
	window  *source.Window
	f       flight
	partial bool
	inLine  bool
	given   fleet.Environment
}

// drawLimits draws how much a process may do at once.
func (w *world) drawLimits(n *node) {
	n.fn.limits = fleet.Limits{
		Account: 1 + w.rng.IntN(12), Environments: pick(w, 1, 2, 3, 5, 100),
		IdleTTL: pick(w, 200*time.Millisecond, 5*time.Second, 10*time.Minute),
	}
	n.fn.reserved = fleet.Unreserved
}

// openFunctions begins anew, as a process does when it starts.
func (w *world) openFunctions(n *node) {
	n.fn.fleet = fleet.New(n.fn.limits)
	n.fn.calls, n.fn.waiters, n.fn.wakes = map[fleet.Ticket]*call{}, map[fleet.Waiter]place{}, time.Time{}
	w.fleetStep(n, fleet.Reserved{Function: theFunction, Limit: n.fn.reserved})
	w.changeFunction(n)
}

// changeFunction replaces the function's code.
func (w *world) changeFunction(n *node) {
	old := n.fn.generation
	n.fn.generation++
	w.fleetStep(n, fleet.Opened{Generation: n.fn.generation, Function: theFunction})
	w.fleetStep(n, fleet.Retired{Generation: old})
}

// limit changes what a process may do at once.
func (w *world) limit(n *node, l fleet.Limits, reserved int) {
	n.fn.limits, n.fn.reserved = l, reserved
	if n.up {
		w.tracef("node %d: limits %+v, reserved %d", n.id, l, reserved)
		w.fleetStep(n, fleet.Reserved{Function: theFunction, Limit: reserved})
		w.fleetStep(n, fleet.Limited{Limits: l})
	}
}

// invoke asks for an invocation of the function, which comes to work, or is refused and becomes a waiter.
func (w *world) invoke(n *node, i *call) {
	for id, p := range n.fn.waiters { // its lane tries by itself now; there is one of it at most
		if p == (place{i.r, i.c.Lane}) {
			delete(n.fn.waiters, id)
			w.fleetStep(n, fleet.Withdrawn{Waiter: id})
			break
		}
	}
	n.fn.ticket++
	n.fn.calls[n.fn.ticket] = i
	w.fleetStep(n, fleet.Asked{
		Ticket: n.fn.ticket, Function: theFunction, Generation: n.fn.generation, Wait: true,
	})
}

// cancelInvoke takes an invocation out of the line that nothing waits for any more. One that has an environment goes
// on.
func (w *world) cancelInvoke(r *runner, batch uint64) {
	for id, i := range r.n.fn.calls {
		if i.r == r && i.c.Batch == batch && i.inLine {
			delete(r.n.fn.calls, id)
			w.fleetStep(r.n, fleet.Left{Ticket: id})
			return
		}
	}
}

// fleetStep tells the fleet what happened and does what it wants.
func (w *world) fleetStep(n *node, ev fleet.Event) {
	for _, c := range slices.Clone(n.fn.fleet.Step(w.now, ev)) {
		w.tracef("node %d fleet > %T%+v", n.id, c, c)
		switch c := c.(type) {
		case fleet.Use:
			w.work(n, c.Ticket, c.Environment)
		case fleet.Start:
			w.startEnvironment(n, c)
		case fleet.Wait:
			n.fn.calls[c.Ticket].inLine = true
		case fleet.Stale:
			n.fn.calls[c.Ticket].inLine = false
			w.alive(n, 0, func() { w.fleetStep(n, fleet.Again{Ticket: c.Ticket, Generation: n.fn.generation}) })
		case fleet.Refuse:
			w.refused(n, c)
		case fleet.Stop:
			w.alive(n, w.upTo(300*time.Millisecond), func() { w.fleetStep(n, fleet.Gone{Environment: c.Environment}) })
		case fleet.Offer:
			p := n.fn.waiters[c.Waiter]
			delete(n.fn.waiters, c.Waiter)
			w.in(0, func() { p.r.step(esm.SlotFree{Lane: p.lane}) })
		case fleet.Dismiss:
			w.complain("a waiter is dismissed with %d in line", len(n.fn.waiters))
		case fleet.LetGo, fleet.Drained:
		}
	}
	wake := n.fn.fleet.Wake()
	if wake.IsZero() || !n.fn.wakes.IsZero() && !wake.Before(n.fn.wakes) {
		return
	}
	n.fn.wakes = wake
	w.alive(n, wake.Sub(w.now), func() {
		if n.fn.wakes.Equal(wake) {
			n.fn.wakes = time.Time{}
			w.fleetStep(n, fleet.Tick{})
		}
	})
}

// refused answers an invocation that gets no concurrency, and enrols its lane.
func (w *world) refused(n *node, c fleet.Refuse) {
	i := n.fn.calls[c.Ticket]
	delete(n.fn.calls, c.Ticket)
	if c.Reason != fleet.ReservedLimit && c.Reason != fleet.AccountLimit {
		w.complain("an invocation that waits for room is refused: %s", c.Reason)
	}
	i.r.answer(i.c, engine.Answer{Kind: engine.AnswerThrottled, StatusCode: 429})
	n.fn.waiter++
	n.fn.waiters[n.fn.waiter] = place{i.r, i.c.Lane}
	w.fleetStep(n, fleet.Enrolled{Waiter: n.fn.waiter, Function: theFunction})
}

// startEnvironment starts a process for an invocation, or fails to.
func (w *world) startEnvironment(n *node, c fleet.Start) {
	n.fn.calls[c.Ticket].inLine = false
	fails := w.chance(4)
	w.alive(n, w.upTo(400*time.Millisecond), func() {
		if !fails {
			w.fleetStep(n, fleet.Started{Environment: c.Environment})
			w.work(n, c.Ticket, c.Environment)
			return
		}
		w.fleetStep(n, fleet.Gone{Environment: c.Environment})
		i := n.fn.calls[c.Ticket]
		w.notRun(n, c.Ticket, i)
	})
}

// notRun ends an invocation of which no code has run.
func (w *world) notRun(n *node, id fleet.Ticket, i *call) {
	delete(n.fn.calls, id)
	w.fleetStep(n, fleet.Ended{Ticket: id})
	if !i.r.ended && i.r.seen.flying(i.c.Batch) != nil {
		i.r.answer(i.c, engine.Answer{Kind: engine.AnswerNotRun, StatusCode: 500})
	}
}

// work has the function's code run in an environment, unless that dies first: then it is tried again in another, or
// given up.
func (w *world) work(n *node, id fleet.Ticket, in fleet.Environment) {
	i := n.fn.calls[id]
	i.inLine, i.given = false, in
	if w.chance(5) {
		again := w.rng.IntN(2) == 0
		w.alive(n, w.upTo(time.Millisecond), func() {
			w.fleetStep(n, fleet.Died{Environment: in})
			w.alive(n, w.upTo(100*time.Millisecond), func() { w.fleetStep(n, fleet.Gone{Environment: in}) })
			if again {
				w.fleetStep(n, fleet.Again{Ticket: id, Generation: n.fn.generation})
				return
			}
			w.notRun(n, id, i)
		})
		return
	}
	takes := w.upTo(800 * time.Millisecond)
	if w.chance(4) {
		takes = w.upTo(15 * time.Second)
	}
	fate := w.chance(50) // of a call that nothing waits for any more
	w.in(takes, func() {
		if n.life == i.life {
			delete(n.fn.calls, id)
			w.fleetStep(n, fleet.Done{Ticket: id, Environment: in})
		}
		i.r.worked(i, fate)
	})
}

// misoffer offers a place to a lane that does not wait for one, or that is not there.
func (w *world) misoffer() {
	all := w.runners()
	if len(all) == 0 {
		return
	}
	r := all[w.rng.IntN(len(all))]
	r.step(esm.SlotFree{Lane: w.rng.IntN(6)})
}

// judgeFunctions complains of what is still counted when everything has come to its end.
func (w *world) judgeFunctions() {
	for _, n := range w.nodes {
		if c := n.fn.fleet.Counts(); c.Running != 0 || c.InLine != 0 || c.Waiters != 0 || c.Dying != 0 {
			w.complain("node %d: the fleet still counts %+v", n.id, c)
		}
	}
}
