package runtimeapi

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is one connection of the runtime.
type conn struct {
	net.Conn
	s     *Server
	waits bool         // a request on it waits for its answer; guarded by s.mu
	gone  bool         // its other end was closed before we could see whose it is
	got   atomic.Int64 // bytes read
	cut   bool         // it ended by a reset; for its own goroutine, and for Finish when that has ended
}

// Read also notes how a connection ends, and near the end of the process gives the next bytes their time.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.got.Add(int64(n))
		if until := c.s.until.Load(); until != nil {
			c.hurry(*until)
		}
	}
	if err != nil {
		c.cut = errors.Is(err, syscall.ECONNRESET)
	}
	return n, err
}

// hurry ends the connection when it has been silent for lastSilence, and at until.
func (c *conn) hurry(until time.Time) {
	if at := time.Now().Add(lastSilence); at.Before(until) {
		until = at
	}
	_ = c.SetDeadline(until)
}
