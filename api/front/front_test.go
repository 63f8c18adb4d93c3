package front_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/api/front"
)

// server is a front on a listener of the loopback.
type server struct {
	*front.Server
	t    *testing.T
	addr string
	log  *bytes.Buffer
}

func serving(t *testing.T, h http.HandlerFunc) *server {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &server{t: t, addr: l.Addr().String(), log: &bytes.Buffer{}}
	s.Server = front.New(&http.Server{
		Handler: h, Protocols: &protocols, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Minute,
		ErrorLog: log.New(s.log, "", 0),
	})
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served until %v", err)
		}
	})
	t.Cleanup(func() {
		_ = s.Close()
		running.Wait()
	})
	return s
}

// client is a connection to a server.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (s *server) dial() *client {
	s.t.Helper()
	c, err := net.Dial("tcp4", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return &client{c, s.t, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// gets reads an answer and returns its body.
func (c *client) gets() string {
	c.t.Helper()
	a, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(body)
}

// isCut waits for the end of the connection, before which nothing comes.
func (c *client) isCut() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil {
		c.t.Errorf("got %q instead of the end", b)
	}
}

// The context of a request ends when its client leaves, whether the body has been read before or there was none, and
// also in a connection that net/http serves.
func TestAContextEndsWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{
		"without a body": request("GET", "/", ""), "with a body": request("POST", "/", "body"),
		"at net/http": request("GET", "/", "", "Pragma: no-cache"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began, ended := make(chan struct{}), make(chan error)
			s := serving(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body)
				close(began)
				<-r.Context().Done()
				ended <- r.Context().Err()
			})
			c := s.dial()
			c.send(sent)
			<-began

			_ = c.Close()

			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

// A read of a body that the client does not finish fails, and ends the context.
func TestABodyThatIsCutOffEndsTheContext(t *testing.T) {
	t.Parallel()
	failed := make(chan error)
	s := serving(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		<-r.Context().Done()
		failed <- err
	})
	c := s.dial()
	c.send(strings.TrimSuffix(request("POST", "/", "body"), "y"))

	_ = c.Close()

	if err := <-failed; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// What a client sends while it waits for an answer belongs to its next requests, even where the look for clients that
// leave has read it; the context does not end by it.
func TestRequestsThatComeTooEarlyAreServedNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(time.Second)
			}
			fmt.Fprint(w, r.Method, r.URL.Path, r.Context().Err())
		})
		defer s.Close()
		go func() {
			_, _ = io.WriteString(c, request("GET", "/slow", ""))
			time.Sleep(500 * time.Millisecond) // it is watched by now
			_, _ = io.WriteString(c, request("POST", "/next", "body")+request("GET", "/last", ""))
		}()
		r := bufio.NewReader(c)

		for _, want := range []string{"GET/slow<nil>", "POST/next<nil>", "GET/last<nil>"} {
			a, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := io.ReadAll(a.Body); string(got) != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

// inBubble serves one end of a pipe, and returns the other.
func inBubble(t *testing.T, h http.HandlerFunc) (*front.Server, net.Conn) {
	t.Helper()
	l := newCalls()
	s := front.New(&http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 10 * time.Minute})
	go func() { _ = s.Serve(l) }()
	ours, theirs := net.Pipe()
	l.conns <- theirs
	return s, ours
}

// endsAfter reads until the end of a connection and returns how long that took, to the second.
func endsAfter(c net.Conn) time.Duration {
	began := time.Now()
	_, _ = io.Copy(io.Discard, c)
	return time.Since(began).Round(time.Second)
}

// The times of http.Server hold: for a head, from the first connection or the first byte on, and between requests. A
// handler has all the time that it takes.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sent []string // a second apart
		want time.Duration
	}{
		"sends nothing":     {nil, 30 * time.Second},
		"sends half a head": {[]string{"GET / HTTP/1.1\r\n"}, 30 * time.Second},
		"drips":             {strings.Split(strings.Repeat("GET /|", 40), "|"), 30 * time.Second},
		"is idle":           {[]string{request("GET", "/", "")}, 10 * time.Minute},
		"is idle after work": {
			[]string{request("GET", "/", ""), request("GET", "/slow", "")}, time.Hour + 10*time.Minute + time.Second,
		},
		"half a second head": {[]string{request("GET", "/", ""), "GET / HTTP/1.1\r\n"}, 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, conn := inBubble(t, func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/slow" {
						return
					}
					select {
					case <-time.After(time.Hour):
					case <-r.Context().Done():
						t.Error("the context ended with the client there")
					}
				})
				defer s.Close()
				var sending sync.WaitGroup
				defer sending.Wait()
				sending.Go(func() {
					for _, part := range c.sent {
						if _, err := io.WriteString(conn, part); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				})

				if got := endsAfter(conn); got != c.want {
					t.Errorf("cut off after %s, want %s", got, c.want)
				}
			})
		})
	}
}

// A deadline that a handler sets ends with its request.
func TestDeadlinesOfAHandlerEndWithItsRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			if err := control.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Error(err)
			}
			if r.URL.Path == "/read" {
				_, err := io.ReadAll(r.Body)
				fmt.Fprint(w, err)
				return
			}
			if err := control.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
				t.Error(err)
			}
		})
		defer s.Close()
		r := bufio.NewReader(c)
		for range 3 {
			go func() { _, _ = io.WriteString(c, request("GET", "/", "")) }()
			if _, err := http.ReadResponse(r, nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		go func() { _, _ = io.WriteString(c, strings.TrimSuffix(request("POST", "/read", "body"), "dy")) }()

		a, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(a.Body); !strings.Contains(string(got), "timeout") {
			t.Errorf("the body ended with %q", got)
		}
	})
}

// Shutdown waits for requests under way, closes connections that are idle, and serves nothing that comes later.
func TestShutdown(t *testing.T) {
	t.Parallel()
	began, goOn := make(chan struct{}), make(chan struct{})
	s := serving(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(began)
			<-goOn
		}
		fmt.Fprint(w, r.URL.Path)
	})
	idle, old, busy := s.dial(), s.dial(), s.dial()
	idle.send(request("GET", "/a", ""))
	old.send(request("GET", "/a", "", "Pragma: no-cache"))
	if a, b := idle.gets(), old.gets(); a != "/a" || b != "/a" {
		t.Errorf("got %q and %q", a, b)
	}
	busy.send(request("GET", "/slow", "") + request("GET", "/late", ""))
	<-began

	stopped := make(chan error)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	idle.isCut()
	old.isCut()
	select {
	case err := <-stopped:
		t.Errorf("stopped with a request under way: %v", err)
	default:
	}
	close(goOn)

	if got := busy.gets(); got != "/slow" {
		t.Errorf("got %q", got)
	}
	busy.isCut()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp4", s.addr); err == nil {
		t.Error("it still listens")
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

// A shutdown that takes too long gives up; Close then cuts what is left, and ends its context.
func TestCloseCutsWhatShutdownLeaves(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	s := serving(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	})
	c := s.dial()
	c.send(request("GET", "/", ""))
	<-began
	gone, cancel := context.WithCancel(t.Context())
	cancel()

	err := s.Shutdown(gone)
	_ = s.Close()

	if !errors.Is(err, context.Canceled) {
		t.Errorf("shutdown: %v", err)
	}
	<-ended
	c.isCut()
}

// A handler that panics ends its connection and no other; http.ErrAbortHandler does so silently.
func TestAPanicEndsTheConnection(t *testing.T) {
	t.Parallel()
	s := serving(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/abort":
			fmt.Fprint(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/panic":
			panic("of a test")
		}
		fmt.Fprint(w, "served")
	})
	abort, crash, other := s.dial(), s.dial(), s.dial()

	abort.send(request("GET", "/abort", ""))
	a, err := http.ReadResponse(abort.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(a.Body); string(got) != "half" || err == nil {
		t.Errorf("got %q, %v; want half an answer that does not look like a whole one", got, err)
	}
	crash.send(request("GET", "/panic", ""))
	crash.isCut()
	other.send(request("GET", "/", ""))

	if got := other.gets(); got != "served" {
		t.Errorf("got %q", got)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := s.log.String(); strings.Count(got, "panic") == 0 || !strings.Contains(got, "of a test") ||
		strings.Contains(got, "abort") {
		t.Errorf("logged %q", got)
	}
}

// What SDKs send is served by the front, whatever has come before it; what is odd by net/http, and so is all that
// follows it on its connection.
func TestWhoServesWhat(t *testing.T) {
	t.Parallel()
	s := serving(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Context().Value(http.ServerContextKey) != nil {
			fmt.Fprint(w, "net/http")
		}
		fmt.Fprint(w, "front")
	})
	long := request("GET", "/", "", "X: "+strings.Repeat("x", 16<<10-len(request("GET", "/", "", "X: "))))
	for sent, want := range map[string]string{
		plainOnes[1] + request("PUT", "/", strings.Repeat("x", 262_143), "Connection: Keep-Alive"): "front front",
		plainOnes[1] + request("POST", "/", "", "Content-Length: 03") + "abc" + plainOnes[1]:       "front net/httpfront net/httpfront",
		request("GET", "/", "", slices.Repeat([]string{"X-Many: 1"}, 31)...):                       "front",
		request("GET", "/", "", slices.Repeat([]string{"X-Many: 1"}, 32)...):                       "net/httpfront",
		request("PUT", "/", strings.Repeat("x", 262_144)):                                          "net/httpfront",
		request("GET", "/", "", "X: \xc3\xb6"):                                                     "net/httpfront",
		request("GET", "/", "", "Transfer-Encoding: chunked") + "0\r\n\r\n":                        "net/httpfront",
		long: "front", strings.Replace(long, "xxx", "xxxx", 1): "net/httpfront",
	} {
		c := s.dial()
		c.send(sent)
		var got []string
		for range strings.Fields(want) {
			got = append(got, c.gets())
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%.200q was served by %s, want %s", sent, got, want)
		}
	}
}

// HTTP/2 with prior knowledge works on the same port.
func TestHTTP2ReachesNetHTTP(t *testing.T) {
	t.Parallel()
	s := serving(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &protocols}
	defer tr.CloseIdleConnections()
	for range 2 {
		a, err := (&http.Client{Transport: tr}).Get("http://" + s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(a.Body); string(got) != "HTTP/2.0" {
			t.Errorf("got %q", got)
		}
		_ = a.Body.Close()
	}
}

// Parts of an answer reach the client when they are flushed, not when the answer ends.
func TestPartsAreSentWhenTheyAreFlushed(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range []string{"one", "two"} {
			fmt.Fprint(w, part)
			_ = http.NewResponseController(w).Flush()
			<-goOn
		}
	})
	c := s.dial()
	c.send(request("GET", "/", ""))
	a, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	for _, want := range []string{"one", "two"} {
		if _, err := io.ReadFull(a.Body, got); err != nil || string(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
		goOn <- struct{}{}
	}
}
