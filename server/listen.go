package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// A port whose holder was killed is free a moment later: a child of it between fork and exec still has the listener,
// until exec closes it. So it is tried again for a while before it counts as taken.
const (
	listenPatience = time.Second
	listenPause    = 20 * time.Millisecond
)

// listenPatiently calls listen until it succeeds, fails for another reason than a port in use, or has been tried for
// listenPatience.
func listenPatiently(ctx context.Context, listen func(context.Context) (net.Listener, error)) (net.Listener, error) {
	deadline := time.NewTimer(listenPatience)
	defer deadline.Stop()
	pause := time.NewTicker(listenPause)
	defer pause.Stop()
	for {
		l, err := listen(ctx)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		select {
		case <-pause.C:
		case <-deadline.C:
			return nil, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// maxConnections returns how many connections are open at once: 10,000, or half of the descriptors that this process
// may have, since the store needs some as well.
func maxConnections() int64 {
	most := int64(10_000)
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil && limit.Cur < 2*uint64(most) {
		most = max(int64(limit.Cur)/2, 1)
	}
	return most
}

// connections bounds how many connections are open at once, over all listeners. Where they are too many, some that are
// idle are closed; if all are busy, further ones get an answer in HTTP, because their service is not known yet, and are
// closed.
type connections struct {
	most int64
	log  *slog.Logger
	room func() // closes idle ones; nil: none
	open atomic.Int64
	full atomic.Bool // that it is full has been logged
}

// boundedListener is a listener whose connections count.
type boundedListener struct {
	net.Listener
	all *connections
}

const tooManyConnections = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 75\r\nConnection: close\r\n\r\n" +
	`{"__type":"ServiceUnavailable","message":"Too many connections are open."}` + "\n"

// Accept returns the next connection that is not too many.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.all.open.Add(1) <= l.all.most {
			l.all.full.Store(false)
			return l.all.counted(c), nil
		}
		if l.all.room != nil {
			if l.all.room(); l.all.open.Load() <= l.all.most {
				return l.all.counted(c), nil
			}
		}
		l.all.open.Add(-1)
		if !l.all.full.Swap(true) {
			l.all.log.Warn("connections are refused", "open", l.all.most)
		}
		_ = c.SetWriteDeadline(time.Now().Add(time.Second)) // it fits into the socket's buffer
		_, _ = c.Write([]byte(tooManyConnections))
		_ = c.Close()
	}
}

// counted returns c, which makes room for another one when it is closed.
func (all *connections) counted(c net.Conn) net.Conn {
	switch c := c.(type) {
	case *net.TCPConn:
		return &countedTCP{TCPConn: c, place: place{all: all}}
	case *net.UnixConn:
		return &countedUnix{UnixConn: c, place: place{all: all}}
	}
	panic("a listener of neither TCP nor unix sockets") // we have no other
}

// place is what an open connection takes of those that may be open.
type place struct {
	all  *connections
	left atomic.Bool
}

// leave makes room for another one, once.
func (p *place) leave() {
	if !p.left.Swap(true) {
		p.all.open.Add(-1)
	}
}

// countedTCP is an open connection. It embeds what net/http looks for in one of TCP.
type countedTCP struct {
	*net.TCPConn
	place place
}

// Close closes the connection and makes room for another one.
func (c *countedTCP) Close() error {
	c.place.leave()
	return c.TCPConn.Close()
}

// countedUnix is an open connection of a unix socket.
type countedUnix struct {
	*net.UnixConn
	place place
}

// Close closes the connection and makes room for another one.
func (c *countedUnix) Close() error {
	c.place.leave()
	return c.UnixConn.Close()
}
