package front

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A client that takes nothing of its answer is cut off, and its handler ends: by the front, and by net/http, which
// serves what is not plain.
func TestClientsThatTakeNothingAreCutOff(t *testing.T) {
	t.Parallel()
	left := make(chan error, 1)
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 16<<20)) // more than the system keeps for anybody
		if err == nil {
			err = errors.New("all was taken")
		}
		left <- err
	})
	s := New(&http.Server{Protocols: &protocols, Handler: answer})
	s.patience = 200 * time.Millisecond
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		running.Wait()
	})
	for name, head := range map[string]string{
		"plain": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "odd": "GET / HTTP/1.1\r\nHost: x\r\nOdd: 1\r\nConnection: close\r\n\r\n",
		// a client of HTTP/2 that has room for nothing, whatever the system keeps: SETTINGS with a window of 0; a GET
		"HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00" +
			"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x84\x86\x01\x01x",
	} {
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}

		if err := <-left; err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: the handler ended with %v", name, err)
		}
	}
}

// watched is a connection that remembers the deadlines for its writes.
type watched struct {
	net.Conn
	deadlines []time.Time
}

func (w *watched) SetWriteDeadline(t time.Time) error {
	w.deadlines = append(w.deadlines, t)
	return nil
}

// Each time a write has to wait, the client gets new time. Where the handler has set a deadline, or the connection is
// net/http's, nobody else does.
func TestWhoTakesSomethingGetsNewTime(t *testing.T) {
	t.Parallel()
	nc := &watched{}
	c := &conn{s: &Server{patience: time.Minute}, nc: nc}

	c.stall()
	c.stall()

	if n := len(nc.deadlines); n != 2 || time.Until(nc.deadlines[1]) < 50*time.Second {
		t.Errorf("two waits have set %v", nc.deadlines)
	}
	c.slow.own.Store(true)
	if c.stall(); len(nc.deadlines) != 2 {
		t.Errorf("a deadline of somebody else became %v", nc.deadlines[2:])
	}
}
