package fleet

import (
	"cmp"
	"slices"
)

type accountKey struct{ account, region string }

// account holds what the functions of one account and region share.
type account struct {
	rest      share // of the functions without a reservation
	reserved  int   // sum of the reservations
	functions int   // number of functions with counts
}

// share is a part of an account's concurrency that is counted together: a function's reservation, or the account's
// rest.
type share struct {
	limit   int // below 0 if more is reserved than exists
	running int
	offered int           // places offered to waiters that have not asked yet
	waiters chain[waiter] // in the order of enrolling
}

// free returns how many invocations may be admitted now.
func (s *share) free() int { return s.limit - s.running }

// function holds the counts of one function. It is dropped when there is nothing to count.
type function struct {
	name        Function
	account     *account
	reservation int   // Unreserved: none
	own         share // with a reservation
	running     int
	generations int
	waiting     int           // its waiters in line
	called      chain[waiter] // its waiters that were offered a place, oldest first
}

// share returns the share in which the function's invocations are counted.
func (fn *function) share() *share {
	if fn.reservation == Unreserved {
		return &fn.account.rest
	}
	return &fn.own
}

// ticket is an admitted invocation.
type ticket struct {
	id    Ticket
	fn    *function
	g     *generation  // while the invocation is in line
	wait  bool         // it may stand in line
	given *environment // what it was given since it last asked
	place link[ticket] // in the line
}

// function returns the counts of a function, which begin at zero.
func (f *Fleet) function(name Function) *function {
	fn, ok := f.functions[name]
	if !ok {
		key := accountKey{name.Account, name.Region}
		a, ok := f.accounts[key]
		if !ok {
			a = &account{rest: share{limit: f.limits.Account}}
			f.accounts[key] = a
		}
		a.functions++
		fn = &function{name: name, account: a, reservation: Unreserved}
		f.functions[name] = fn
	}
	return fn
}

// forget drops a function, and its account, if nothing is left to count.
func (f *Fleet) forget(fn *function) {
	if fn.running > 0 || fn.reservation != Unreserved || fn.generations > 0 || fn.waiting > 0 || fn.called.n > 0 {
		return
	}
	delete(f.functions, fn.name)
	if fn.account.functions--; fn.account.functions == 0 {
		delete(f.accounts, accountKey{fn.name.Account, fn.name.Region})
	}
}

func (f *Fleet) asked(e Asked) {
	if e.Ticket <= f.asks {
		broken("ticket %d asks after ticket %d", e.Ticket, f.asks)
	}
	f.asks = e.Ticket
	if f.closed {
		f.do(Refuse{e.Ticket, Closing})
		return
	}
	var fn *function
	g := f.generations[e.Generation]
	if g == nil {
		fn = f.function(e.Function)
	} else if fn = g.fn; fn.name != e.Function {
		broken("ticket %d asks for generation %d of another function", e.Ticket, e.Generation)
	}
	s := fn.share()
	f.taken(fn)
	if s.free() <= 0 {
		reason := AccountLimit
		if fn.reservation != Unreserved {
			reason = ReservedLimit
		}
		f.do(Refuse{e.Ticket, reason})
		f.forget(fn)
		return
	}
	t := f.newTicket()
	t.id, t.fn, t.wait = e.Ticket, fn, e.Wait
	f.tickets[t.id] = t
	fn.running++
	s.running++
	f.find(t, g)
}

func (f *Fleet) newTicket() *ticket {
	if n := len(f.spare); n > 0 {
		t := f.spare[n-1]
		f.spare = f.spare[:n-1]
		return t
	}
	t := &ticket{}
	t.place.of = t
	return t
}

// ticket returns an admitted invocation that is not in line.
func (f *Fleet) ticket(id Ticket, what string) *ticket {
	t := f.tickets[id]
	switch {
	case t == nil:
		broken("ticket %d, which is not admitted, %s", id, what)
	case t.place.in != nil:
		broken("ticket %d, which is in line, %s", id, what)
	}
	return t
}

func (f *Fleet) again(e Again) {
	t := f.ticket(e.Ticket, "asks again")
	t.given = nil
	if f.closed {
		f.turnAway(t, Closing)
		return
	}
	f.find(t, f.generations[e.Generation])
}

func (f *Fleet) left(id Ticket) {
	t := f.tickets[id]
	if t == nil {
		broken("ticket %d leaves, which is not admitted", id)
	}
	if t.place.in != nil {
		f.line.remove(&t.place)
	}
	e := t.given
	f.release(t)
	switch {
	case e == nil || f.environments[e.id] == nil:
	case !e.exists:
		f.gone(e.id)
	default:
		f.idle(e.id)
	}
}

func (f *Fleet) ended(id Ticket) { f.release(f.ticket(id, "ends")) }

// turnAway refuses an invocation that was admitted.
func (f *Fleet) turnAway(t *ticket, reason Reason) {
	f.do(Refuse{t.id, reason})
	f.release(t)
}

// release removes an invocation from all counts and offers its place.
func (f *Fleet) release(t *ticket) {
	fn := t.fn
	s := fn.share()
	fn.running--
	s.running--
	delete(f.tickets, t.id)
	t.fn, t.g, t.given = nil, nil, nil
	if len(f.spare) < maxSpare {
		f.spare = append(f.spare, t)
	}
	f.offer(s)
	f.forget(fn)
	f.drained()
}

func (f *Fleet) reserved(e Reserved) {
	if e.Limit < Unreserved {
		broken("%d invocations are reserved", e.Limit)
	}
	fn := f.function(e.Function)
	a, before := fn.account, fn.share()
	if fn.reservation != Unreserved {
		a.reserved -= fn.reservation
	}
	fn.reservation = e.Limit
	if e.Limit != Unreserved {
		a.reserved += e.Limit
		fn.own.limit = e.Limit
	}
	a.rest.limit = f.limits.Account - a.reserved
	after := fn.share()
	if after != before {
		before.running, after.running = before.running-fn.running, after.running+fn.running
		before.offered, after.offered = before.offered-fn.called.n, after.offered+fn.called.n
		f.moveWaiters(fn, before, after)
	}
	f.offer(after)
	f.offer(&a.rest)
	f.forget(fn)
}

func (f *Fleet) limited(l Limits) {
	f.limits = l
	keys := make([]accountKey, 0, len(f.accounts))
	for k := range f.accounts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b accountKey) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.region, b.region))
	})
	for _, k := range keys {
		a := f.accounts[k]
		a.rest.limit = l.Account - a.reserved
		f.offer(&a.rest)
	}
	f.settle()
}
