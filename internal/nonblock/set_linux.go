package nonblock

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// Set tells of each of its connections when it can be read, with one goroutine for all of them. It is an epoll instance
// of its own, for which the network poller waits as for a socket. Safe for concurrent use.
type Set struct {
	file *os.File
	raw  syscall.RawConn // of file
}

// setEvents is how many connections one call tells of.
const setEvents = 64

// NewSet returns an empty set. It calls ready with the key of a connection that can be read, or has ended; calls come
// one after the other, from the goroutine of the set. Close must be called.
func NewSet(ready func(key uint64)) (*Set, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // or os takes it for a file that nobody can wait for
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	s := &Set{file: os.NewFile(uintptr(fd), "epoll")}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		_ = s.file.Close()
		return nil, err
	}
	go s.wait(ready)
	return s, nil
}

// Add waits for c, once: after ready was called for it, it must be added again. Until then it must not be added twice,
// and it leaves the set when it is closed, of which ready is not told. A c without a socket of its own is refused with
// errors.ErrUnsupported.
func (s *Set) Add(c net.Conn, key uint64) error {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	event := syscall.EpollEvent{
		Events: syscall.EPOLLIN | syscall.EPOLLRDHUP | syscall.EPOLLONESHOT, Fd: int32(key), Pad: int32(key >> 32),
	}
	var failed, closed error
	err = s.raw.Control(func(set uintptr) {
		closed = raw.Control(func(fd uintptr) {
			failed = syscall.EpollCtl(int(set), syscall.EPOLL_CTL_ADD, int(fd), &event)
			if errors.Is(failed, syscall.EEXIST) { // it was told of before
				failed = syscall.EpollCtl(int(set), syscall.EPOLL_CTL_MOD, int(fd), &event)
			}
		})
	})
	return errors.Join(err, closed, os.NewSyscallError("epoll_ctl", failed))
}

// Close ends the waiting, and does not wait for a call of ready.
func (s *Set) Close() error { return s.file.Close() }

func (s *Set) wait(ready func(key uint64)) {
	var events [setEvents]syscall.EpollEvent
	for {
		n := 0
		err := s.raw.Read(func(fd uintptr) bool {
			for {
				var err error
				if n, err = syscall.EpollWait(int(fd), events[:], 0); !errors.Is(err, syscall.EINTR) {
					return n != 0
				}
			}
		})
		if err != nil || n < 0 { // it is closed
			return
		}
		for _, e := range events[:n] {
			ready(uint64(uint32(e.Pad))<<32 | uint64(uint32(e.Fd)))
		}
	}
}
