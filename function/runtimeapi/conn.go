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
	waits bool         // a request on it is waiting for its response; guarded by s.mu
	gone  bool         // its other end was closed before we could see its owner
	got   atomic.Int64 // bytes read
	cut   bool         // it was reset; read by its own goroutine, and by Finish once that has ended
}

// Read also records how the connection ends, and near the end of the process extends the deadline with every read.
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

// hurry ends the connection after lastSilence without a byte, and in any case at until.
func (c *conn) hurry(until time.Time) {
	if at := time.Now().Add(lastSilence); at.Before(until) {
		until = at
	}
	_ = c.SetDeadline(until)
}
