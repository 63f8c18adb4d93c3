package nonblock

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// maxCall is how many bytes one call moves at most: some 50 µs. What is longer is written as package net does, since
// others can use the processor meanwhile.
const maxCall = 256 << 10

// Wrap returns a connection that reads from and writes to the socket of c, with the deadlines of c, and is c otherwise.
// A c without a socket of its own is returned as it is. Safe for concurrent use, like c.
func Wrap(c net.Conn) net.Conn {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return c
	}
	w := &conn{Conn: c, raw: raw}
	w.in.step, w.out.step = w.in.try, w.out.try
	return w
}

// WrapStalling is Wrap with a function that is called whenever the other end takes no more for now, before a write
// waits for it: to set a deadline that a write which does not wait has no need of.
func WrapStalling(c net.Conn, stalled func()) net.Conn {
	w := Wrap(c)
	if w, ok := w.(*conn); ok {
		w.out.stalled = stalled
	}
	return w
}

type conn struct {
	net.Conn
	raw syscall.RawConn
	in  input
	out output
}

// Read reads what has come, and waits if that is nothing.
func (c *conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return c.ended(c.in.read(c.raw, b))
}

func (c *conn) readLent(l Lender) ([]byte, int, error) {
	b, n, err, failed := c.in.readLent(c.raw, l)
	n, err = c.ended(n, err, failed)
	return b, n, err
}

// ended is the result of a read, from what the call returned, or why there could be none.
func (c *conn) ended(n int, err, failed error) (int, error) {
	switch {
	case failed != nil: // closed, or too late
		return 0, failed
	case err != nil:
		return 0, c.failed("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write writes all of b.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.writeBoth(b, nil)
	return int(n), err
}

func (c *conn) writeBoth(a, b []byte) (int64, error) {
	if len(a)+len(b) > maxCall {
		if c.out.stalled != nil {
			c.out.stalled()
		}
		both := net.Buffers{a, b}
		return both.WriteTo(c.Conn)
	}
	n, err, failed := c.out.write(c.raw, a, b)
	switch {
	case failed != nil:
		return n, failed
	case err != nil:
		return n, c.failed("write", err)
	}
	return n, nil
}

func (c *conn) failed(call string, err error) error {
	return &net.OpError{
		Op: call, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(call, err),
	}
}

// input is the read under way. Its function is made once, or every read would allocate one.
type input struct {
	mu   sync.Mutex
	b    []byte
	lent Lender // of b; nil: b is the caller's
	n    int
	err  error
	step func(fd uintptr) bool
}

// read returns what the last call returned, or why there could be none.
func (i *input) read(raw syscall.RawConn, b []byte) (n int, err, failed error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.b = b[:min(len(b), maxCall)]
	failed = raw.Read(i.step)
	i.b = nil
	return i.n, i.err, failed
}

// readLent is read with a borrowed buffer, which it returns if nothing was read.
func (i *input) readLent(raw syscall.RawConn, l Lender) (b []byte, n int, err, failed error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.lent = l
	failed = raw.Read(i.step)
	if failed != nil || i.n <= 0 {
		i.giveBack()
	}
	b, i.b, i.lent = i.b, nil, nil
	return b, i.n, i.err, failed
}

func (i *input) giveBack() {
	if i.lent != nil && i.b != nil {
		i.lent.Return(i.b)
		i.b = nil
	}
}

// try reads once. It returns false when nothing has come.
func (i *input) try(fd uintptr) bool {
	if i.lent != nil && i.b == nil {
		i.b = i.lent.Lend()
	}
	for {
		i.n, i.err = read(fd, i.b)
		switch {
		case errors.Is(i.err, syscall.EINTR):
			continue
		case errors.Is(i.err, syscall.EAGAIN):
			i.giveBack()
			return false
		}
		return true
	}
}

// output is the write under way.
type output struct {
	mu   sync.Mutex
	a, b []byte // what is left to write
	n    int64
	err  error
	// called before a write waits; may be nil
	stalled func()
	vec     [2]syscall.Iovec
	step    func(fd uintptr) bool
}

// write returns how much was written, and what the last call returned, or why there could be none.
func (o *output) write(raw syscall.RawConn, a, b []byte) (n int64, err, failed error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.a, o.b, o.n, o.err = a, b, 0, nil
	failed = raw.Write(o.step)
	o.a, o.b = nil, nil
	clear(o.vec[:])
	return o.n, o.err, failed
}

// try writes until all is written, and returns false when the socket takes no more for now.
func (o *output) try(fd uintptr) bool {
	for len(o.a)+len(o.b) > 0 {
		n, err := o.call(fd, o.a, o.b)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			if o.stalled != nil {
				o.stalled()
			}
			return false
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			o.err = err
			return true
		}
		o.n += int64(n)
		ofA := min(n, len(o.a))
		o.a, o.b = o.a[ofA:], o.b[n-ofA:]
	}
	return true
}

// call writes a and b, of which one may be empty, in one call.
func (o *output) call(fd uintptr, a, b []byte) (int, error) {
	switch {
	case len(b) == 0:
		return write(fd, a)
	case len(a) == 0:
		return write(fd, b)
	}
	o.vec[0].Base, o.vec[1].Base = &a[0], &b[0]
	o.vec[0].SetLen(len(a))
	o.vec[1].SetLen(len(b))
	return writev(fd, &o.vec)
}

// Read reads from a descriptor in non-blocking mode: once, as syscall.Read does.
func Read(fd int, b []byte) (int, error) { return read(uintptr(fd), b) }
