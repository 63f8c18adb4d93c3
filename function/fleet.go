package function

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
)

// Reasons of a refusal. The first two are AWS's and travel to callers.
const (
	ReasonReserved = "ReservedFunctionConcurrentInvocationLimitExceeded"
	ReasonAccount  = "ConcurrentInvocationLimitExceeded"
)

// fleet counts who may run and keeps the warm environments. Three caps hold: a function's reservation, what its account
// has left for functions without one, and the environments that this machine carries. One lock guards it all; nothing
// is done under it but counting.
type fleet struct {
	maxEnvironments int
	accountLimit    int
	idleTTL         time.Duration

	mu       sync.Mutex
	closed   bool
	living   int // environments, starting ones and dying ones included
	running  int // invocations admitted
	idle     list.List
	queue    list.List // *ticket: who waits for room on this machine, first come first served
	lanes    map[Ref]*lane
	accounts map[account]*pool
	all      map[*environment]struct{}
	rest     chan struct{} // closed when running is 0 and the fleet is closed
	rested   bool
	reaper   *time.Timer
	seq      uint64
}

type account struct{ id, region string }

// pool is what an account's functions without reservation share.
type pool struct {
	running  int // invocations of unreserved functions
	reserved int // sum of reservations
	waiting  map[*lane]struct{}
}

// lane counts one function's invocations.
type lane struct {
	ref      Ref
	running  int
	reserved int       // -1: none
	waiters  list.List // *waiter
}

type waiter struct {
	seq  uint64
	call func()
}

// ticket waits for an idle environment of its generation, or for room to start one.
type ticket struct {
	g     *generation
	ready chan struct{} // closed when it is answered: what follows is set
	grant grant
	env   *environment // with warm
	place *list.Element
}

func newFleet(maxEnvironments, accountLimit int, idleTTL time.Duration) *fleet {
	return &fleet{
		maxEnvironments: maxEnvironments, accountLimit: accountLimit, idleTTL: idleTTL,
		lanes: map[Ref]*lane{}, accounts: map[account]*pool{}, all: map[*environment]struct{}{},
		rest: make(chan struct{}),
	}
}

func (fl *fleet) pool(ref Ref) *pool {
	key := account{ref.Account, ref.Region}
	p, ok := fl.accounts[key]
	if !ok {
		p = &pool{waiting: map[*lane]struct{}{}}
		fl.accounts[key] = p
	}
	return p
}

func (fl *fleet) lane(ref Ref) *lane {
	l, ok := fl.lanes[ref]
	if !ok {
		l = &lane{ref: ref, reserved: -1}
		fl.lanes[ref] = l
	}
	return l
}

// admit takes a slot of the function, or says why there is none. "" is admission.
func (fl *fleet) admit(ref Ref) (reason string) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	l, p := fl.lane(ref), fl.pool(ref)
	if reason := fl.refusal(l, p); reason != "" {
		fl.drop(l)
		return reason
	}
	l.running++
	if l.reserved < 0 {
		p.running++
	}
	fl.running++
	return ""
}

func (fl *fleet) refusal(l *lane, p *pool) string {
	switch {
	case l.reserved >= 0 && l.running >= l.reserved:
		return ReasonReserved
	case l.reserved < 0 && p.running >= fl.accountLimit-p.reserved:
		return ReasonAccount
	}
	return ""
}

// release gives a slot back and offers it to one waiter.
func (fl *fleet) release(ref Ref) {
	fl.mu.Lock()
	l, p := fl.lane(ref), fl.pool(ref)
	l.running--
	if l.reserved < 0 {
		p.running--
	}
	fl.running--
	fl.atRest()
	call := fl.nextWaiter(l, p)
	fl.drop(l)
	fl.mu.Unlock()
	if call != nil {
		call()
	}
}

// drop forgets a lane that says nothing any more.
func (fl *fleet) drop(l *lane) {
	if l.running == 0 && l.reserved < 0 && l.waiters.Len() == 0 && fl.lanes[l.ref] == l {
		delete(fl.lanes, l.ref)
		delete(fl.pool(l.ref).waiting, l)
	}
}

// forget lets go of a function that is deleted, and of the pool of its account if nothing is counted there any more.
func (fl *fleet) forget(ref Ref) {
	fl.reserve(ref, nil)
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if p := fl.pool(ref); p.running == 0 && p.reserved == 0 && len(p.waiting) == 0 && !fl.laneIn(ref) {
		delete(fl.accounts, account{ref.Account, ref.Region})
	}
}

// laneIn tells whether a function of ref's account and region is still counted.
func (fl *fleet) laneIn(ref Ref) bool {
	for other := range fl.lanes {
		if other.Account == ref.Account && other.Region == ref.Region {
			return true
		}
	}
	return false
}

// nextWaiter takes out the waiter whose turn it is for a slot that l or its account has free now. fl.mu is held.
func (fl *fleet) nextWaiter(l *lane, p *pool) func() {
	if l.reserved < 0 { // any function of the account may use it: the one that waits longest
		l = nil
		for other := range p.waiting {
			if other.reserved < 0 && (l == nil || firstWaiter(other).seq < firstWaiter(l).seq) {
				l = other
			}
		}
	}
	if l == nil || l.waiters.Len() == 0 || fl.refusal(l, p) != "" {
		return nil
	}
	w := l.waiters.Remove(l.waiters.Front()).(*waiter)
	if l.waiters.Len() == 0 {
		delete(p.waiting, l)
	}
	return w.call
}

func firstWaiter(l *lane) *waiter { return l.waiters.Front().Value.(*waiter) }

// enrol adds a waiter at the end. A slot that became free since the caller was refused is offered at once.
func (fl *fleet) enrol(ref Ref, call func()) (cancel func()) {
	fl.mu.Lock()
	l, p := fl.lane(ref), fl.pool(ref)
	fl.seq++
	at := l.waiters.PushBack(&waiter{fl.seq, call})
	p.waiting[l] = struct{}{}
	now := fl.nextWaiter(l, p)
	fl.drop(l)
	fl.mu.Unlock()
	if now != nil {
		now()
	}
	return func() {
		fl.mu.Lock()
		defer fl.mu.Unlock()
		l.waiters.Remove(at)
		if l.waiters.Len() == 0 {
			delete(fl.pool(ref).waiting, l)
		}
		fl.drop(l)
	}
}

// reserve sets or, with nil, ends a function's reservation. Invocations under way keep running. Every slot that becomes
// free is offered.
func (fl *fleet) reserve(ref Ref, n *int) {
	fl.mu.Lock()
	l, p := fl.lane(ref), fl.pool(ref)
	if l.reserved >= 0 {
		p.reserved -= l.reserved
		p.running += l.running
	}
	l.reserved = -1
	if n != nil {
		l.reserved = *n
		p.reserved += *n
		p.running -= l.running
	}
	var calls []func()
	// waiters do not take their slots under this lock: each is offered once
	for free := fl.accountLimit; free > 0; free-- {
		call := fl.nextWaiter(l, p)
		if call == nil {
			break
		}
		calls = append(calls, call)
	}
	fl.drop(l)
	fl.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// Enrol adds a waiter to the function: when a slot that it may use becomes free, one waiter is called, in the order of
// enrolling, and is out of the line. When there is a free slot already, that happens before Enrol returns. waiter runs
// on the goroutine that freed the slot and must not block. A refused caller enrols once and, when called, tries again.
func (f *Functions) Enrol(ref Ref, waiter func()) (cancel func()) { return f.fleet.enrol(ref, waiter) }

// close refuses new environments; drained waits for the invocations.
func (fl *fleet) close() {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.closed = true
	fl.atRest()
	for fl.queue.Len() > 0 {
		fl.call(fl.queue.Front().Value.(*ticket), nil, full)
	}
	if fl.reaper != nil {
		fl.reaper.Stop()
	}
}

// atRest tells drained when the last invocation has ended. fl.mu is held.
func (fl *fleet) atRest() {
	if fl.closed && fl.running == 0 && !fl.rested {
		fl.rested = true
		close(fl.rest)
	}
}

func (fl *fleet) drained(ctx context.Context) {
	select {
	case <-fl.rest:
	case <-ctx.Done():
	}
}

// runningNow lists the functions with an invocation under way, in order.
func (fl *fleet) runningNow() []Ref {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	var refs []Ref
	for ref, l := range fl.lanes {
		if l.running > 0 {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, Ref.Compare)
	return refs
}
