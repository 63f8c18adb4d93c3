// Package fleet decides which invocations are admitted, in which execution environment each runs, and when environments
// start and stop. It performs no I/O.
//
// Fleet is a machine like those of package esm: events and the time go in, commands come out. The shell (package
// function) starts and stops processes as commanded and reports what happens to them. Three limits hold: a function's
// reservation, what its account has left for the functions without one, and the environments that this machine can
// hold. An invocation that finds the machine full may wait in line for room; a caller that is refused for lack of
// concurrency may become a waiter, and is offered a place when one is free.
//
// Nothing here may read a clock, start a goroutine, lock, log, or let the order of a map show. Source: Lambda Developer
// Guide, "Lambda function scaling" and "Configuring reserved concurrency for a function". AWS has no limit of one
// machine: the line is ours, and so is the order in which waiters are called.
package fleet

import (
	"cmp"
	"slices"
	"time"
)

// Numbers that the shell and the machine use. None is used twice in the life of a Fleet, and tickets ask in ascending
// order.
type (
	Ticket      uint64 // one invocation, from Asked until it ends; from the shell
	Generation  uint64 // a function's code and configuration at one moment; from the shell
	Waiter      uint64 // a caller that was refused and wants to be called; from the shell
	Environment uint64 // an execution environment; from the machine, 1, 2, 3, …
)

// Function names a function as concurrency is counted: per account and region, and per function.
type Function struct{ Account, Region, Name string }

// Compare orders functions by account, region and name.
func (f Function) Compare(g Function) int {
	return cmp.Or(cmp.Compare(f.Account, g.Account), cmp.Compare(f.Region, g.Region), cmp.Compare(f.Name, g.Name))
}

// Unreserved is the Reserved.Limit of a function without a reservation.
const Unreserved = -1

const (
	// OfferTime is how long an offered place is reserved for the waiter that was called. If no invocation of its
	// function has come by then, the place is offered to the next one. Our own choice: a called waiter asks within
	// milliseconds.
	OfferTime = time.Second
	// MaxWaiters is how many waiters are kept. Any further one is dismissed: its own back-off ends its wait.
	MaxWaiters = 1 << 16
	// maxSpare is how many ended tickets are kept for reuse, so that an invocation allocates nothing.
	maxSpare = 1024
)

// Limits are the limits of a Fleet.
type Limits struct {
	Account      int           // invocations at once per account and region, reservations included
	Environments int           // execution environments at once, from the command to start one until it is gone
	IdleTTL      time.Duration // an environment is stopped after being unused for that long
}

// Fleet counts invocations and environments. It is not safe for concurrent use; the zero value is not usable.
type Fleet struct {
	limits Limits
	now    time.Time
	out    []Command

	accounts     map[accountKey]*account
	functions    map[Function]*function
	generations  map[Generation]*generation
	tickets      map[Ticket]*ticket
	environments map[Environment]*environment
	waiters      map[Waiter]*waiter
	spare        []*ticket

	line   chain[ticket]      // invocations that wait for room on this machine, first come first served
	warm   chain[environment] // idle environments, longest idle first
	offers chain[waiter]      // waiters that were called and have not asked, oldest first
	living int                // environments that are starting, busy, idle or being stopped
	dying  int                // those that are being stopped
	last   Environment
	asks   Ticket // the last ticket that has asked
	called uint64 // numbers waiters in the order in which they enrol
	closed bool
	cut    bool
	over   bool // Drained was sent
}

// New returns a machine without functions.
func New(l Limits) *Fleet {
	return &Fleet{
		limits: l, accounts: map[accountKey]*account{}, functions: map[Function]*function{},
		generations: map[Generation]*generation{}, tickets: map[Ticket]*ticket{},
		environments: map[Environment]*environment{}, waiters: map[Waiter]*waiter{},
	}
}

// Step feeds the machine what happened at now and returns what to do, in order. The slice is valid until the next Step.
// An event that contradicts an earlier one, such as the end of an invocation that never asked, is a bug of the shell:
// Step panics with *Broken.
func (f *Fleet) Step(now time.Time, ev Event) []Command {
	f.now, f.out = now, f.out[:0]
	switch e := ev.(type) {
	case Asked:
		f.asked(e)
	case Again:
		f.again(e)
	case Left:
		f.left(e.Ticket)
	case Ended:
		f.ended(e.Ticket)
	case Done:
		f.idle(e.Environment)
		f.ended(e.Ticket)
	case Started:
		f.started(e.Environment)
	case Idle:
		f.idle(e.Environment)
	case Died:
		f.died(e.Environment)
	case Gone:
		f.gone(e.Environment)
	case Opened:
		f.opened(e)
	case Retired:
		f.retired(e.Generation)
	case Reserved:
		f.reserved(e)
	case Limited:
		f.limited(e.Limits)
	case Enrolled:
		f.enrolled(e)
	case Withdrawn:
		f.withdrawn(e.Waiter)
	case Tick:
		f.tick()
	case Closed:
		f.close()
	case Cut:
		f.cutOff()
	}
	f.check()
	return f.out
}

func (f *Fleet) do(c Command) { f.out = append(f.out, c) }

// Wake returns the instant of the next Tick: when an idle environment's time is over, or an offer lapses. It is zero if
// nothing is due.
func (f *Fleet) Wake() time.Time {
	var at time.Time
	if e := f.warm.front(); e != nil {
		at = e.since.Add(f.limits.IdleTTL)
	}
	if w := f.offers.front(); w != nil {
		if lapses := w.since.Add(OfferTime); at.IsZero() || lapses.Before(at) {
			at = lapses
		}
	}
	return at
}

func (f *Fleet) tick() {
	for e := f.warm.front(); e != nil && !f.now.Before(e.since.Add(f.limits.IdleTTL)); e = f.warm.front() {
		f.stop(e)
	}
	f.lapse()
}

// close refuses invocations that wait for room and stops idle environments. Invocations under way go on.
func (f *Fleet) close() {
	if f.closed {
		return
	}
	f.closed = true
	for t := f.line.front(); t != nil; t = f.line.front() {
		f.line.remove(&t.place)
		f.turnAway(t, Closing)
	}
	for e := f.warm.front(); e != nil; e = f.warm.front() {
		f.stop(e)
	}
	f.drained()
}

// drained emits Drained, once, when the machine is closed and the last invocation has ended.
func (f *Fleet) drained() {
	if f.closed && !f.over && len(f.tickets) == 0 {
		f.over = true
		f.do(Drained{})
	}
}

// cutOff stops every environment, even busy ones. Those without a process yet are stopped when it exists.
func (f *Fleet) cutOff() {
	f.close()
	f.cut = true
	var all []*environment
	for _, e := range f.environments {
		if e.state == working && e.exists {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *environment) int { return cmp.Compare(a.id, b.id) })
	for _, e := range all {
		f.stop(e)
	}
}

// Running returns how many invocations are admitted and have not ended, including those in line.
func (f *Fleet) Running() int { return len(f.tickets) }

// Busy returns the functions of these invocations, in order.
func (f *Fleet) Busy() []Function {
	var busy []Function
	for name, fn := range f.functions {
		if fn.running > 0 {
			busy = append(busy, name)
		}
	}
	slices.SortFunc(busy, Function.Compare)
	return busy
}

// Counts says how much of everything a Fleet holds.
type Counts struct {
	Accounts, Functions, Generations int
	Running, InLine                  int // admitted invocations; those that wait for room
	Environments, Idle, Dying        int // Idle and Dying are parts of Environments
	Waiters, Offers                  int // Offers are the Waiters that were called and have not asked
}

// Counts returns the present counts. They include nothing that has ended.
func (f *Fleet) Counts() Counts {
	return Counts{
		Accounts: len(f.accounts), Functions: len(f.functions), Generations: len(f.generations),
		Running: len(f.tickets), InLine: f.line.n, Environments: f.living, Idle: f.warm.n, Dying: f.dying,
		Waiters: len(f.waiters), Offers: f.offers.n,
	}
}
