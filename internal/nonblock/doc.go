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
