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
	"syscall"
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
	post, get := request("POST", "/next", "body"), request("GET", "/last", "")
	for name, c := range map[string]struct {
		early, late string
		want        []string
	}{
		"nothing was there yet":    {"", post + get, []string{"POST/next<nil>", "GET/last<nil>"}},
		"a part was there already": {post[:3], post[3:] + get, []string{"POST/next<nil>", "GET/last<nil>"}},
		"a whole one was": {
			request("PUT", "/soon", "") + post[:3], post[3:] + get, []string{"PUT/soon<nil>", "POST/next<nil>", "GET/last<nil>"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, conn := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						time.Sleep(time.Second)
					}
					fmt.Fprint(w, r.Method, r.URL.Path, r.Context().Err())
				})
				defer s.Close()
				go func() {
					_, _ = io.WriteString(conn, request("GET", "/slow", "")+c.early)
					time.Sleep(500 * time.Millisecond) // it is watched by now
					_, _ = io.WriteString(conn, c.late)
				}()
				r := bufio.NewReader(conn)

				for _, want := range append([]string{"GET/slow<nil>"}, c.want...) {
					a, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatal(err)
					}
					if got, _ := io.ReadAll(a.Body); string(got) != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
			})
		})
	}
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
		"drips a second head": {
			append([]string{request("GET", "/", "")}, strings.Split(strings.Repeat("GET /|", 40), "|")...),
			31 * time.Second,
		},
		"works for long after a slow head": {
			[]string{"POST /slow HTTP/1.1\r\nHost: a\r\n", "Content-Length: 2\r\n\r\na", "b"},
			2*time.Second + time.Hour + 10*time.Minute,
		},
		"half a head for net/http": {[]string{"GET / HTTP/1.1\r\n", "Pragma: no-cache\r\n"}, 31 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, conn := inBubble(t, func(_ http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					if r.URL.Path == "/slow" {
						time.Sleep(time.Hour)
					}
					if err := r.Context().Err(); err != nil {
						t.Errorf("while its client is there the handler's context has ended: %v", err)
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

// A line of a head that does not end is refused when it is too long, not kept until the time for the head is over.
func TestALineWithoutAnEndIsRefused(t *testing.T) {
	t.Parallel()
	for _, begin := range []string{"GET /", "GET / HTTP/1.1\r\nHost: a\r\nX: "} {
		synctest.Test(t, func(t *testing.T) {
			s, c := inBubble(t, nil)
			defer s.Close()
			began := time.Now()
			go func() { _, _ = io.WriteString(c, begin+strings.Repeat("x", 2<<20)) }()

			a, err := http.ReadResponse(bufio.NewReader(c), nil)

			if err != nil || a.StatusCode != http.StatusRequestHeaderFieldsTooLarge || time.Since(began) > 0 {
				t.Errorf("%q: after %s came %+v, %v", begin, time.Since(began), a, err)
			}
			_, _ = io.Copy(io.Discard, c)
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

// The context of a request ends with its handler, before the client can know of its answer.
func TestAContextEndsWithItsHandler(t *testing.T) {
	t.Parallel()
	var of context.Context
	s := serving(t, func(_ http.ResponseWriter, r *http.Request) { of = r.Context() })
	c := s.dial()
	c.send(request("GET", "/", ""))

	c.gets()

	if !errors.Is(of.Err(), context.Canceled) {
		t.Errorf("after the answer the context of its request says %v", of.Err())
	}
}

// A write that fails ends the context at once: nobody has to look for the client first.
func TestAFailedWriteEndsTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan error, 1)
		gone := make(chan struct{})
		s, c := inBubble(t, func(w http.ResponseWriter, r *http.Request) {
			<-gone
			if _, err := w.Write(make([]byte, 8<<10)); err == nil {
				t.Error("a write to nobody succeeds")
			}
			got <- r.Context().Err()
		})
		defer s.Close()
		_, _ = io.WriteString(c, request("GET", "/", ""))
		_ = c.Close()
		close(gone)

		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("after a failed write the context says %v", err)
		}
	})
}

// A handler that wants the connection to end, and has not read the body, still gets its client to send all of it:
// closing earlier would reset the connection, and the answer with it.
func TestTheLastAnswerWaitsForTheRestOfItsBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := inBubble(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
		defer s.Close()
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, request("POST", "/", strings.Repeat("x", 200_000)))
			sent <- err
		}()

		if a, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || !a.Close {
			t.Errorf("got %+v, %v", a, err)
		}
		if err := <-sent; err != nil {
			t.Errorf("while it sends its body the client sees %v", err)
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

	a, err := http.ReadResponse(busy.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(a.Body); string(got) != "/slow" || !a.Close {
		t.Errorf("got %q, and that the connection ends: %v", got, a.Close)
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
	late := newCalls()
	if err := s.Serve(late); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("served a listener after the stop until %v", err)
	}
	if _, err := late.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("its listener is open: %v", err)
	}
}

// A client that has not sent a whole head keeps no server from stopping: its request would not be served.
func TestShutdownClosesUnfinishedHeads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, sent := range map[string]string{
			"nothing": "", "half a head": "GET / HTTP/1.1\r\n",
			"half a second head": request("GET", "/", "") + "GET / HTTP/1.1\r\n",
		} {
			s, c := inBubble(t, func(http.ResponseWriter, *http.Request) {})
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, _ = io.WriteString(c, sent)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)

			err := s.Shutdown(ctx)
			cancel()

			if err != nil {
				t.Errorf("%s: stopped with %v", name, err)
			}
		}
	})
}

// Close ends at once the context of a request whose body nobody reads, where no read fails and nobody looks for the
// client, and connections that net/http has.
func TestCloseEndsEverything(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Time, 1)
		s, c := inBubble(t, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended <- time.Now()
		})
		handedOver, handedOut := inBubble(t, nil)
		_, _ = io.WriteString(c, strings.TrimSuffix(request("POST", "/", "body"), "body"))
		_, _ = io.WriteString(handedOut, "GET / HTTP/1.1\r\nPragma: no-cache\r\n")
		synctest.Wait()
		began := time.Now()

		_, _ = s.Close(), handedOver.Close()

		if after := (<-ended).Sub(began); after > 0 {
			t.Errorf("the context ended %s later", after)
		}
		if after := endsAfter(handedOut); after > 0 {
			t.Errorf("the connection that net/http has ended %s later", after)
		}
	})
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
		request("GET", "/", "", "Upgrade: h2c"):                                                    "net/httpfront",
		request("POST", "/", "abc", "Trailer: X"):                                                  "net/httpfront",
		request("GET", "/", "", "HTTP2-Settings: AAMAAABk"):                                        "net/httpfront",
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

// faulty is a listener with these errors, after which it has connections.
type faulty struct {
	*calls
	errs []error
	at   []time.Time // when it was asked
}

func (l *faulty) Accept() (net.Conn, error) {
	l.at = append(l.at, time.Now())
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		if err != nil {
			return nil, err
		}
		ours, theirs := net.Pipe()
		_ = ours.Close()
		return theirs, nil
	}
	return l.calls.Accept()
}

// Where connections cannot be accepted for the moment, the server tries again after a pause that doubles up to a second
// and begins anew after a success. Another error ends it.
func TestFailedAccepts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		full, broken := &net.OpError{Op: "accept", Err: syscall.EMFILE}, &net.OpError{Op: "accept", Err: syscall.EBADF}
		l := &faulty{calls: newCalls(), errs: append(slices.Repeat([]error{full}, 10), nil, full, broken)}
		s := front.New(&http.Server{})

		if err := s.Serve(l); !errors.Is(err, syscall.EBADF) {
			t.Errorf("served until %v", err)
		}
		var pauses []time.Duration
		for i, at := range l.at[1:] {
			pauses = append(pauses, at.Sub(l.at[i])/time.Millisecond)
		}
		if want := []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 0, 5}; !slices.Equal(pauses, want) {
			t.Errorf("the pauses in ms were %d, want %d", pauses, want)
		}
	})
}

// The Date of an answer is that of its second.
func TestDatesGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := inBubble(t, func(http.ResponseWriter, *http.Request) {})
		defer s.Close()
		r := bufio.NewReader(c)
		for range 3 {
			go func() { _, _ = io.WriteString(c, request("GET", "/", "")) }()
			a, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := a.Header.Get("Date"), time.Now().UTC().Format(http.TimeFormat); got != want {
				t.Errorf("the date is %s at %s", got, want)
			}
			time.Sleep(time.Second)
		}
	})
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

// An interim answer reaches the client at once, and parts of an answer when they are flushed, not when it ends.
func TestPartsAreSentWhenTheyAreFlushed(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	s := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		<-goOn
		for _, part := range []string{"one", "two"} {
			fmt.Fprint(w, part)
			_ = http.NewResponseController(w).Flush()
			<-goOn
		}
	})
	c := s.dial()
	c.send(request("GET", "/", ""))
	if a, err := http.ReadResponse(c.r, nil); err != nil || a.StatusCode != http.StatusEarlyHints {
		t.Fatalf("got %+v, %v", a, err)
	}
	goOn <- struct{}{}
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
