package front

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/internal/nonblock"
)

// conn is one connection. Its goroutine reads requests and calls the handler; other goroutines only touch word, and
// what its calm guards.
type conn struct {
	s      *Server
	nc     net.Conn
	io     net.Conn // nc, or TLS over it, for reads and writes
	remote string   // the client's address

	secured bool                 // io is TLS
	tls     *tls.ConnectionState // of a connection of TLS

	buf       []byte // nil while it waits for a request
	from, to  int    // what has been read and not used: buf[from:to]
	broken    bool   // the last read has failed, and not because the client has ended it
	late      bool   // it has failed because it took too long
	afterPost bool   // the last request was a POST; see await
	head      *head  // nil in the lot
	out       []byte // storage for the beginning of an answer
	wait      wait

	// word is the number of a step and the phase that began with it, so that whoever sees the same word twice knows
	// that nothing has happened in between.
	word   atomic.Uint64
	cancel atomic.Pointer[context.CancelFunc] // of the request under way
	slow   slow
	calm   calm
}

// phase is what a connection does.
type phase uint8

const (
	fresh   phase = iota // it has sent nothing yet
	idle                 // it waits for the next request
	heading              // a head is coming
	bodied               // the handler runs, and has not read the whole body
	waiting              // the handler runs, and the client sends nothing more before it has its answer
	phases  = 8
)

func phaseOf(word uint64) phase { return phase(word % phases) }

// enter begins a phase.
func (c *conn) enter(p phase) {
	w := c.word.Load()
	if phaseOf(w) == p {
		return
	}
	c.word.Store((w/phases+1)*phases + uint64(p))
	if c.calm.set.Load() {
		c.rouse()
	}
}

const readSize = 4 << 10 // bytes of a connection's buffer; it grows for longer heads

// spare are the buffers that no connection holds.
var spare = sync.Pool{New: func() any { return new([readSize]byte) }}

// buffers lends them.
type buffers struct{}

func (buffers) Lend() []byte {
	b, _ := spare.Get().(*[readSize]byte)
	return b[:]
}

func (buffers) Return(b []byte) { spare.Put((*[readSize]byte)(b)) }

// release gives up a buffer from which everything is used. One that has grown is not kept.
func (c *conn) release() {
	if len(c.buf) == readSize {
		buffers{}.Return(c.buf)
	}
	c.buf, c.from, c.to = nil, 0, 0
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{s: s, nc: nc}
	c.io = nonblock.WrapStalling(nc, c.stall)
	c.head = new(head)
	c.calm.set.Store(true)
	if a := nc.RemoteAddr(); a != nil {
		c.remote = a.String()
	}
	return c
}

// serve serves requests until the connection ends, is handed over, or waits in the lot, which then serves it on.
func (c *conn) serve() {
	over, parked := false, false
	defer func() {
		if parked { // it may be somebody else's by now
			return
		}
		if p := recover(); p != nil {
			c.panicked(p)
		}
		c.cut()
		c.leave()
		c.s.forget(c)
		if !over {
			_ = c.io.Close()
		}
	}()
	if phaseOf(c.word.Load()) == fresh {
		c.rouse() // the time for the first head has begun
		var ok bool
		if over, ok = c.begin(); !ok {
			return
		}
	} else if !c.resume() {
		return
	}
	for {
		v := c.readHead()
		var x *exchange
		if v == plain {
			x, v = c.newExchange()
		}
		switch v {
		case plain:
			if !x.serve() {
				return
			}
			c.wait.last = !c.s.mayRest()
			c.enter(idle)
		case odd:
			over = true
			c.leave()
			c.slow.own.Store(true)
			c.s.handOver(c.inner(), slices.Clone(c.buf[c.from:c.to]))
			return
		case more: // the connection has ended
			return
		case resting:
			parked = true
			return
		}
	}
}

// inner returns what net/http reads and writes of a connection that is handed over.
func (c *conn) inner() net.Conn {
	if c.secured {
		return c.io
	}
	return c.nc
}

// panicked logs a panic as net/http does, unless the handler has asked by it to cut the connection.
func (c *conn) panicked(p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return
	}
	stack := make([]byte, 64<<10)
	c.s.logf("front: panic serving %s: %v\n%s", c.remote, p, stack[:runtime.Stack(stack, false)])
}

func (s *Server) logf(format string, args ...any) {
	if s.http.ErrorLog != nil {
		s.http.ErrorLog.Printf(format, args...)
	}
}

// readHead reads the next head. more means that there is none, because the connection has ended, and resting that it
// waits in the lot.
func (c *conn) readHead() verdict {
	first := phaseOf(c.word.Load()) == fresh
	if !first {
		if v := c.await(); v != plain {
			return v
		}
	}
	h := c.head
	h.reset()
	for {
		if c.from < c.to {
			if !first { // the time for the first head began with the connection
				c.enter(heading)
			}
			if v := h.read(c.buf[c.from:c.to]); v != more {
				return v
			}
		}
		switch {
		case c.fill():
		case c.broken || c.from == c.to:
			return more
		default:
			return odd // net/http says that it is incomplete
		}
	}
}

// leastNext is how many bytes net/http waits for before it takes them for another request.
const leastNext = 4

// await waits for the first bytes of another request. more means that none comes, resting that the lot waits for it,
// plain that they are there. After a POST, line breaks at their front are ignored, as net/http does for clients that
// send one behind a body.
func (c *conn) await() verdict {
	if c.from == c.to { // thousands of connections may wait
		c.release()
	}
	for c.to-c.from < leastNext {
		switch {
		case c.fill():
		case !c.late || c.wait.last:
			return more
		case c.rest():
			return resting
		}
	}
	if !c.afterPost {
		return plain
	}
	for range leastNext {
		if b := c.buf[c.from]; b != '\r' && b != '\n' {
			break
		}
		c.from++
	}
	return plain
}

// fill reads more into buf, which grows up to maxHead. It returns false at the end of the connection.
func (c *conn) fill() bool {
	if c.from == c.to {
		c.from, c.to = 0, 0
	}
	if c.buf == nil {
		b, n, err := nonblock.ReadLent(c.io, buffers{})
		c.buf = b
		return c.filled(n, err)
	}
	if c.to == len(c.buf) {
		if c.from > 0 {
			c.to = copy(c.buf, c.buf[c.from:c.to])
			c.from = 0
		} else {
			c.buf = append(c.buf, make([]byte, max(len(c.buf), readSize))...)
		}
	}
	return c.filled(c.io.Read(c.buf[c.to:]))
}

// filled takes the result of a read into buf.
func (c *conn) filled(n int, err error) bool {
	c.to += n
	if n > 0 {
		return true
	}
	c.broken, c.late = !errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded)
	return false
}
