package function

import (
	"context"
	"sync"
	"time"
)

// generation is a function's code and configuration at one moment, with the environments that run it. Guarded by fleet.mu unless said otherwise.
type generation struct {
	f    *Functions
	conf *Configuration // immutable

	idle    []*environment // newest last: the newest is taken first
	slots   []string       // private directories whose process is gone, for the next one
	living  int
	retired bool

	mu       sync.Mutex // guards what follows
	failures int        // failed init phases in a row
	retryAt  time.Time  // no start before
	lastInit failure    // what callers get until then
}

func (f *Functions) newGeneration(conf *Configuration) *generation {
	f.code.retain(conf.CodeSHA256)
	return &generation{f: f, conf: conf}
}

// acquire answers a warm environment, or nil and true when the caller may start one. Neither: the machine is full, or ctx ended, or the fleet closed.
// With wait the caller stands in line for room on the machine.
func (fl *fleet) acquire(ctx context.Context, g *generation, wait bool) (env *environment, start bool) {
	fl.mu.Lock()
	if fl.closed {
		fl.mu.Unlock()
		return nil, false
	}
	if n := len(g.idle); n > 0 {
		env = fl.takeIdle(g.idle[n-1])
		fl.mu.Unlock()
		return env, false
	}
	if fl.living < fl.maxEnvironments && fl.queue.Len() == 0 {
		fl.admitStart(g)
		fl.mu.Unlock()
		return nil, true
	}
	if victim := fl.oldestIdle(); victim != nil && fl.queue.Len() == 0 {
		fl.takeIdle(victim)
		fl.admitStart(g)
		fl.mu.Unlock()
		victim.stop()
		return nil, true
	}
	if !wait {
		fl.mu.Unlock()
		return nil, false
	}
	t := &ticket{g: g, ready: make(chan struct{})}
	t.place = fl.queue.PushBack(t)
	fl.mu.Unlock()
	select {
	case <-t.ready:
	case <-ctx.Done():
		fl.mu.Lock()
		select {
		case <-t.ready: // it came at the same moment: hand it on
			fl.mu.Unlock()
			if t.env != nil {
				fl.put(t.env)
			} else {
				fl.gone(g)
			}
			return nil, false
		default:
		}
		fl.queue.Remove(t.place)
		fl.mu.Unlock()
		return nil, false
	}
	fl.mu.Lock()
	closed := fl.closed
	fl.mu.Unlock()
	if t.env == nil && closed {
		return nil, false
	}
	return t.env, t.env == nil
}

// admitStart counts an environment that is about to start. fl.mu is held.
func (fl *fleet) admitStart(g *generation) {
	fl.living++
	g.living++
}

// takeIdle takes e out of the warm pool. fl.mu is held.
func (fl *fleet) takeIdle(e *environment) *environment {
	g := e.g
	for i := len(g.idle) - 1; i >= 0; i-- {
		if g.idle[i] == e {
			g.idle = append(g.idle[:i], g.idle[i+1:]...)
			break
		}
	}
	fl.idle.Remove(e.place)
	e.place = nil
	return e
}

func (fl *fleet) oldestIdle() *environment {
	if front := fl.idle.Front(); front != nil {
		return front.Value.(*environment)
	}
	return nil
}

// put returns an environment to the warm pool, or hands it to who waits first, or stops it when its generation is over.
func (fl *fleet) put(e *environment) {
	fl.mu.Lock()
	if e.isDead() { // whoever watched its end has counted it out, or will
		fl.mu.Unlock()
		return
	}
	if e.g.retired || fl.closed {
		fl.mu.Unlock()
		e.stop()
		return
	}
	if first := fl.queue.Front(); first != nil {
		t := first.Value.(*ticket)
		if t.g != e.g { // it makes room for another function; whose turn it is will be seen when it is gone
			fl.mu.Unlock()
			e.stop()
			return
		}
		fl.queue.Remove(first)
		t.env = e
		close(t.ready)
		fl.mu.Unlock()
		return
	}
	e.idleSince = time.Now()
	e.g.idle = append(e.g.idle, e)
	e.place = fl.idle.PushBack(e)
	if fl.reaper == nil {
		fl.reaper = time.AfterFunc(fl.idleTTL, fl.reap)
	}
	fl.mu.Unlock()
}

// removeIdle takes an environment that died out of the warm pool, if it is there.
func (fl *fleet) removeIdle(e *environment) {
	fl.mu.Lock()
	if e.place != nil {
		fl.takeIdle(e)
	}
	fl.mu.Unlock()
}

// gone takes an environment that has ended, or was never started, out of the count, and lets the next in line start one.
func (fl *fleet) gone(g *generation) {
	fl.mu.Lock()
	fl.living--
	g.living--
	last := g.retired && g.living == 0
	if first := fl.queue.Front(); first != nil && !fl.closed && fl.living < fl.maxEnvironments {
		t := fl.queue.Remove(first).(*ticket)
		fl.admitStart(t.g)
		close(t.ready)
	}
	fl.mu.Unlock()
	if last {
		g.release()
	}
}

// retire ends a generation: idle environments stop now, busy ones after their invocation. nil is no generation.
func (fl *fleet) retire(g *generation) {
	if g == nil {
		return
	}
	fl.mu.Lock()
	if g.retired {
		fl.mu.Unlock()
		return
	}
	g.retired = true
	stop := append([]*environment(nil), g.idle...)
	for _, e := range stop {
		fl.takeIdle(e)
	}
	last := g.living == 0
	fl.mu.Unlock()
	for _, e := range stop {
		e.stop()
	}
	if last {
		g.release()
	}
}

// release lets go of code and directories once nothing runs on the generation any more.
func (g *generation) release() {
	g.f.fleet.mu.Lock()
	slots := g.slots
	g.slots = nil
	g.f.fleet.mu.Unlock()
	for _, dir := range slots {
		_ = removeAll(dir)
	}
	g.f.code.release(g.conf.CodeSHA256)
}

// takeSlot answers a private directory: one whose process was replaced, so that /tmp outlives a timeout as on AWS, or a new one.
func (g *generation) takeSlot() (string, error) {
	fl := g.f.fleet
	fl.mu.Lock()
	if n := len(g.slots); n > 0 {
		dir := g.slots[n-1]
		g.slots = g.slots[:n-1]
		fl.mu.Unlock()
		return dir, nil
	}
	fl.mu.Unlock()
	return g.f.code.slot()
}

// keepSlot leaves a directory for the next process.
func (g *generation) keepSlot(dir string) {
	fl := g.f.fleet
	fl.mu.Lock()
	g.slots = append(g.slots, dir)
	fl.mu.Unlock()
}

// reap stops what has been idle for too long.
func (fl *fleet) reap() {
	fl.mu.Lock()
	now := time.Now()
	var old []*environment
	for e := fl.oldestIdle(); e != nil && now.Sub(e.idleSince) >= fl.idleTTL; e = fl.oldestIdle() {
		old = append(old, fl.takeIdle(e))
	}
	fl.reaper = nil
	if e := fl.oldestIdle(); e != nil && !fl.closed {
		fl.reaper = time.AfterFunc(fl.idleTTL-now.Sub(e.idleSince), fl.reap)
	}
	fl.mu.Unlock()
	for _, e := range old {
		e.stop()
	}
}

// stopAll ends every environment; it does not wait.
func (fl *fleet) stopAll() {
	fl.mu.Lock()
	all := make([]*environment, 0, len(fl.all))
	for e := range fl.all {
		all = append(all, e)
	}
	fl.mu.Unlock()
	for _, e := range all {
		e.stop()
	}
}
