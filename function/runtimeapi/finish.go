package runtimeapi

import (
	"net"
	"time"
)

// Bounds of what is still read after the process has ended. By then its last bytes are in our kernel, which sends what
// a full window held back after 200 ms at the latest: longer silence means that another process, such as a child that
// left its session, holds the connection open.
const (
	lastSilence = time.Second
	lastLimit   = 5 * time.Second

	privateSilence = 20 * time.Millisecond // how long connections from a private network are still accepted
)

// Finish is called when the process has ended. It reads every connection to its end, even those not accepted yet, so
// that the end never overtakes what was sent before it; the Handler gets all of it before Finish returns. It takes
// lastLimit at most, and no new work is handed out after it. unread: the runtime had not read the whole event of the
// current invocation, so no handler has seen it. Finish must not be called from a Handler method.
func (s *Server) Finish() (unread bool) {
	until := time.Now().Add(lastLimit)
	s.mu.Lock()
	s.until.Store(&until)
	for c := range s.conns {
		c.hurry(until)
	}
	s.mu.Unlock()
	s.end.Do(func() { close(s.ending) })
	s.acceptRest()
	s.mu.Lock()
	ln := s.ln
	s.mu.Unlock()
	if ln != nil {
		_ = ln.Close()
	}
	over := make(chan struct{})
	go func() {
		s.running.Wait() // ends with Close at the latest
		close(over)
	}()
	select {
	case <-over:
	case <-time.After(time.Until(until)):
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == invoked && s.sentOn != nil && s.sentOn.cut && s.sentOn.got.Load() == s.sentAt
}

// acceptRest returns once every earlier connection has been accepted: connections are accepted in order, so it makes
// one of its own and waits for that.
func (s *Server) acceptRest() {
	if s.user < 0 { // we cannot connect from here; all connections are already queued
		s.mu.Lock()
		ln, _ := s.ln.(*net.TCPListener)
		s.mu.Unlock()
		if ln != nil {
			_ = ln.SetDeadline(time.Now().Add(privateSilence))
			<-s.accepted
		}
		return
	}
	last, err := net.DialTimeout("tcp4", s.Addr(), lastSilence)
	if err != nil {
		return
	}
	defer last.Close()
	addr, seen := last.LocalAddr().String(), make(chan struct{})
	s.mu.Lock()
	s.last, s.seen = addr, seen
	for c := range s.conns {
		if c.RemoteAddr().String() == addr {
			s.last = ""
			close(seen)
		}
	}
	s.mu.Unlock()
	select {
	case <-seen:
	case <-time.After(lastSilence):
	}
}
