package front

import (
	"crypto/tls"
	"sync"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/internal/nonblock"
)

// A connection that waits for its next request for longer than restBefore waits in the lot: without goroutine, stack,
// buffers and timer, which together are many times what is known of a connection. When something comes, a new goroutine
// serves it on. Where the system has no nonblock.Set, and for connections without a socket, everything stays with the
// goroutine that has served so far.

// restBefore is how long a connection waits where it is. Who sends more often never meets the lot; thousands that come
// within a second and then rest are in it before the next thousands have come.
const restBefore = 250 * time.Millisecond

// wait is what a connection knows of the wait for its next request.
type wait struct {
	last  bool      // its deadline is the end of it, not the way to the lot
	until time.Time // the end; zero: there is none
	ended bool      // the lot has ended it

	ticket uint64 // in the lot, where it is the key; 0: it is not there. Guarded by lot.mu
}

// lot is where connections rest.
type lot struct {
	many  int           // manyCame
	quiet time.Duration // whileQuiet

	mu      sync.Mutex
	set     *nonblock.Set // nil before the first connection
	closed  bool          // or the system has no set
	resting map[uint64]*conn
	tickets uint64
	timer   *time.Timer
	rings   time.Time // when timer does; zero: it does not
	came    int       // connections since the memory of such was given back, and
	before  int       // how many of them when that was looked at last
}

// What many connections held before they came here stays with the process until its next collections, and there are
// none when nothing happens. So when so many have come, and then none for a while, it is given back.
const (
	manyCame   = 1000
	whileQuiet = time.Second
)

// mayRest reports whether connections wait for so long that the lot is worth while.
func (s *Server) mayRest() bool { return s.http.IdleTimeout <= 0 || s.http.IdleTimeout > s.restBefore }

// firstWait returns how long a connection waits where it is; 0: without an end.
func (s *Server) firstWait() time.Duration {
	if s.mayRest() {
		return s.restBefore
	}
	return s.http.IdleTimeout
}

// stay goes on with the wait in this goroutine.
func (c *conn) stay() {
	c.wait.last = true
	c.calm.mu.Lock()
	defer c.calm.mu.Unlock()
	c.calm.deadline = true
	_ = c.nc.SetReadDeadline(c.wait.until)
}

// rest takes the connection to the lot after its first wait. It returns false if that cannot take it: it waits here
// then. After true the connection belongs to somebody else.
func (c *conn) rest() bool {
	c.wait.until = time.Time{}
	if idle := c.s.http.IdleTimeout; idle > 0 {
		c.wait.until = time.Now().Add(idle - c.s.restBefore)
	}
	if _, socket := c.nc.(syscall.Conn); !socket || c.from < c.to {
		c.stay()
		return false
	}
	c.shed()
	if c.s.lot.park(c) {
		return true
	}
	c.gather()
	c.stay()
	return false
}

var heads = sync.Pool{New: func() any { return new(head) }}

// shed gives up what only a request needs.
func (c *conn) shed() {
	heads.Put(c.head)
	c.head, c.out, c.tls = nil, nil, nil
	if !c.secured {
		c.io = nil
	}
}

// gather gets that again.
func (c *conn) gather() {
	c.head, _ = heads.Get().(*head)
	if t, ok := c.io.(*tls.Conn); ok {
		state := t.ConnectionState()
		c.tls = &state
	} else {
		c.io = nonblock.WrapStalling(c.nc, c.stall)
	}
}

// resume begins to serve a connection that was in the lot. It returns false if it has ended there. What has come need
// not be a request: TLS has messages of its own, and parts of them. So the end of the wait stays.
func (c *conn) resume() bool {
	c.gather()
	if c.wait.ended {
		return false
	}
	c.stay()
	return true
}

// park lets a connection rest until it can be read, or its wait is over.
func (l *lot) park(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !l.open() {
		return false
	}
	l.tickets++
	if l.set.Add(c.nc, l.tickets) != nil { // it is closed, or no socket
		return false
	}
	c.wait.ticket = l.tickets
	l.resting[c.wait.ticket] = c
	l.ringAt(c.wait.until)
	if l.came++; l.came == l.many && c.s.GiveBack != nil {
		time.AfterFunc(l.quiet, func() { l.settle(c.s.GiveBack) })
	}
	return true
}

// settle gives memory back when no more connections come.
func (l *lot) settle(giveBack func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.came != l.before {
		l.before = l.came
		time.AfterFunc(l.quiet, func() { l.settle(giveBack) })
		return
	}
	l.came, l.before = 0, 0
	go giveBack()
}

// open makes the lot ready, the first time. mu is held.
func (l *lot) open() bool {
	if l.set != nil {
		return true
	}
	set, err := nonblock.NewSet(l.ready)
	if err != nil {
		l.closed = true
		return false
	}
	l.set, l.resting = set, map[uint64]*conn{}
	return true
}

// ready serves a connection that can be read. One that has left meanwhile is not there.
func (l *lot) ready(ticket uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.resting[ticket]; c != nil {
		l.leave(c)
	}
}

// leave takes a connection out and gives it a goroutine. mu is held.
func (l *lot) leave(c *conn) {
	delete(l.resting, c.wait.ticket)
	c.wait.ticket = 0
	go c.serve()
}

// end ends the wait of a connection if it is here.
func (l *lot) end(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.wait.ticket != 0 {
		c.wait.ended = true
		l.leave(c)
	}
}

// close ends all waits, and takes nothing any more.
func (l *lot) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.resting {
		c.wait.ended = true
		l.leave(c)
	}
	if l.set != nil {
		_ = l.set.Close()
	}
	if l.timer != nil {
		l.timer.Stop()
	}
}

// leastRing is the least time between two looks for waits that are over: each goes through all connections.
const leastRing = time.Second

// ringAt sees to it that the wait that ends then is noticed. mu is held.
func (l *lot) ringAt(t time.Time) {
	if t.IsZero() || !l.rings.IsZero() && !t.Before(l.rings) {
		return
	}
	l.rings = t
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(t), l.expire)
	} else {
		l.timer.Reset(time.Until(t))
	}
}

// expire ends the waits that are over.
func (l *lot) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	now, next := time.Now(), time.Time{}
	for _, c := range l.resting {
		switch t := c.wait.until; {
		case t.IsZero():
		case !t.After(now):
			c.wait.ended = true
			l.leave(c)
		case next.IsZero() || t.Before(next):
			next = t
		}
	}
	l.rings = time.Time{}
	if least := now.Add(leastRing); !next.IsZero() && next.Before(least) {
		next = least
	}
	l.ringAt(next)
}
