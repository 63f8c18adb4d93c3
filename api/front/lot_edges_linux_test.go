package front

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// alone returns a connection of s that nobody serves, and the other end of it.
func (s *inn) alone() (*conn, net.Conn) {
	s.t.Helper()
	l := loopback(s.t)
	defer l.Close()
	theirs, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	ours, err := l.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return newConn(s.Server, ours), theirs
}

// The end that comes first is looked for first, whichever others rest, and when none is left, none is looked for.
func TestTheNextEndOfARest(t *testing.T) {
	t.Parallel()
	s := restful(t, loopback(t), nil)
	for range 3 {
		s.dial().get("/")
	}
	s.has(3, 3)
	now := time.Now()
	ends := func(minutes ...int) {
		s.lot.mu.Lock()
		defer s.lot.mu.Unlock()
		for _, c := range s.lot.resting {
			c.wait.until = now.Add(time.Duration(minutes[0]) * time.Minute)
			minutes = minutes[1:]
		}
	}
	rings := func() time.Time {
		s.lot.expire()
		s.lot.mu.Lock()
		defer s.lot.mu.Unlock()
		return s.lot.rings
	}

	ends(20, -1, 10)
	if got := rings(); !got.Equal(now.Add(10 * time.Minute)) {
		t.Errorf("the next look is in %s, not in ten minutes", got.Sub(now))
	}
	s.has(2, 2)
	ends(30, 40) // what was looked for then is over
	if got := rings(); !got.Equal(now.Add(30 * time.Minute)) {
		t.Errorf("the look after that is in %s, not in half an hour", got.Sub(now))
	}
	ends(-1, -1)
	if got := rings(); !got.IsZero() {
		t.Errorf("with nothing there, the next look is in %s", got.Sub(now))
	}
	s.has(0, 0)
}

// Whoever ends the rest of a connection that has left the lot does not touch it.
func TestOnlyARestIsEnded(t *testing.T) {
	t.Parallel()
	called, answer := make(chan struct{}), make(chan struct{})
	s := restful(t, loopback(t), func(h *http.Server) {
		h.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				called <- struct{}{}
				<-answer
			}
		})
	})
	g := s.dial()
	g.get("/")
	s.has(1, 1)
	g.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
	<-called

	s.mu.Lock()
	for c := range s.conns {
		s.lot.end(c)
		if c.wait.ended {
			t.Error("a connection that is served has been ended")
		}
	}
	s.mu.Unlock()
	close(answer)
	g.answer()
	g.get("/")
}

// A connection that the lot does not take, as when the system has no descriptor for it, waits on with all that its next
// request needs. A lot that is closed opens nothing any more.
func TestALotThatTakesNothing(t *testing.T) {
	t.Parallel()
	const idle = time.Hour
	s := restful(t, loopback(t), nil)
	s.lot.close()
	c, _ := s.alone()
	before := time.Now()
	if c.rest() || c.head == nil || c.io == nil || !c.wait.last || s.lot.set != nil {
		t.Errorf("it rests with the head %v and %v, for the last time: %t; set %v", c.head, c.io, c.wait.last, s.lot.set)
	}
	// its first wait is a part of its time
	if end := c.wait.until; end.Before(before.Add(idle-soon)) || end.After(time.Now().Add(idle-soon)) {
		t.Errorf("it waits for %s more", end.Sub(before))
	}
}

// The end of a rest is not one of the request that comes after it.
func TestTheEndOfARestEndsNoRequest(t *testing.T) {
	t.Parallel()
	s := restful(t, loopback(t), nil)
	c, theirs := s.alone()
	c.enter(idle)
	c.calm.set.Store(true)
	c.wait.until = time.Unix(1, 0)
	c.stay()
	c.enter(heading)
	defer c.leave()
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c.nc, make([]byte, 1)); err != nil {
		t.Errorf("a request that has begun is not read: %v", err)
	}
}

// A line break that a client sends behind the body of a POST is ignored after a rest, too.
func TestALineBreakBehindAPostThatRested(t *testing.T) {
	t.Parallel()
	s := restful(t, loopback(t), nil)
	g := s.dial()
	g.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
	g.answer()
	s.has(1, 1)
	g.send("\r\n")
	if got := g.get("/b"); got != "/bfalse" {
		t.Errorf("got %q", got)
	}
}
