//go:build !linux

package nonblock

import (
	"net"
	"syscall"
)

// Wrap returns c.
func Wrap(c net.Conn) net.Conn { return c }

// WrapStalling returns a connection that calls a function before each write, since it may have to wait for the other
// end: to set a deadline.
func WrapStalling(c net.Conn, stalled func()) net.Conn { return &stalling{c, stalled} }

type stalling struct {
	net.Conn
	stalled func()
}

// Write writes all of b.
func (s *stalling) Write(b []byte) (int, error) {
	s.stalled()
	return s.Conn.Write(b)
}

// Read reads from a descriptor in non-blocking mode, as syscall.Read does.
func Read(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }
