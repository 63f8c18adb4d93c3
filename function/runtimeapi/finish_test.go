package runtimeapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dial returns a bare connection to s, like one of a process.
func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func posted(path, body string) string {
	return fmt.Sprintf("POST %s%s HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", base, path, len(body), body)
}

// The end of a process never overtakes what it has sent. Each case is what the process does last; then it is gone, and
// Finish is called at once.
func TestWhatWasSentBeforeTheEndIsHeard(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", MaxResponse)
	for name, c := range map[string]struct {
		last func(*testing.T, *Server, net.Conn) // the connection has read the event of invocation id-1
		want []string
	}{
		"an answer on a connection that is closed": {func(t *testing.T, _ *Server, c net.Conn) {
			say(t, c, posted("/runtime/invocation/id-1/response", "yes"))
			c.Close()
		}, []string{"yes"}},
		"an answer on a connection that a descendant holds open": {func(t *testing.T, _ *Server, c net.Conn) {
			say(t, c, posted("/runtime/invocation/id-1/response", "yes"))
		}, []string{"yes"}},
		"an answer and the question for more work": {func(t *testing.T, _ *Server, c net.Conn) {
			say(
				t, c,
				posted(
					"/runtime/invocation/id-1/response", "yes",
				)+"GET "+base+"/runtime/invocation/next HTTP/1.1\r\n\r\n",
			)
			c.Close()
		}, []string{"yes"}},
		"an answer on a connection that nobody has accepted yet": {func(t *testing.T, s *Server, c net.Conn) {
			s.mu.Lock() // which is needed to accept a connection
			defer s.mu.Unlock()
			c.Close()
			for range 20 {
				dial(t, s).Close()
			}
			other := dial(t, s)
			say(t, other, posted("/runtime/invocation/id-1/response", "yes"))
			other.Close()
		}, []string{"yes"}},
		"a large answer that is still on its way": {func(t *testing.T, _ *Server, c net.Conn) {
			go func() { // what the kernel does for a dead process
				_, _ = io.WriteString(c, posted("/runtime/invocation/id-1/response", large))
				c.Close()
			}()
		}, []string{large}},
		"an error": {func(t *testing.T, _ *Server, c net.Conn) {
			say(t, c, posted("/runtime/invocation/id-1/error", "no"))
			c.Close()
		}, []string{"no"}},
		"two answers, of which the first counts": {func(t *testing.T, _ *Server, c net.Conn) {
			say(t, c, posted("/runtime/invocation/id-1/response", "yes")+posted("/runtime/invocation/id-1/error", "no"))
			c.Close()
		}, []string{"yes"}},
		"a part of an answer, which is none": {func(t *testing.T, _ *Server, c net.Conn) {
			say(t, c, strings.TrimSuffix(posted("/runtime/invocation/id-1/response", "yes"), "s"))
			c.Close()
		}, nil},
		"a part of an answer in chunks": {func(t *testing.T, _ *Server, c net.Conn) {
			say(
				t, c,
				"POST "+base+
					"/runtime/invocation/id-1/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n",
			)
			c.Close()
		}, nil},
		"a part of an answer on a connection that stays open": {func(t *testing.T, _ *Server, c net.Conn) {
			say(t, c, "POST "+base+"/runtime/invoc")
		}, nil},
		"nothing": {func(_ *testing.T, _ *Server, c net.Conn) { c.Close() }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, h, _ := listen(t)
			conn := dial(t, s)
			invoke(t, s, h, conn)
			began := time.Now()

			c.last(t, s, conn)
			unread := s.Finish()

			var got []string
			for len(h.answers) > 0 {
				got = append(got, string((<-h.answers).Payload))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("heard %.40q, want %.40q", got, c.want)
			}
			if took := time.Since(began); unread || took > lastLimit {
				t.Errorf("unread %v, after %v", unread, took)
			}
			s.Close()
		})
	}
}

// invoke brings conn to the point at which it has read the event of id-1.
func invoke(t *testing.T, s *Server, h *recorder, conn net.Conn) {
	t.Helper()
	say(t, conn, "GET "+base+"/runtime/invocation/next HTTP/1.1\r\n\r\n")
	<-h.ready
	if err := s.Send(event("id-1")); err != nil {
		t.Fatal(err)
	}
	var read []byte
	for one := make([]byte, 1); !bytes.HasSuffix(read, []byte(`{"a":1}`)); read = append(read, one[0]) {
		if _, err := conn.Read(one); err != nil {
			t.Fatal(err)
		}
	}
}

// An error of the init phase that the process sends just before its end is received too.
func TestInitErrorBeforeTheEndIsHeard(t *testing.T) {
	t.Parallel()
	s, h, _ := listen(t)
	c := dial(t, s)
	say(t, c, posted("/runtime/init/error", "{}"))
	c.Close()

	s.Finish()

	select {
	case got := <-h.failed:
		if got != "{}" {
			t.Errorf("heard %q", got)
		}
	default:
		t.Error("not heard")
	}
}

// A process that has asked for work and ends before it has read the event has not run a handler: the event may go to
// another environment.
func TestEventThatNobodyReadIsTold(t *testing.T) {
	t.Parallel()
	s, h, _ := listen(t)
	c := dial(t, s)
	say(t, c, "GET "+base+"/runtime/invocation/next HTTP/1.1\r\n\r\n")
	<-h.ready
	if err := s.Send(event("id-1")); err != nil {
		t.Fatal(err)
	}
	if peek := make([]byte, 1); true { // the event has arrived
		if _, err := c.Read(peek); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()

	if !s.Finish() {
		t.Error("counts as read")
	}
}

// After the end of the process nothing is handed out, even if a process that it left behind holds the connection.
func TestNothingIsHandedOutAfterTheEnd(t *testing.T) {
	t.Parallel()
	s, h, _ := listen(t)
	say(t, dial(t, s), "GET "+base+"/runtime/invocation/next HTTP/1.1\r\n\r\n")
	<-h.ready
	over := make(chan bool)
	go func() { over <- s.Finish() }()
	<-s.ending

	if err := s.Send(event("id-1")); !errors.Is(err, ErrNotReady) {
		t.Errorf("work was handed out: %v", err)
	}
	<-over
}

// counted records its deadlines, and returns one byte per read.
type counted struct {
	net.Conn
	deadlines []time.Time
}

func (c *counted) Read(b []byte) (int, error)     { return copy(b, "x"), nil }
func (c *counted) SetDeadline(at time.Time) error { c.deadlines = append(c.deadlines, at); return nil }

// Slow data after the end of the process gets time from byte to byte, until the limit.
func TestEveryByteAfterTheEndGivesTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		until := began.Add(lastLimit)
		s, under := &Server{}, &counted{}
		s.until.Store(&until)
		c := &conn{Conn: under, s: s}
		for range 7 {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			<-time.After(900 * time.Millisecond)
		}
		for i, at := range under.deadlines {
			if want := min(time.Duration(i)*900*time.Millisecond+lastSilence, lastLimit); at.Sub(began) != want {
				t.Errorf("after read %d: until %v, want %v", i, at.Sub(began), want)
			}
		}
		if len(under.deadlines) != 7 {
			t.Errorf("%d deadlines", len(under.deadlines))
		}
	})
}

// A connection whose other end is closed gets no event, and neither do others once the process has ended.
func TestNobodyGetsWork(t *testing.T) {
	t.Parallel()
	s, h, _ := listen(t)
	s.Finish()
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
	if len(h.ready) > 0 {
		t.Error("ready")
	}
}
