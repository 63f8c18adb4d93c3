package front

import (
	"net/http"
	"sync/atomic"
	"time"
)

// writePatience is how long a client may take nothing of an answer. It holds however the answer is sent: a client that
// reads nothing keeps a handler and what it answers in memory.
const writePatience = 30 * time.Second

// slow is what a connection knows of a client that does not take an answer at once.
type slow struct {
	own   atomic.Bool // somebody else bounds writes: the handler of the request, or net/http
	bound atomic.Bool // a deadline is set
}

// stall is called when a write has to wait for the client, which gets new time whenever it has taken something.
func (c *conn) stall() {
	if !c.slow.own.Load() {
		c.slow.bound.Store(true)
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.s.patience))
	}
}

// patient is the http.ResponseWriter of what net/http serves. It bounds how long each write may take, unless the
// handler does that itself.
type patient struct {
	http.ResponseWriter
	patience time.Duration
	own      bool // the handler has set a deadline
}

// Unwrap lets http.ResponseController reach what net/http gave.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// SetWriteDeadline is the handler's own bound.
func (p *patient) SetWriteDeadline(t time.Time) error {
	p.own = true
	return http.NewResponseController(p.ResponseWriter).SetWriteDeadline(t)
}

// Write writes b in so many pieces that a client that reads slowly, but does read, has its time for each.
func (p *patient) Write(b []byte) (n int, err error) {
	for len(b) > 0 || n == 0 {
		piece := b[:min(len(b), writePiece)]
		p.bound()
		m, err := p.ResponseWriter.Write(piece)
		n += m
		if err != nil || len(b) == len(piece) {
			return n, err
		}
		b = b[len(piece):]
	}
	return n, nil
}

// writePiece is how many bytes a client must take within writePatience.
const writePiece = 192 << 10

func (p *patient) bound() {
	if !p.own { // what cannot be bounded is a writer of tests
		_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(p.patience))
	}
}

// FlushError sends what has been written.
func (p *patient) FlushError() error {
	p.bound()
	return http.NewResponseController(p.ResponseWriter).Flush()
}
