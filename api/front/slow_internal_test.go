package front

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// The bound that a handler has set for the writes of its answer ends with it: who takes nothing of the next answer on
// the same connection is cut off.
func TestABoundOfAHandlerEndsWithItsAnswer(t *testing.T) {
	t.Parallel()
	left := make(chan error, 1)
	s := New(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
			return
		}
		_, err := w.Write(make([]byte, 16<<20))
		left <- err
	})})
	s.patience = 50 * time.Millisecond
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
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	both := "GET /own HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
	if _, err := io.WriteString(c, both); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // for who is not cut off
	defer cancel()
	select {
	case err := <-left:
		if err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("the handler ended with %v", err)
		}
	case <-ctx.Done():
		t.Error("the handler goes on")
	}
}

// remembering is a writer of answers that remembers the deadlines for its writes.
type remembering struct {
	*httptest.ResponseRecorder
	deadlines int
}

func (r *remembering) SetWriteDeadline(time.Time) error {
	r.deadlines++
	return nil
}

// Where net/http serves, each piece of an answer and each flush has a bound of its own, unless the handler has set one;
// and however many pieces there are, the handler learns how much it has written.
func TestEachPieceOfNetHTTPHasItsBound(t *testing.T) {
	t.Parallel()
	w := &remembering{ResponseRecorder: httptest.NewRecorder()}
	p := &patient{ResponseWriter: w, patience: time.Minute}
	answer := bytes.Repeat([]byte("0123456789"), 2*writePiece/10+1)

	n, err := p.Write(answer)

	if err != nil || n != len(answer) || !bytes.Equal(w.Body.Bytes(), answer) || w.deadlines != 3 {
		t.Errorf("wrote %d of %d with %d bounds, %v", n, len(answer), w.deadlines, err)
	}
	if n, err := p.Write(nil); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
	w.deadlines = 0
	if err := p.FlushError(); err != nil || !w.Flushed || w.deadlines != 1 {
		t.Errorf("a flush: %d bounds, %v", w.deadlines, err)
	}
	if err := http.NewResponseController(p).SetWriteDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.deadlines = 0
	_, _ = p.Write(answer)
	if _ = p.FlushError(); w.deadlines != 0 {
		t.Errorf("the handler's own bound is replaced %d times", w.deadlines)
	}
}

// What is handed over while the server stops is closed.
func TestNothingIsHandedOverAtAStop(t *testing.T) {
	t.Parallel()
	s := New(&http.Server{})
	mine, theirs := net.Pipe()
	s.stopListening()

	s.handOver(theirs, []byte("GET"))

	_ = mine.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := mine.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("it is open: %v", err)
	}
	_ = s.Close()
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
