package fleet

import "time"

// generation is a function's code and configuration at one moment.
type generation struct {
	id      Generation
	fn      *function
	warm    chain[environment] // idle ones, the newest last: it is taken first
	living  int                // environments that are not gone
	retired bool
}

// state is where an environment stands.
type state uint8

const (
	working state = iota // it starts, or works for an invocation, or has not come back from one
	idle                 // it is warm
	dying                // it takes no more work and is not gone yet
)

// environment is an execution environment, from the command to start it until it is gone.
type environment struct {
	id     Environment
	g      *generation
	state  state
	exists bool              // its process does
	since  time.Time         // when it became idle
	age    link[environment] // among all idle ones
	place  link[environment] // among the idle ones of its generation
}

func (f *Fleet) opened(e Opened) {
	if f.generations[e.Generation] != nil {
		broken("generation %d is opened twice", e.Generation)
	}
	fn := f.function(e.Function)
	fn.generations++
	f.generations[e.Generation] = &generation{id: e.Generation, fn: fn}
}

func (f *Fleet) retired(id Generation) {
	g := f.generations[id]
	if g == nil || g.retired {
		return
	}
	g.retired = true
	for l := f.line.first; l != nil; {
		t := l.of
		if l = l.next; t.g == g {
			f.next(t)
			f.do(Stale{t.id})
		}
	}
	for e := g.warm.front(); e != nil; e = g.warm.front() {
		f.stop(e)
	}
	f.letGo(g)
}

// letGo forgets a retired generation when nothing runs on it any more.
func (f *Fleet) letGo(g *generation) {
	if !g.retired || g.living > 0 {
		return
	}
	delete(f.generations, g.id)
	f.do(LetGo{g.id})
	g.fn.generations--
	f.forget(g.fn)
}

// environment returns one that is not gone, or nil.
func (f *Fleet) environment(id Environment, what string) *environment {
	if id == 0 || id > f.last {
		broken("environment %d, which was never started, %s", id, what)
	}
	return f.environments[id]
}

func (f *Fleet) started(id Environment) {
	e := f.environment(id, "exists")
	if e == nil || e.exists {
		broken("environment %d exists after its end, or twice", id)
	}
	e.exists = true
	if f.cut {
		f.stop(e)
	}
}

// idle gives an environment that can take work to the first in line, or stops it to make room, or keeps it warm.
func (f *Fleet) idle(id Environment) {
	e := f.environment(id, "is idle")
	if e == nil || e.state == dying {
		return
	}
	if e.state == idle || !e.exists {
		broken("environment %d is idle twice, or before it exists", id)
	}
	if f.closed || e.g.retired || f.living-f.dying > f.limits.Environments {
		f.stop(e)
		return
	}
	if t := f.firstFor(e.g); t != nil {
		f.next(t)
		f.use(t, e)
		return
	}
	if f.line.n > f.coming() {
		f.stop(e)
		return
	}
	e.state, e.since = idle, f.now
	f.warm.push(&e.age)
	e.g.warm.push(&e.place)
}

// unpool takes an environment out of the idle ones.
func (f *Fleet) unpool(e *environment) {
	f.warm.remove(&e.age)
	e.g.warm.remove(&e.place)
	e.state = working
}

// stop ends an environment that exists and is not being stopped yet.
func (f *Fleet) stop(e *environment) {
	f.dies(e)
	f.do(Stop{e.id})
}

func (f *Fleet) dies(e *environment) {
	if e.state == idle {
		f.unpool(e)
	}
	e.state = dying
	f.dying++
}

func (f *Fleet) died(id Environment) {
	if e := f.environment(id, "dies"); e != nil && e.state != dying {
		f.dies(e)
	}
}

// gone takes an environment out of the count; the first in line may start another.
func (f *Fleet) gone(id Environment) {
	e := f.environment(id, "is gone")
	if e == nil {
		broken("environment %d is gone twice", id)
	}
	if e.state != dying {
		f.dies(e)
	}
	delete(f.environments, id)
	f.living--
	f.dying--
	e.g.living--
	f.settle()
	f.letGo(e.g)
}
