//go:build race

package nonblock

import (
	"syscall"
	"unsafe"
)

// The race detector learns from package syscall that what was done before a write was done before it is read.

func read(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

func write(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }

func writev(fd uintptr, v *[2]syscall.Iovec) (int, error) {
	return syscall.Write(int(fd), unsafe.Slice(v[0].Base, v[0].Len))
}
