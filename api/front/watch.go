package front

import (
	"sync"
	"sync/atomic"
	"time"
)

// Deadlines and the look for clients that leave are set up lazily: they cost system calls, and of requests that take
// microseconds none needs them. A connection in which nothing has happened for watchEvery, at most twice that, becomes
// calm: it gets the deadline of its phase, or while its handler runs a goroutine that reads ahead and ends the context
// when the client leaves. The next step of the connection ends that. When all are calm no timer runs.

// watchEvery is how often connections that are not calm are looked at.
const watchEvery = 20 * time.Millisecond

// watch knows the connections that are not calm.
type watch struct {
	mu       sync.Mutex
	restless []*conn
	timer    *time.Timer
	running  bool
}

// calm is what a connection has while nothing happens in it.
type calm struct {
	set atomic.Bool // it is calm; changed with mu held

	mu       sync.Mutex
	gone     bool // the connection has ended for us: nothing may touch it
	deadline bool // a deadline for reads is set
	ahead    *ahead

	seen uint64 // word when it was looked at last; guarded by watch.mu
}

// rouse ends calm. Only the goroutine that has begun a phase calls it.
func (c *conn) rouse() {
	c.calm.mu.Lock()
	if !c.calm.set.Load() || c.calm.gone {
		c.calm.mu.Unlock()
		return
	}
	c.disturb()
	c.calm.set.Store(false)
	c.calm.mu.Unlock()

	w := &c.s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restless = append(w.restless, c)
	if w.running {
		return
	}
	w.running = true
	if w.timer == nil {
		w.timer = time.AfterFunc(watchEvery, w.look)
	} else {
		w.timer.Reset(watchEvery)
	}
}

// disturb ends what calm has set up. c.calm.mu is held.
func (c *conn) disturb() {
	if c.calm.deadline {
		c.calm.deadline = false
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	if c.calm.ahead != nil {
		c.stopReadingAhead()
	}
}

// leave says that the connection belongs to somebody else, or to nobody.
func (c *conn) leave() {
	c.calm.mu.Lock()
	defer c.calm.mu.Unlock()
	if !c.calm.gone {
		c.disturb()
		c.calm.gone = true
	}
}

// look calms the connections in which nothing has happened since the last look.
func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	kept := w.restless[:0]
	for _, c := range w.restless {
		word := c.word.Load()
		if word == c.calm.seen && c.settle(word, now) {
			continue
		}
		c.calm.seen = word
		kept = append(kept, c)
	}
	clear(w.restless[len(kept):])
	w.restless = kept
	if w.running = len(kept) > 0; w.running {
		w.timer.Reset(watchEvery)
	} else {
		w.restless = nil
	}
}

// settle makes a connection calm that is still in the step that began with word. It returns false when it is not.
func (c *conn) settle(word uint64, now time.Time) bool {
	c.calm.mu.Lock()
	defer c.calm.mu.Unlock()
	if c.calm.gone {
		return true
	}
	// whoever begins a step stores word and then loads set: one of both sees what the other has done
	c.calm.set.Store(true)
	if c.word.Load() != word {
		c.calm.set.Store(false)
		return false
	}
	switch phaseOf(word) {
	case fresh, heading:
		c.limit(now, c.s.http.ReadHeaderTimeout)
	case idle:
		c.limit(now, c.s.firstWait())
	case waiting:
		c.readAhead()
	case bodied: // its reader notices
	}
	return true
}

func (c *conn) limit(now time.Time, d time.Duration) {
	if d > 0 {
		c.calm.deadline = true
		_ = c.nc.SetReadDeadline(now.Add(d))
	}
}

// ahead is a read while a handler runs, by a goroutine of its own.
type ahead struct {
	over    chan struct{}
	stopped atomic.Bool
	b       [1]byte
	n       int
}

// readAhead begins to watch the client. c.calm.mu is held.
func (c *conn) readAhead() {
	a := &ahead{over: make(chan struct{})}
	c.calm.ahead = a
	go func() {
		defer close(a.over)
		var err error
		if a.n, err = c.io.Read(a.b[:]); err != nil && !a.stopped.Load() {
			c.cut()
		}
	}()
}

// stopReadingAhead ends that; a byte that has come belongs to the next request. c.calm.mu is held, by the connection's
// goroutine.
func (c *conn) stopReadingAhead() {
	a := c.calm.ahead
	c.calm.ahead = nil
	a.stopped.Store(true)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	<-a.over
	_ = c.nc.SetReadDeadline(time.Time{})
	if a.n == 1 {
		c.buf = append(c.buf[:c.to], a.b[0])
		c.to++
		c.buf = c.buf[:cap(c.buf)]
	}
}
