// Package nonblock reads and writes descriptors that never block, without telling Go's scheduler of it.
//
// The runtime has to expect of any system call that it blocks: it marks the processor as one that may be taken away,
// wakes its monitor thread if that sleeps, and the monitor looks every 20 µs whether somebody else could have the
// processor. A socket in non-blocking mode makes none of that necessary: what does not go at once is refused, and the
// wait for it is the network poller's. Of a short request those wake-ups are more than a tenth. The price is that the
// goroutine cannot be stopped for the garbage collector during a call, so only short ones are made this way.
//
// It does so on Linux; elsewhere, connections are read and written as package net does.
package nonblock

import "net"

// Lender lends buffers.
type Lender interface {
	Lend() []byte
	Return(b []byte) // of Lend, at its full length
}

// readsLent is what connections of Wrap have beside a net.Conn.
type readsLent interface {
	readLent(l Lender) (b []byte, n int, err error)
}

// ReadLent reads once into a buffer of l. Where it can, it borrows the buffer only when something has come, so that a
// connection that waits holds none. With n > 0 the buffer is the caller's, to be returned; else b is nil.
func ReadLent(c net.Conn, l Lender) (b []byte, n int, err error) {
	if c, ok := c.(readsLent); ok {
		return c.readLent(l)
	}
	b = l.Lend()
	if n, err = c.Read(b); n == 0 {
		l.Return(b)
		b = nil
	}
	return b, n, err
}

// writesBoth is what connections of Wrap have beside a net.Conn.
type writesBoth interface {
	writeBoth(a, b []byte) (int64, error)
}

// WriteBoth writes a, then b, if possible in one system call. It returns how many bytes were written.
func WriteBoth(c net.Conn, a, b []byte) (int64, error) {
	if c, ok := c.(writesBoth); ok {
		return c.writeBoth(a, b)
	}
	both := net.Buffers{a, b}
	return both.WriteTo(c)
}
