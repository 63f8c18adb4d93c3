package function

import (
	"context"
	"sync"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
)

// fleetShell carries out what fleet.Fleet decides: it maps numbers to invocations, environments, generations and
// waiters. One lock guards it all; under it there are only decisions.
type fleetShell struct {
	mu      sync.Mutex
	machine *fleet.Fleet

	tickets      fleet.Ticket // the last ones assigned, like the next two
	opened       fleet.Generation
	enrolled     fleet.Waiter
	inLine       map[fleet.Ticket]chan answer // of invocations that wait for room; each takes one answer
	environments map[fleet.Environment]*environment
	generations  map[fleet.Generation]*generation
	waiters      map[fleet.Waiter]func() // that are not called yet

	drained chan struct{} // closed when the machine says so
	timer   *time.Timer   // runs out at alarm
	alarm   time.Time     // zero: it does not run
}

// grant is the fleet's answer to an invocation.
type grant uint8

const (
	stands   grant = iota // a place in the line: the answer comes later
	warm                  // an environment that waits for work
	mayStart              // leave to start one; it is counted already
	stale                 // nothing: its generation is over, look up the function again
	refused               // nothing: it has ended
)

// answer is a grant and what comes with it.
type answer struct {
	grant  grant
	env    *environment      // with warm
	number fleet.Environment // with mayStart: the environment to start
	reason fleet.Reason      // with refused
	later  <-chan answer     // with stands
}

// effect is something to do once the lock is free.
type effect struct {
	stop  *environment
	call  func()
	letGo *generation
}

func newFleet(maxEnvironments, accountLimit int, idleTTL time.Duration) *fleetShell {
	return &fleetShell{
		machine: fleet.New(fleet.Limits{Account: accountLimit, Environments: maxEnvironments, IdleTTL: idleTTL}),
		inLine:  map[fleet.Ticket]chan answer{}, environments: map[fleet.Environment]*environment{},
		generations: map[fleet.Generation]*generation{}, waiters: map[fleet.Waiter]func(){},
		drained: make(chan struct{}),
	}
}

// step feeds ev to the machine and carries out its commands. It returns what this event grants to own.
func (s *fleetShell) step(own fleet.Ticket, ev fleet.Event) answer {
	now := time.Now()
	s.mu.Lock()
	return s.finish(now, own, ev)
}

// finish is step with mu held, which it releases.
func (s *fleetShell) finish(now time.Time, own fleet.Ticket, ev fleet.Event) answer {
	a, effects := s.decide(now, own, ev)
	for _, e := range effects {
		switch {
		case e.stop != nil:
			e.stop.stop()
		case e.call != nil:
			e.call()
		case e.letGo != nil:
			e.letGo.release()
		}
	}
	return a
}

// decide distributes the machine's grants, and returns what is left to do after unlocking, in order.
func (s *fleetShell) decide(now time.Time, own fleet.Ticket, ev fleet.Event) (mine answer, effects []effect) {
	defer s.mu.Unlock()
	for _, c := range s.machine.Step(now, ev) {
		switch c := c.(type) {
		case fleet.Use:
			s.give(own, c.Ticket, answer{grant: warm, env: s.environments[c.Environment]}, &mine)
		case fleet.Start:
			s.give(own, c.Ticket, answer{grant: mayStart, number: c.Environment}, &mine)
		case fleet.Wait:
			later := make(chan answer, 1)
			s.inLine[c.Ticket] = later
			s.give(own, c.Ticket, answer{grant: stands, later: later}, &mine)
		case fleet.Stale:
			s.give(own, c.Ticket, answer{grant: stale}, &mine)
		case fleet.Refuse:
			s.give(own, c.Ticket, answer{grant: refused, reason: c.Reason}, &mine)
		case fleet.Stop:
			effects = append(effects, effect{stop: s.environments[c.Environment]})
		case fleet.Offer:
			effects = append(effects, effect{call: s.waiters[c.Waiter]})
			delete(s.waiters, c.Waiter)
		case fleet.Dismiss:
			delete(s.waiters, c.Waiter)
		case fleet.LetGo:
			effects = append(effects, effect{letGo: s.generations[c.Generation]})
			delete(s.generations, c.Generation)
		case fleet.Drained:
			close(s.drained)
		}
	}
	s.setAlarm(now)
	return mine, effects
}

// give passes an answer to the invocation that asked in this step, or to one in line.
func (s *fleetShell) give(own, to fleet.Ticket, a answer, mine *answer) {
	if to == own {
		*mine = a
		return
	}
	s.inLine[to] <- a // it has room for one, and gets no other
	delete(s.inLine, to)
}

// setAlarm ensures that the machine gets its Tick. An early Tick is harmless, so the timer is not reset with every
// invocation.
func (s *fleetShell) setAlarm(now time.Time) {
	wake := s.machine.Wake()
	if wake.IsZero() || !s.alarm.IsZero() && !wake.Before(s.alarm) {
		return
	}
	s.alarm = wake
	if s.timer == nil {
		s.timer = time.AfterFunc(wake.Sub(now), s.tick)
	} else {
		s.timer.Reset(wake.Sub(now))
	}
}

func (s *fleetShell) tick() {
	s.mu.Lock()
	s.alarm = time.Time{}
	s.finish(time.Now(), 0, fleet.Tick{})
}

// ask is a new invocation of g's function, or of a newer generation's if g is over: then it is stale.
func (s *fleetShell) ask(now time.Time, g *generation, wait bool) (fleet.Ticket, answer) {
	s.mu.Lock()
	s.tickets++
	id := s.tickets
	return id, s.finish(now, id, fleet.Asked{
		Ticket: id, Function: fleet.Function(g.conf.Ref), Generation: g.number, Wait: wait,
	})
}

// again asks for another environment.
func (s *fleetShell) again(id fleet.Ticket, g *generation) answer {
	return s.step(id, fleet.Again{Ticket: id, Generation: g.number})
}

// await returns the answer that comes later, or refused if ctx ends first: then whatever was granted meanwhile goes to
// others.
func (s *fleetShell) await(ctx context.Context, id fleet.Ticket, later <-chan answer) answer {
	select {
	case a := <-later:
		return a
	case <-ctx.Done():
	}
	s.mu.Lock()
	select {
	case a := <-later:
		if a.grant == refused {
			s.mu.Unlock()
			return a
		}
	default:
		delete(s.inLine, id)
	}
	s.finish(time.Now(), id, fleet.Left{Ticket: id})
	return answer{grant: refused, reason: fleet.MachineLimit}
}

// done ends an invocation whose environment can take more work.
func (s *fleetShell) done(id fleet.Ticket, e *environment) {
	s.step(0, fleet.Done{Ticket: id, Environment: e.number})
}

// ended ends an invocation that leaves no environment behind.
func (s *fleetShell) ended(id fleet.Ticket) { s.step(0, fleet.Ended{Ticket: id}) }

// started makes e known under its number: it can be stopped from here on.
func (s *fleetShell) started(e *environment) {
	s.mu.Lock()
	s.environments[e.number] = e
	s.finish(time.Now(), 0, fleet.Started{Environment: e.number})
}

// died reports that the process of an environment has ended.
func (s *fleetShell) died(e *environment) { s.step(0, fleet.Died{Environment: e.number}) }

// gone reports that nothing is left of an environment, or that it was not started.
func (s *fleetShell) gone(number fleet.Environment) {
	s.mu.Lock()
	delete(s.environments, number)
	s.finish(time.Now(), 0, fleet.Gone{Environment: number})
}

// open makes a generation known.
func (s *fleetShell) open(g *generation) {
	s.mu.Lock()
	s.opened++
	g.number = s.opened
	s.generations[g.number] = g
	s.finish(time.Now(), 0, fleet.Opened{Generation: g.number, Function: fleet.Function(g.conf.Ref)})
}

// retire ends a generation: idle environments stop now, busy ones after their invocation. g may be nil.
func (s *fleetShell) retire(g *generation) {
	if g != nil {
		s.step(0, fleet.Retired{Generation: g.number})
	}
}

// reserve sets or, with nil, ends a function's reservation.
func (s *fleetShell) reserve(ref Ref, n *int) {
	limit := fleet.Unreserved
	if n != nil {
		limit = *n
	}
	s.step(0, fleet.Reserved{Function: fleet.Function(ref), Limit: limit})
}

func (s *fleetShell) enrol(ref Ref, call func()) (cancel func()) {
	s.mu.Lock()
	s.enrolled++
	id := s.enrolled
	s.waiters[id] = call
	s.finish(time.Now(), 0, fleet.Enrolled{Waiter: id, Function: fleet.Function(ref)})
	return func() {
		s.mu.Lock()
		delete(s.waiters, id)
		s.finish(time.Now(), 0, fleet.Withdrawn{Waiter: id})
	}
}

// close refuses new invocations; awaitDrained waits for those under way.
func (s *fleetShell) close() { s.step(0, fleet.Closed{}) }

// cut stops every environment. It does not wait for their ends.
func (s *fleetShell) cut() { s.step(0, fleet.Cut{}) }

// awaitDrained returns when the last invocation has ended, or with ctx.
func (s *fleetShell) awaitDrained(ctx context.Context) {
	select {
	case <-s.drained:
	case <-ctx.Done():
	}
}

// running returns how many invocations are under way.
func (s *fleetShell) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.Running()
}

// busy lists the functions with an invocation under way, in order.
func (s *fleetShell) busy() []Ref {
	s.mu.Lock()
	defer s.mu.Unlock()
	var refs []Ref
	for _, fn := range s.machine.Busy() {
		refs = append(refs, Ref(fn))
	}
	return refs
}
