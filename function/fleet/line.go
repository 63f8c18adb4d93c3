package fleet

// coming returns for how many of the line room is on its way: it is there when all environments that are being stopped
// are gone.
func (f *Fleet) coming() int { return max(0, f.limits.Environments-(f.living-f.dying)) }

// find gives an environment to an admitted invocation, or a place in the line, or refuses it. No idle environment of
// its generation is left unused, and otherwise it overtakes no one: when the machine is full, the environment that is
// idle for longest makes room.
func (f *Fleet) find(t *ticket, g *generation) {
	if g == nil || g.retired {
		f.do(Stale{t.id})
		return
	}
	if g.fn != t.fn {
		broken("ticket %d asks for generation %d of another function", t.id, g.id)
	}
	if e := g.warm.back(); e != nil {
		f.unpool(e)
		f.use(t, e)
		return
	}
	if f.living < f.limits.Environments { // then none is in line
		f.start(t, g)
		return
	}
	if f.line.n >= f.coming() {
		if e := f.warm.front(); e != nil {
			f.stop(e)
		}
	}
	if f.line.n >= f.coming() && !t.wait {
		f.turnAway(t, MachineLimit)
		return
	}
	t.g = g
	f.line.push(&t.place)
	f.do(Wait{t.id})
}

// use gives e, which is neither idle nor being stopped, to t.
func (f *Fleet) use(t *ticket, e *environment) {
	e.state = working
	t.given = e
	f.do(Use{t.id, e.id})
}

// start counts a new environment of g for t.
func (f *Fleet) start(t *ticket, g *generation) {
	f.last++
	e := &environment{id: f.last, g: g, state: working}
	e.age.of, e.place.of = e, e
	f.environments[e.id] = e
	f.living++
	g.living++
	t.given = e
	f.do(Start{t.id, e.id, g.id})
}

// next takes the first out of the line.
func (f *Fleet) next(t *ticket) (g *generation) {
	f.line.remove(&t.place)
	g, t.g = t.g, nil
	return g
}

// settle gives the room that there is to the first in line, and sees to it that idle environments make room for the
// others. When the limit has shrunk, environments above it are stopped, and those in line that would not wait and for
// which no room is coming are refused.
func (f *Fleet) settle() {
	for t := f.line.front(); t != nil && f.living < f.limits.Environments; t = f.line.front() {
		f.start(t, f.next(t))
	}
	for f.warm.n > 0 && (f.living-f.dying > f.limits.Environments || f.line.n > f.coming()) {
		f.stop(f.warm.front())
	}
	at := 0
	for l := f.line.first; l != nil; {
		t := l.of
		l = l.next
		if at >= f.coming() && !t.wait {
			f.line.remove(&t.place)
			f.turnAway(t, MachineLimit)
			continue
		}
		at++
	}
}

// firstFor returns the first in line for g, if room is coming for all before it: then an environment that g has to
// spare is its.
func (f *Fleet) firstFor(g *generation) *ticket {
	at := 0
	for l := f.line.first; l != nil && at <= f.coming(); l, at = l.next, at+1 {
		if l.of.g == g {
			return l.of
		}
	}
	return nil
}
