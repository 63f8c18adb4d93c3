package fleet_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
)

// model is the fleet once more, as naive as can be: plain lists that are searched from end to end, and nothing counted
// that can be counted anew. It must want the same as the machine after every event.
type model struct {
	limits      fleet.Limits
	now         time.Time
	out         []fleet.Command
	reserved    map[fleet.Function]int
	generations []*modelGeneration
	tickets     []*modelTicket
	line        []*modelTicket
	all         []*modelEnvironment // in the order of starting
	warm        []*modelEnvironment // in the order of becoming idle
	waiters     []*modelWaiter      // in the order of enrolling
	called      []*modelWaiter      // in the order of being called
	last        fleet.Environment

	closed, cut, over bool
}

type modelGeneration struct {
	id      fleet.Generation
	fn      fleet.Function
	retired bool
}

type modelTicket struct {
	id    fleet.Ticket
	fn    fleet.Function
	g     *modelGeneration
	wait  bool
	given *modelEnvironment
}

type modelEnvironment struct {
	id            fleet.Environment
	g             *modelGeneration
	exists, dying bool
	since         time.Time
}

type modelWaiter struct {
	id    fleet.Waiter
	fn    fleet.Function
	since time.Time
}

func newModel(l fleet.Limits) *model { return &model{limits: l, reserved: map[fleet.Function]int{}} }

func (m *model) do(c fleet.Command) { m.out = append(m.out, c) }

func count[T any](all []T, is func(T) bool) (n int) {
	for _, x := range all {
		if is(x) {
			n++
		}
	}
	return n
}

func find[T any](all []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i]
	}
	return nil
}

func without[T any](all []*T, x *T) []*T {
	return slices.DeleteFunc(slices.Clone(all), func(y *T) bool { return x == y })
}

// together reports whether two functions are counted together: they are one, or both have no reservation in one account
// and region.
func (m *model) together(a, b fleet.Function) bool {
	_, ra := m.reserved[a]
	_, rb := m.reserved[b]
	return a == b || !ra && !rb && a.Account == b.Account && a.Region == b.Region
}

// limit is how many invocations those counted together with fn may be.
func (m *model) limit(fn fleet.Function) int {
	if n, ok := m.reserved[fn]; ok {
		return n
	}
	n := m.limits.Account
	for other, reserved := range m.reserved {
		if other.Account == fn.Account && other.Region == fn.Region {
			n -= reserved
		}
	}
	return n
}

func (m *model) free(fn fleet.Function) int {
	return m.limit(fn) - count(m.tickets, func(t *modelTicket) bool { return m.together(t.fn, fn) })
}

func (m *model) dying() int { return count(m.all, func(e *modelEnvironment) bool { return e.dying }) }

// promised is for how many of the line room is coming.
func (m *model) promised() int { return max(0, m.limits.Environments-(len(m.all)-m.dying())) }

// offer calls waiters for the places that fn may have.
func (m *model) offer(fn fleet.Function) {
	mine := func(w *modelWaiter) bool { return m.together(w.fn, fn) }
	for m.free(fn) > count(m.called, mine) {
		w := find(m.waiters, mine)
		if w == nil {
			return
		}
		w.since = m.now
		m.waiters, m.called = without(m.waiters, w), append(m.called, w)
		m.do(fleet.Offer{Waiter: w.id})
	}
}

// asks forgets the offer that fn was made first.
func (m *model) asks(fn fleet.Function) {
	if w := find(m.called, func(w *modelWaiter) bool { return w.fn == fn }); w != nil {
		m.called = without(m.called, w)
	}
}

func (m *model) end(t *modelTicket) {
	m.tickets, m.line = without(m.tickets, t), without(m.line, t)
	m.offer(t.fn)
	m.drained()
}

func (m *model) drained() {
	if m.closed && !m.over && len(m.tickets) == 0 {
		m.over = true
		m.do(fleet.Drained{})
	}
}

func (m *model) refuse(t *modelTicket, why fleet.Reason) {
	m.do(fleet.Refuse{Ticket: t.id, Reason: why})
	m.end(t)
}

func (m *model) stop(e *modelEnvironment) {
	e.dying = true
	m.warm = without(m.warm, e)
	m.do(fleet.Stop{Environment: e.id})
}

func (m *model) seek(t *modelTicket, id fleet.Generation) {
	t.given = nil
	g := find(m.generations, func(g *modelGeneration) bool { return g.id == id && !g.retired })
	if g == nil {
		m.do(fleet.Stale{Ticket: t.id})
		return
	}
	for _, e := range slices.Backward(m.warm) {
		if e.g == g {
			m.warm = without(m.warm, e)
			m.use(t, e)
			return
		}
	}
	switch {
	case len(m.line) == 0 && len(m.all) < m.limits.Environments:
		m.start(t, g)
		return
	case len(m.line) < m.promised():
	case len(m.warm) > 0:
		m.stop(m.warm[0])
	case !t.wait:
		m.refuse(t, fleet.MachineLimit)
		return
	}
	t.g = g
	m.line = append(m.line, t)
	m.do(fleet.Wait{Ticket: t.id})
}

func (m *model) use(t *modelTicket, e *modelEnvironment) {
	t.given = e
	m.do(fleet.Use{Ticket: t.id, Environment: e.id})
}

func (m *model) start(t *modelTicket, g *modelGeneration) {
	m.last++
	e := &modelEnvironment{id: m.last, g: g}
	t.given = e
	m.all = append(m.all, e)
	m.do(fleet.Start{Ticket: t.id, Environment: e.id, Generation: g.id})
}

func (m *model) idle(e *modelEnvironment) {
	if e == nil || e.dying {
		return
	}
	if m.closed || e.g.retired || len(m.all)-m.dying() > m.limits.Environments {
		m.stop(e)
		return
	}
	at := slices.IndexFunc(m.line, func(t *modelTicket) bool { return t.g == e.g })
	switch {
	case at >= 0 && at <= m.promised(): // for all before it room is coming
		t := m.line[at]
		m.line = without(m.line, t)
		m.use(t, e)
	case len(m.line) > m.promised():
		m.stop(e)
	default:
		e.since = m.now
		m.warm = append(m.warm, e)
	}
}

func (m *model) gone(e *modelEnvironment) {
	m.all, m.warm = without(m.all, e), without(m.warm, e)
	m.settle()
	m.letGo(e.g)
}

func (m *model) settle() {
	for len(m.line) > 0 && len(m.all) < m.limits.Environments {
		t := m.line[0]
		m.line = m.line[1:]
		m.start(t, t.g)
	}
	for len(m.warm) > 0 && (len(m.all)-m.dying() > m.limits.Environments || len(m.line) > m.promised()) {
		m.stop(m.warm[0])
	}
	for {
		at := slices.IndexFunc(m.line, func(t *modelTicket) bool {
			return !t.wait && slices.Index(m.line, t) >= m.promised()
		})
		if at < 0 {
			return
		}
		m.refuse(m.line[at], fleet.MachineLimit)
	}
}

func (m *model) letGo(g *modelGeneration) {
	if g.retired && find(m.all, func(e *modelEnvironment) bool { return e.g == g }) == nil {
		m.generations = without(m.generations, g)
		m.do(fleet.LetGo{Generation: g.id})
	}
}

func (m *model) ticket(id fleet.Ticket) *modelTicket {
	return find(m.tickets, func(t *modelTicket) bool { return t.id == id })
}

func (m *model) environment(id fleet.Environment) *modelEnvironment {
	return find(m.all, func(e *modelEnvironment) bool { return e.id == id })
}

func (m *model) step(now time.Time, ev fleet.Event) []fleet.Command {
	m.now, m.out = now, nil
	switch ev := ev.(type) {
	case fleet.Asked:
		if m.closed {
			m.do(fleet.Refuse{Ticket: ev.Ticket, Reason: fleet.Closing})
			break
		}
		m.asks(ev.Function)
		if m.free(ev.Function) <= 0 {
			why := fleet.AccountLimit
			if _, ok := m.reserved[ev.Function]; ok {
				why = fleet.ReservedLimit
			}
			m.do(fleet.Refuse{Ticket: ev.Ticket, Reason: why})
			break
		}
		t := &modelTicket{id: ev.Ticket, fn: ev.Function, wait: ev.Wait}
		m.tickets = append(m.tickets, t)
		m.seek(t, ev.Generation)
	case fleet.Again:
		if t := m.ticket(ev.Ticket); m.closed {
			m.refuse(t, fleet.Closing)
		} else {
			m.seek(t, ev.Generation)
		}
	case fleet.Left:
		t := m.ticket(ev.Ticket)
		e := t.given
		m.end(t)
		switch {
		case e == nil || !slices.Contains(m.all, e):
		case e.exists:
			m.idle(e)
		default:
			m.gone(e)
		}
	case fleet.Ended:
		m.end(m.ticket(ev.Ticket))
	case fleet.Done:
		m.idle(m.environment(ev.Environment))
		m.end(m.ticket(ev.Ticket))
	case fleet.Started:
		e := m.environment(ev.Environment)
		if e.exists = true; m.cut {
			m.stop(e)
		}
	case fleet.Idle:
		m.idle(m.environment(ev.Environment))
	case fleet.Died:
		if e := m.environment(ev.Environment); e != nil {
			e.dying = true
			m.warm = without(m.warm, e)
		}
	case fleet.Gone:
		m.gone(m.environment(ev.Environment))
	case fleet.Opened:
		m.generations = append(m.generations, &modelGeneration{id: ev.Generation, fn: ev.Function})
	case fleet.Retired:
		m.retire(ev.Generation)
	case fleet.Reserved:
		if delete(m.reserved, ev.Function); ev.Limit != fleet.Unreserved {
			m.reserved[ev.Function] = ev.Limit
		}
		m.offer(ev.Function)
		m.offerRest(ev.Function.Account, ev.Function.Region)
	case fleet.Limited:
		m.limits = ev.Limits
		m.offerAll()
		m.settle()
	case fleet.Enrolled:
		m.waiters = append(m.waiters, &modelWaiter{id: ev.Waiter, fn: ev.Function})
		m.offer(ev.Function)
	case fleet.Withdrawn:
		for _, w := range slices.Concat(m.waiters, m.called) {
			if w.id == ev.Waiter {
				m.waiters, m.called = without(m.waiters, w), without(m.called, w)
				m.offer(w.fn)
			}
		}
	case fleet.Tick:
		for len(m.warm) > 0 && !now.Before(m.warm[0].since.Add(m.limits.IdleTTL)) {
			m.stop(m.warm[0])
		}
		for len(m.called) > 0 && !now.Before(m.called[0].since.Add(fleet.OfferTime)) {
			fn := m.called[0].fn
			m.called = m.called[1:]
			m.offer(fn)
		}
	case fleet.Closed:
		m.close()
	case fleet.Cut:
		m.close()
		m.cut = true
		for _, e := range m.all {
			if e.exists && !e.dying {
				m.stop(e)
			}
		}
	}
	return m.out
}

func (m *model) retire(id fleet.Generation) {
	g := find(m.generations, func(g *modelGeneration) bool { return g.id == id && !g.retired })
	if g == nil {
		return
	}
	g.retired = true
	for _, t := range slices.Clone(m.line) {
		if t.g == g {
			m.line = without(m.line, t)
			m.do(fleet.Stale{Ticket: t.id})
		}
	}
	for _, e := range slices.Clone(m.warm) {
		if e.g == g {
			m.stop(e)
		}
	}
	m.letGo(g)
}

func (m *model) close() {
	if m.closed {
		return
	}
	m.closed = true
	for _, t := range slices.Clone(m.line) {
		m.refuse(t, fleet.Closing)
	}
	for _, e := range slices.Clone(m.warm) {
		m.stop(e)
	}
	m.drained()
}

// offerRest offers the places of an account that are reserved for no function.
func (m *model) offerRest(account, region string) {
	for _, w := range slices.Clone(m.waiters) {
		if _, ok := m.reserved[w.fn]; !ok && w.fn.Account == account && w.fn.Region == region {
			m.offer(w.fn)
		}
	}
}

// offerAll offers every place, account by account.
func (m *model) offerAll() {
	all := slices.Clone(m.waiters)
	slices.SortStableFunc(all, func(a, b *modelWaiter) int {
		return cmp.Or(cmp.Compare(a.fn.Account, b.fn.Account), cmp.Compare(a.fn.Region, b.fn.Region))
	})
	for _, w := range all {
		m.offerRest(w.fn.Account, w.fn.Region)
	}
}

func (m *model) wake() time.Time {
	var at time.Time
	for _, e := range m.warm {
		if ends := e.since.Add(m.limits.IdleTTL); at.IsZero() || ends.Before(at) {
			at = ends
		}
	}
	for _, w := range m.called {
		if lapses := w.since.Add(fleet.OfferTime); at.IsZero() || lapses.Before(at) {
			at = lapses
		}
	}
	return at
}

// counts counts what there is, and the functions and accounts of which there is anything to say.
func (m *model) counts() fleet.Counts {
	functions := map[fleet.Function]bool{}
	for fn := range m.reserved {
		functions[fn] = true
	}
	for _, g := range m.generations {
		functions[g.fn] = true
	}
	for _, t := range m.tickets {
		functions[t.fn] = true
	}
	for _, w := range slices.Concat(m.waiters, m.called) {
		functions[w.fn] = true
	}
	accounts := map[[2]string]bool{}
	for fn := range functions {
		accounts[[2]string{fn.Account, fn.Region}] = true
	}
	return fleet.Counts{
		Accounts: len(accounts), Functions: len(functions), Generations: len(m.generations),
		Running: len(m.tickets), InLine: len(m.line), Environments: len(m.all), Idle: len(m.warm), Dying: m.dying(),
		Waiters: len(m.waiters) + len(m.called), Offers: len(m.called),
	}
}
