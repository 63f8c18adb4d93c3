// Package front serves plain HTTP/1.1 requests itself, and hands every connection that sends anything else to net/http.
//
// Plain is what SDKs send nearly always: HTTP/1.1, one of five methods, a path, a head that keeps to a strict grammar,
// a body of a stated and moderate length or none. Such a request reaches the same http.Handler, with the same
// http.Request as from net/http, and its answer is framed as net/http frames it; only the way there is shorter. As soon
// as a request could be read in more than one way, the front does not judge it: the connection goes to net/http with
// all bytes of that request, and stays there. So there is one authority on what HTTP is, and what is served here is a
// subset of what it accepts. Source: RFC 9112; ADR 12.
package front

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves the connections of its listeners. It takes its settings, the handler among them, from an http.Server,
// which also gets the connections that are not plain: Handler, TLSConfig, ReadHeaderTimeout, IdleTimeout and ErrorLog
// count here, and MaxHeaderBytes has no effect because longer heads are not plain. The http.Server must serve nothing
// else, and its ConnContext is ours. With a TLSConfig a connection that begins with a TLS client's hello is one of TLS.
// Safe for concurrent use.
type Server struct {
	// MayBePlain reports whether a connection may do without TLS where there is a TLSConfig; nil: all may. Hello is
	// told of a TLS client that calls where there is none, which is then refused as such; nil: net/http judges. Neither
	// changes once connections are served.
	MayBePlain func(net.Conn) bool
	Hello      func(net.Conn)
	// GiveBack is called when many connections have come to rest, so that the memory that they held can go back to the
	// system; nil: nothing is. It does not change once connections are served.
	GiveBack func()

	http    *http.Server
	handler http.Handler
	tls     *tls.Config // nil: there are no certificates
	rest    handover

	patience   time.Duration // see writePatience
	restBefore time.Duration // see the constant

	closing atomic.Bool

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}

	watch watch
	lot   lot
}

// New returns a server that has not started.
func New(h *http.Server) *Server {
	s := &Server{
		http: h, handler: h.Handler, patience: writePatience, restBefore: restBefore,
		listeners: map[net.Listener]struct{}{}, conns: map[*conn]struct{}{},
	}
	s.lot.many, s.lot.quiet = manyCame, whileQuiet
	s.rest.conns = make(chan net.Conn)
	s.rest.done = make(chan struct{})
	if h.TLSConfig != nil {
		s.tls = h.TLSConfig.Clone() // net/http changes its own when it gets the first connection
	}
	h.Handler, h.ConnContext = http.HandlerFunc(s.serveRest), remember
	return s
}

// Bounds of the pause after a failed accept, for example for lack of descriptors.
const (
	acceptPause    = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// Serve serves the connections of l until l is closed or fails, or the server is shut down: then it returns
// http.ErrServerClosed. Further listeners may be served at the same time.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if !s.track(l) {
		return http.ErrServerClosed
	}
	defer s.untrack(l)
	pause := acceptPause
	for {
		c, err := l.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			switch {
			case s.closing.Load():
				return http.ErrServerClosed
			case errors.As(err, &temporary) && temporary.Temporary():
				s.rests(pause)
				pause = min(2*pause, maxAcceptPause)
				continue
			}
			return err
		}
		pause = acceptPause
		s.take(c)
	}
}

// rests waits for so long, or until the server is shut down.
func (s *Server) rests(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.rest.done:
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

// take begins to serve a connection.
func (s *Server) take(nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		_ = nc.Close()
		return
	}
	s.conns[c] = struct{}{}
	go c.serve()
}

// forget drops a connection that is closed, or handed over.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Bounds of the pause between two looks for connections that have become idle.
const (
	shutdownPause    = time.Millisecond
	maxShutdownPause = 100 * time.Millisecond
)

// Shutdown closes the listeners, then every connection that no handler works for, as its request would not be served
// any more. It returns when none is left, or with the
// error of ctx; requests under way go on then, until Close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	rest := make(chan error, 1)
	go func() { rest <- s.http.Shutdown(ctx) }()
	err := s.drain(ctx)
	return errors.Join(err, <-rest)
}

// stopListening closes the listeners; what they have accepted and what is handed over from now on is closed.
func (s *Server) stopListening() {
	s.mu.Lock()
	first := !s.closing.Swap(true)
	for l := range s.listeners {
		_ = l.Close()
	}
	s.mu.Unlock()
	if first {
		close(s.rest.done)
		s.lot.close()
	}
}

func (s *Server) drain(ctx context.Context) error {
	pause := shutdownPause
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for !s.closeIdle() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			pause = min(2*pause, maxShutdownPause)
			timer.Reset(pause)
		}
	}
	return nil
}

// closeIdle closes the connections that wait for a request or for the rest of its head, and reports whether there are
// no others.
func (s *Server) closeIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		switch phaseOf(c.word.Load()) {
		case fresh, idle, heading:
			_ = c.nc.Close() // its goroutine forgets it
		case bodied, waiting:
		}
	}
	return len(s.conns) == 0
}

// CloseIdle closes connections that have sent nothing for a while and wait for nothing, at most so many, and returns
// how many it has closed. Whose they are is left to chance: nobody can hold all of them by opening the most.
func (s *Server) CloseIdle(most int) (closed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if closed == most {
			break
		}
		switch phaseOf(c.word.Load()) {
		case fresh, idle, heading:
			if c.calm.set.Load() {
				_ = c.nc.Close() // its goroutine forgets it
				s.lot.end(c)
				closed++
			}
		case bodied, waiting:
		}
	}
	return closed
}

// Close closes the listeners and all connections. It does not wait for handlers.
func (s *Server) Close() error {
	s.stopListening()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.nc.Close()
		c.cut()
	}
	s.mu.Unlock()
	return s.http.Close()
}
