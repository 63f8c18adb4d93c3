package fleet_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shardmill/shardmill/function/fleet"
	"pgregory.net/rapid"
)

// TestFleetKeepsItsPromises plays random verbs of the script language on the machine, the naive model and a judge that
// looks at the commands alone, and lets everything come to an end afterwards: every invocation must end, every retired
// generation must be let go once, and nothing may stay counted. A failure prints the script.
func TestFleetKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPlayer(t)
		for range rapid.IntRange(10, 150).Draw(t, "verbs") {
			p.move()
		}
		p.settle()
	})
}

// TestSameEventsSameCommands: what a machine does depends on its events and on nothing else.
func TestSameEventsSameCommands(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPlayer(t)
		twin := fleet.New(p.limits)
		p.spy = func(ev fleet.Event, commands []fleet.Command) {
			if d := cmp.Diff(commands, append([]fleet.Command(nil), twin.Step(p.w.now, ev)...)); d != "" {
				t.Fatalf("%T gives both\n%s", ev, d)
			}
		}
		for range rapid.IntRange(10, 80).Draw(t, "verbs") {
			p.move()
		}
	})
}

// player draws verbs, and judges what the machine wants.
type player struct {
	t      *rapid.T
	w      *world
	limits fleet.Limits
	spy    func(fleet.Event, []fleet.Command)
	script []string

	opened   map[fleet.Generation]fleet.Function
	current  map[fleet.Function]fleet.Generation
	retired  map[fleet.Generation]bool
	reserved map[fleet.Function]int
	tickets  map[fleet.Ticket]*played
	line     []fleet.Ticket
	envs     map[fleet.Environment]*process
	warm     []fleet.Environment // in the order of becoming idle
	waiters  []fleet.Waiter      // that are not called, in the order of enrolling
	waiterOf map[fleet.Waiter]fleet.Function
	next     int
	closed   bool
	over     bool
}

// played is an invocation that has not ended.
type played struct {
	fn    fleet.Function
	wait  bool
	phase string // asked, line, stale, starts, works, lost
	env   fleet.Environment
}

// process is an environment that is not gone.
type process struct {
	g            fleet.Generation
	exists, idle bool
	dying        bool
	of           fleet.Ticket // 0: of none
}

var functions = []fleet.Function{
	{Account: "1", Region: "r", Name: "a"},
	{Account: "1", Region: "r", Name: "b"},
	{Account: "1", Region: "r", Name: "c"},
	{Account: "2", Region: "r", Name: "a"},
}

func newPlayer(t *rapid.T) *player {
	l := fleet.Limits{
		Account: rapid.IntRange(1, 6).Draw(t, "account"), IdleTTL: 5 * time.Second,
		Environments: rapid.IntRange(1, 5).Draw(t, "environments"),
	}
	return &player{
		t: t, w: newWorld(l), limits: l, opened: map[fleet.Generation]fleet.Function{},
		current: map[fleet.Function]fleet.Generation{}, retired: map[fleet.Generation]bool{},
		reserved: map[fleet.Function]int{}, tickets: map[fleet.Ticket]*played{},
		envs: map[fleet.Environment]*process{}, waiterOf: map[fleet.Waiter]fleet.Function{},
	}
}

// step feeds an event and judges what comes of it.
func (p *player) step(ev fleet.Event) {
	p.script = append(p.script, fmt.Sprintf("%s %T%+v", p.w.now.Sub(epoch), ev, ev))
	p.w.manualStart, p.w.manualStop = true, true
	p.w.out.Reset()
	p.w.spy = func(commands []fleet.Command) {
		if p.spy != nil {
			p.spy(ev, commands)
		}
		for _, c := range commands {
			p.script = append(p.script, fmt.Sprintf("    > %T%+v", c, c))
			p.judge(c)
		}
	}
	p.w.step(ev)
	for _, c := range p.w.complaints {
		p.fail("%s", c)
	}
	if alive := len(p.envs) - p.dying(); len(p.warm) > 0 && len(p.line) > max(0, p.limits.Environments-alive) {
		p.fail("%d are in line while environments are idle", len(p.line))
	}
	if len(p.line) > 0 && len(p.envs) < p.limits.Environments {
		p.fail("%d are in line though there is room", len(p.line))
	}
	p.judgeOffers()
}

func (p *player) fail(format string, args ...any) {
	for _, line := range p.script {
		p.t.Log(line)
	}
	p.t.Fatalf(format, args...)
}

func (p *player) dying() (n int) {
	for _, e := range p.envs {
		if e.dying {
			n++
		}
	}
	return n
}

// running counts the invocations that are counted together with fn.
func (p *player) running(fn fleet.Function) (n int) {
	_, alone := p.reserved[fn]
	for _, t := range p.tickets {
		_, other := p.reserved[t.fn]
		if t.fn == fn || !alone && !other && t.fn.Account == fn.Account {
			n++
		}
	}
	return n
}

func (p *player) limit(fn fleet.Function) int {
	if n, ok := p.reserved[fn]; ok {
		return n
	}
	n := p.limits.Account
	for other, reserved := range p.reserved {
		if other.Account == fn.Account {
			n -= reserved
		}
	}
	return n
}

// judge looks at one command, and carries it out in the book.
func (p *player) judge(c fleet.Command) {
	switch c := c.(type) {
	case fleet.Use:
		t, e := p.answered(c.Ticket), p.envs[c.Environment]
		if e == nil || e.dying || !e.exists || e.of != 0 {
			p.fail("t%d gets e%d, which is not there for it", c.Ticket, c.Environment)
		}
		if p.opened[e.g] != t.fn || p.retired[e.g] {
			p.fail("t%d gets an environment of another function or of an old generation", c.Ticket)
		}
		if e.idle {
			for _, newer := range slices.Backward(p.warm) {
				if newer == c.Environment {
					break
				}
				if p.envs[newer].g == e.g {
					p.fail("e%d is used, but e%d became idle later", c.Environment, newer)
				}
			}
			e.idle = false
			p.unpool(c.Environment)
		}
		e.of, t.env, t.phase = c.Ticket, c.Environment, "works"
	case fleet.Start:
		t := p.answered(c.Ticket)
		if p.envs[c.Environment] != nil || p.opened[c.Generation] != t.fn || p.retired[c.Generation] {
			p.fail("e%d cannot start", c.Environment)
		}
		p.envs[c.Environment] = &process{g: c.Generation, of: c.Ticket}
		t.env, t.phase = c.Environment, "starts"
		if len(p.envs) > p.limits.Environments {
			p.fail("%d environments, the machine carries %d", len(p.envs), p.limits.Environments)
		}
	case fleet.Wait:
		p.answered(c.Ticket).phase = "line"
		p.line = append(p.line, c.Ticket)
	case fleet.Stale:
		p.answered(c.Ticket).phase = "stale"
	case fleet.Refuse:
		p.answered(c.Ticket)
		delete(p.tickets, c.Ticket)
	case fleet.Stop:
		e := p.envs[c.Environment]
		if e == nil || e.dying || !e.exists {
			p.fail("e%d is stopped, which cannot be", c.Environment)
		}
		if e.idle {
			if oldest := p.warm[0]; oldest != c.Environment && !p.retired[e.g] {
				p.fail("e%d is stopped, but e%d is idle for longer", c.Environment, oldest)
			}
			p.unpool(c.Environment)
		}
		e.idle, e.dying = false, true
	case fleet.Offer:
		if len(p.waiters) == 0 || !slices.Contains(p.waiters, c.Waiter) {
			p.fail("w%d is called, which is not in line", c.Waiter)
		}
		fn := p.waiterOf[c.Waiter]
		for _, w := range p.waiters {
			if w == c.Waiter {
				break
			}
			_, ra := p.reserved[fn]
			_, rb := p.reserved[p.waiterOf[w]]
			if p.waiterOf[w] == fn || !ra && !rb && p.waiterOf[w].Account == fn.Account {
				p.fail("w%d is called, but w%d waits for longer", c.Waiter, w)
			}
		}
		p.waiters = slices.DeleteFunc(p.waiters, func(w fleet.Waiter) bool { return w == c.Waiter })
	case fleet.Dismiss:
		p.fail("w%d is dismissed from a short line", c.Waiter)
	case fleet.LetGo:
		if !p.retired[c.Generation] {
			p.fail("generation %d is let go, which is not over or is let go already", c.Generation)
		}
		for id, e := range p.envs {
			if e.g == c.Generation {
				p.fail("generation %d is let go, but e%d is left", c.Generation, id)
			}
		}
		delete(p.opened, c.Generation)
		delete(p.retired, c.Generation)
	case fleet.Drained:
		if p.over || !p.closed || len(p.tickets) > 0 {
			p.fail("drained, with %d invocations under way", len(p.tickets))
		}
		p.over = true
	}
}

// answered returns the invocation that a command is for. In line, it must be the first of those that the environment
// can go to.
func (p *player) answered(id fleet.Ticket) *played {
	t := p.tickets[id]
	if t == nil {
		p.fail("t%d is answered, which is not under way", id)
		return nil
	}
	switch t.phase {
	case "asked":
	case "line":
		p.line = slices.DeleteFunc(p.line, func(other fleet.Ticket) bool { return other == id })
	default:
		p.fail("t%d is answered while it %s", id, t.phase)
	}
	return t
}

func (p *player) unpool(id fleet.Environment) {
	p.warm = slices.DeleteFunc(p.warm, func(other fleet.Environment) bool { return other == id })
}

// judgeOffers: no waiter is left alone with a place that none was called for.
func (p *player) judgeOffers() {
	for _, w := range p.waiters {
		fn := p.waiterOf[w]
		offers := 0
		for _, c := range p.w.model.called {
			if p.w.model.together(c.fn, fn) {
				offers++
			}
		}
		if free := p.limit(fn) - p.running(fn); free > offers {
			p.fail("w%d waits, %d places are free and %d offered", w, free, offers)
		}
	}
}

func (p *player) number() int {
	p.next++
	return p.next
}

func (p *player) open(fn fleet.Function) fleet.Generation {
	g := fleet.Generation(p.number())
	p.opened[g], p.current[fn] = fn, g
	p.step(fleet.Opened{Generation: g, Function: fn})
	return g
}

func (p *player) retire(g fleet.Generation) {
	if p.opened[g] == (fleet.Function{}) || p.retired[g] {
		return
	}
	p.retired[g] = true
	p.step(fleet.Retired{Generation: g})
}

// ask is a new invocation of fn, on the current generation or on one that it knows from earlier.
func (p *player) ask(fn fleet.Function, wait bool) {
	id, g := fleet.Ticket(p.number()), p.current[fn]
	if rapid.IntRange(0, 9).Draw(p.t, "old") == 0 {
		g = 1 << 32
	}
	running := p.running(fn)
	p.tickets[id] = &played{fn: fn, wait: wait, phase: "asked"}
	ahead := slices.Clone(p.line)
	p.step(fleet.Asked{Ticket: id, Function: fn, Generation: g, Wait: wait})
	if t := p.tickets[id]; t != nil && running >= p.limit(fn) {
		p.fail("t%d is admitted as number %d of %d", id, running+1, p.limit(fn))
	} else if t != nil && t.phase == "starts" && len(ahead) > 0 {
		p.fail("t%d overtakes %v", id, ahead)
	} else if t != nil && t.phase == "asked" {
		p.fail("t%d is not answered", id)
	}
}

// keys returns the keys of m for which is holds, in order.
func keys[K ~uint64, V any](m map[K]V, is func(V) bool) []K {
	var out []K
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if is(m[k]) {
			out = append(out, k)
		}
	}
	return out
}

// move plays one verb that is possible now.
func (p *player) move() {
	t := p.t
	fn := rapid.SampledFrom(functions).Draw(t, "function")
	var verbs []func()
	add := func(weight int, do func()) {
		for range weight {
			verbs = append(verbs, do)
		}
	}
	add(4, func() { p.ask(fn, rapid.Bool().Draw(t, "wait")) })
	add(1, func() {
		old := p.current[fn]
		p.open(fn)
		p.retire(old)
	})
	add(1, func() {
		n := rapid.IntRange(fleet.Unreserved, 3).Draw(t, "limit")
		if delete(p.reserved, fn); n != fleet.Unreserved {
			p.reserved[fn] = n
		}
		p.step(fleet.Reserved{Function: fn, Limit: n})
	})
	add(3, func() {
		w := fleet.Waiter(p.number())
		p.waiters, p.waiterOf[w] = append(p.waiters, w), fn
		p.step(fleet.Enrolled{Waiter: w, Function: fn})
	})
	add(1, func() {
		p.w.now = p.w.now.Add(rapid.SampledFrom([]time.Duration{100, 700, 3000}).Draw(t, "ms") * time.Millisecond)
	})
	if at := p.w.machine.Wake(); !at.IsZero() && !at.After(p.w.now) {
		add(3, func() { p.step(fleet.Tick{}) })
	}
	if len(p.waiterOf) > 0 {
		add(1, func() {
			w := rapid.SampledFrom(slices.Sorted(maps.Keys(p.waiterOf))).Draw(t, "waiter")
			p.waiters = slices.DeleteFunc(p.waiters, func(other fleet.Waiter) bool { return w == other })
			p.step(fleet.Withdrawn{Waiter: w})
		})
	}
	if rapid.IntRange(0, 30).Draw(t, "limits") == 0 {
		add(2, func() {
			p.limits.Account = rapid.IntRange(0, 6).Draw(t, "account")
			p.limits.Environments = rapid.IntRange(1, 5).Draw(t, "environments")
			p.step(fleet.Limited{Limits: p.limits})
		})
	}
	if rapid.IntRange(0, 80).Draw(t, "close") == 0 {
		add(2, func() { p.shut(rapid.Bool().Draw(t, "cut")) })
	}
	p.invocations(add)
	p.processes(add)
	verbs[rapid.IntRange(0, len(verbs)-1).Draw(t, "verb")]()
}

// shut closes the machine.
func (p *player) shut(cut bool) {
	p.closed = true
	if cut {
		p.step(fleet.Cut{})
	} else {
		p.step(fleet.Closed{})
	}
}

// invocations adds what can happen to invocations.
func (p *player) invocations(add func(int, func())) {
	pick := func(name string, phases ...string) (fleet.Ticket, *played) {
		all := keys(p.tickets, func(t *played) bool { return slices.Contains(phases, t.phase) })
		if len(all) == 0 {
			return 0, nil
		}
		id := rapid.SampledFrom(all).Draw(p.t, name)
		return id, p.tickets[id]
	}
	if id, t := pick("works", "works"); t != nil {
		add(4, func() { p.finish(id) })
		add(1, func() { // its environment is dead, or does not come back
			if t.phase = "lost"; p.envs[t.env] != nil {
				p.envs[t.env].of = 0
			}
		})
	}
	if id, t := pick("again", "stale", "lost"); t != nil {
		add(3, func() {
			t.phase = "asked"
			p.step(fleet.Again{Ticket: id, Generation: p.current[t.fn]})
		})
		add(1, func() { p.end(id) })
	}
	if id, t := pick("leaves", "line", "starts", "works", "stale"); t != nil {
		add(1, func() { p.leave(id) })
	}
	if id, t := pick("starts", "starts"); t != nil {
		add(4, func() {
			t.phase, p.envs[t.env].exists = "works", true
			p.step(fleet.Started{Environment: t.env})
		})
		add(1, func() { // the start fails
			p.bury(t.env)
			p.end(id)
		})
	}
}

// leave is a caller that is gone before it has taken up what it was given.
func (p *player) leave(id fleet.Ticket) {
	t := p.tickets[id]
	delete(p.tickets, id)
	p.line = slices.DeleteFunc(p.line, func(other fleet.Ticket) bool { return other == id })
	if e := p.envs[t.env]; e != nil && e.of == id {
		if e.of = 0; !e.exists {
			delete(p.envs, t.env)
		} else if t.phase == "works" && !e.dying {
			p.backInTheFleet(t.env, fleet.Left{Ticket: id})
			return
		}
	}
	p.step(fleet.Left{Ticket: id})
}

// backInTheFleet tells that an environment can take work, and notes that it is idle unless it was used or stopped at
// once.
func (p *player) backInTheFleet(id fleet.Environment, ev fleet.Event) {
	e := p.envs[id]
	e.of = 0
	p.step(ev)
	if e.of == 0 && !e.dying {
		e.idle = true
		p.warm = append(p.warm, id)
	}
}

// finish is the end of an invocation whose environment can take more.
func (p *player) finish(id fleet.Ticket) {
	t := p.tickets[id]
	switch e := p.envs[t.env]; {
	case e == nil || e.of != id:
		p.end(id)
	case rapid.Bool().Draw(p.t, "in one"):
		delete(p.tickets, id)
		p.backInTheFleet(t.env, fleet.Done{Ticket: id, Environment: t.env})
	default:
		p.backInTheFleet(t.env, fleet.Idle{Environment: t.env})
		p.end(id)
	}
}

func (p *player) end(id fleet.Ticket) {
	if e := p.envs[p.tickets[id].env]; e != nil && e.of == id {
		e.of = 0
	}
	delete(p.tickets, id)
	p.step(fleet.Ended{Ticket: id})
}

func (p *player) bury(id fleet.Environment) {
	delete(p.envs, id)
	p.unpool(id)
	p.step(fleet.Gone{Environment: id})
}

// processes adds what can happen to processes.
func (p *player) processes(add func(int, func())) {
	if all := keys(p.envs, func(e *process) bool { return e.dying }); len(all) > 0 {
		id := rapid.SampledFrom(all).Draw(p.t, "dying")
		add(4, func() { p.bury(id) })
	}
	if all := keys(p.envs, func(e *process) bool { return e.exists && !e.dying }); len(all) > 0 {
		id := rapid.SampledFrom(all).Draw(p.t, "dies")
		add(1, func() {
			e := p.envs[id]
			e.dying, e.idle = true, false
			p.unpool(id)
			p.step(fleet.Died{Environment: id})
		})
	}
}

// settle lets everything come to its end.
func (p *player) settle() {
	in := func(phases ...string) []fleet.Ticket {
		return keys(p.tickets, func(t *played) bool { return slices.Contains(phases, t.phase) })
	}
	for range 10_000 {
		if all := keys(p.envs, func(e *process) bool { return e.dying }); len(all) > 0 {
			p.bury(all[0])
		} else if all := in("works"); len(all) > 0 {
			p.finish(all[0])
		} else if all := in("starts"); len(all) > 0 {
			t := p.tickets[all[0]]
			t.phase, p.envs[t.env].exists = "works", true
			p.step(fleet.Started{Environment: t.env})
		} else if all := in("stale", "lost"); len(all) > 0 {
			p.end(all[0])
		} else if all := keys(p.envs, func(e *process) bool { return !e.idle }); len(all) > 0 { // it did not come back
			p.bury(all[0])
		} else if len(p.tickets) > 0 && p.limits.Environments > 0 {
			p.fail("%d invocations never end", len(p.tickets))
		} else if len(p.waiters) > 0 {
			w := p.waiters[0]
			p.waiters = p.waiters[1:]
			p.step(fleet.Withdrawn{Waiter: w})
		} else if at := p.w.machine.Wake(); !at.IsZero() {
			p.w.now = at
			p.step(fleet.Tick{})
		} else {
			break
		}
	}
	for _, fn := range functions {
		p.retire(p.current[fn])
		delete(p.reserved, fn)
		p.step(fleet.Reserved{Function: fn, Limit: fleet.Unreserved})
	}
	if len(p.opened) > 0 || p.w.machine.Counts() != (fleet.Counts{}) {
		p.fail("%d generations are not let go; %+v is left", len(p.opened), p.w.machine.Counts())
	}
	if p.closed && !p.over {
		p.fail("it never said that it is drained")
	}
}
