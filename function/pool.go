package function

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// generation is a function's code and configuration at one moment, with the environments that run it. Guarded by
// fleet.mu unless said otherwise.
type generation struct {
	f    *Functions
	conf *Configuration // immutable

	idle    []*environment // newest last: the newest is taken first
	slots   []string       // private directories whose process is gone, for the next one
	living  int
	retired bool

	left    atomic.Bool            // advice on a call of AWS itself has been given
	pending atomic.Pointer[string] // advice that no result has carried yet

	mu       sync.Mutex // guards what follows
	failures int        // failed init phases in a row
	retryAt  time.Time  // no start before
	lastInit failure    // what callers get until then
	said     []string   // advice that the log has
}

func (f *Functions) newGeneration(conf *Configuration) *generation {
	f.code.retain(conf.CodeSHA256)
	return &generation{f: f, conf: conf}
}

// grant is what acquire answers.
type grant uint8

const (
	full     grant = iota // no room on this machine, or ctx ended, or the fleet closed
	warm                  // an environment that waits for work
	mayStart              // the caller starts one; it is counted already
	stale                 // the generation is over: look up the function again
)

// acquire finds an environment of g, or room to start one. With wait the caller stands in line for room on the machine.
func (fl *fleet) acquire(ctx context.Context, g *generation, wait bool) (*environment, grant) {
	fl.mu.Lock()
	var victim *environment
	switch n := len(g.idle); {
	case fl.closed:
		fl.mu.Unlock()
		return nil, full
	case g.retired:
		fl.mu.Unlock()
		return nil, stale
	case n > 0:
		e := fl.takeIdle(g.idle[n-1])
		fl.mu.Unlock()
		return e, warm
	case fl.queue.Len() > 0: // nobody overtakes
	case fl.living < fl.maxEnvironments:
		fl.admitStart(g)
		fl.mu.Unlock()
		return nil, mayStart
	default:
		victim = fl.oldestIdle()
	}
	if victim != nil {
		fl.takeIdle(victim)
		fl.admitStart(g)
		fl.mu.Unlock()
		victim.stop()
		return nil, mayStart
	}
	if !wait {
		fl.mu.Unlock()
		return nil, full
	}
	t := &ticket{g: g, ready: make(chan struct{})}
	t.place = fl.queue.PushBack(t)
	fl.mu.Unlock()
	select {
	case <-t.ready:
		return t.env, t.grant
	case <-ctx.Done():
		return fl.leave(t)
	}
}

// leave gives up a place in the line; what came at the same moment is handed on.
func (fl *fleet) leave(t *ticket) (*environment, grant) {
	fl.mu.Lock()
	select {
	case <-t.ready:
	default:
		fl.queue.Remove(t.place)
	}
	fl.mu.Unlock()
	switch t.grant {
	case warm:
		fl.put(t.env)
	case mayStart:
		fl.gone(t.g)
	case full, stale:
	}
	return nil, full
}

// call takes a ticket out of the line and answers it. fl.mu is held.
func (fl *fleet) call(t *ticket, e *environment, what grant) {
	fl.queue.Remove(t.place)
	t.env, t.grant = e, what
	close(t.ready)
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
		fl.call(t, e, warm)
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

// gone takes an environment that has ended, or was never started, out of the count, and lets the next in line start
// one.
func (fl *fleet) gone(g *generation) {
	fl.mu.Lock()
	fl.living--
	g.living--
	last := g.retired && g.living == 0
	if first := fl.queue.Front(); first != nil && !fl.closed && fl.living < fl.maxEnvironments {
		t := first.Value.(*ticket)
		fl.admitStart(t.g)
		fl.call(t, nil, mayStart)
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
	for at := fl.queue.Front(); at != nil; {
		t := at.Value.(*ticket)
		at = at.Next()
		if t.g == g {
			fl.call(t, nil, stale)
		}
	}
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

// takeSlot returns a private directory: one whose process was replaced, so that /tmp outlives a timeout as on AWS, or a
// new one.
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
