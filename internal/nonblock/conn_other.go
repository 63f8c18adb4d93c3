//go:build !linux

package nonblock

import (
	"net"
	"syscall"
)

// Wrap returns c.
func Wrap(c net.Conn) net.Conn { return c }

// Read reads from a descriptor in non-blocking mode, as syscall.Read does.
func Read(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }
