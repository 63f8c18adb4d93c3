package front

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/cert"
	"github.com/shardmill/shardmill/internal/eventually"
)

// inn is a server whose connections go to the lot soon.
type inn struct {
	*Server
	t    *testing.T
	addr net.Addr
}

// soon is when they do.
const soon = 10 * time.Millisecond

// restful serves on l, with the settings that change makes.
func restful(t *testing.T, l net.Listener, change func(*http.Server)) *inn {
	t.Helper()
	h := &http.Server{
		IdleTimeout: time.Hour,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.URL.Path, r.TLS != nil)
		}),
	}
	if change != nil {
		change(h)
	}
	s := New(h)
	s.restBefore = soon
	var running sync.WaitGroup
	running.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		_ = s.Close()
		running.Wait()
		(&inn{s, t, l.Addr()}).has(0, 0)
	})
	return &inn{s, t, l.Addr()}
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// has waits until so many connections are in the lot, and so many are there at all.
func (s *inn) has(inLot, all int) {
	s.t.Helper()
	eventually.Reaches(s.t, fmt.Sprintf("%d of %d connections rest", inLot, all), func() (bool, string) {
		s.mu.Lock()
		n := len(s.conns)
		s.mu.Unlock()
		s.lot.mu.Lock()
		defer s.lot.mu.Unlock()
		return len(s.lot.resting) == inLot && n == all, fmt.Sprintf("%d of %d", len(s.lot.resting), n)
	})
}

// guest is a client.
type guest struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (s *inn) dial() *guest {
	s.t.Helper()
	c, err := net.Dial(s.addr.Network(), s.addr.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return &guest{c, s.t, bufio.NewReader(c)}
}

// get sends a request and reads its answer.
func (g *guest) get(path string, more ...string) string {
	g.t.Helper()
	g.send("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + strings.Join(more, "") + "\r\n")
	return g.answer()
}

func (g *guest) send(text string) {
	g.t.Helper()
	if _, err := io.WriteString(g, text); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) answer() string {
	g.t.Helper()
	a, err := http.ReadResponse(g.r, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	body, err := io.ReadAll(a.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(body)
}

// isCut waits for the end of the connection.
func (g *guest) isCut() {
	g.t.Helper()
	if b, err := g.r.ReadByte(); err == nil {
		g.t.Errorf("got %q instead of the end", b)
	}
}

// secured returns settings of TLS for a server and its clients.
func secured(t *testing.T) (ours, theirs *tls.Config) {
	t.Helper()
	a, err := cert.OpenAuthority(t.TempDir(), []string{"127.0.0.1"}, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(a.CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{GetCertificate: a.Get}, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
}

// Connections that rest hold neither a goroutine nor what only a request needs, over TCP, over TLS and over a unix
// socket. The next request is served as any other, also by net/http, and the connection rests again.
func TestConnectionsThatRest(t *testing.T) {
	t.Parallel()
	ours, theirs := secured(t)
	unix, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		l      net.Listener
		secure bool
	}{"TCP": {loopback(t), false}, "TLS": {loopback(t), true}, "unix": {unix, false}} {
		s := restful(t, c.l, func(h *http.Server) {
			if c.secure {
				h.TLSConfig = ours
			}
		})
		var guests []*guest
		for range 20 {
			g := s.dial()
			if c.secure {
				secure := tls.Client(g.Conn, theirs)
				g = &guest{secure, t, bufio.NewReader(secure)}
			}
			guests = append(guests, g)
		}
		for range 3 {
			for _, g := range guests {
				if got, want := g.get("/a"), fmt.Sprint("/a", c.secure); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			s.has(len(guests), len(guests))
			s.lot.mu.Lock()
			for _, c := range s.lot.resting {
				if c.head != nil || c.out != nil || c.buf != nil || c.tls != nil || !c.secured && c.io != nil {
					t.Errorf("%s: one that rests holds %v %v %v %v %v", name, c.head, c.out, c.buf, c.tls, c.io)
				}
			}
			s.lot.mu.Unlock()
		}
		if got, want := guests[0].get("/odd", "Pragma: a\r\n"), fmt.Sprint("/odd", c.secure); got != want {
			t.Errorf("%s: net/http answered %q, want %q", name, got, want)
		}
		s.has(len(guests)-1, len(guests)-1) // it is net/http's now
		_ = guests[1].Close()
		s.has(len(guests)-2, len(guests)-2)
	}
}

// A connection that rests is cut off when its time is over, and no earlier because of others, whether it was in the lot
// all that time, or has come back from it for something that is no request, or never went there.
func TestRestHasAnEnd(t *testing.T) {
	t.Parallel()
	const idle = 200 * time.Millisecond
	ours, theirs := secured(t)
	s := restful(t, loopback(t), func(h *http.Server) { h.IdleTimeout, h.TLSConfig = idle, ours })
	began := time.Now()
	first, half, last := s.dial(), s.dial(), s.dial()
	under := s.dial()
	secure := tls.Client(under.Conn, theirs)
	record := &guest{secure, t, bufio.NewReader(secure)}
	for _, g := range []*guest{first, record, half, last} {
		g.get("/")
	}
	half.send("GE")                // too little to be a request
	under.send("\x17\x03\x03\x01") // the beginning of a record

	for _, g := range []*guest{first, record, half, last} {
		g.isCut()
	}
	if took := time.Since(began); took < idle {
		t.Errorf("all were cut off within %s", took)
	}
	s.has(0, 0)

	for _, never := range []time.Duration{0, soon} { // 0: there is no end; soon: it comes before the lot
		s := restful(t, loopback(t), func(h *http.Server) { h.IdleTimeout = never })
		g := s.dial()
		g.get("/")
		if never > 0 {
			g.isCut()
			s.has(0, 0)
			continue
		}
		s.has(1, 1)
		g.get("/")
	}
}

// Whatever comes while a connection is on its way to the lot, there, or on its way back, is served. All connections are
// taken there as often as anybody can look whether they are calm.
func TestNothingIsLostOnTheWayToTheLot(t *testing.T) {
	t.Parallel()
	s := restful(t, loopback(t), nil)
	s.restBefore = time.Nanosecond
	var clients, looking sync.WaitGroup
	over := make(chan struct{})
	looking.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				s.watch.look()
				runtime.Gosched()
			}
		}
	})
	for i := range 8 {
		g, chance := s.dial(), rand.New(rand.NewPCG(11, uint64(i)))
		clients.Go(func() {
			for n := range 200 {
				path := fmt.Sprintf("/%d/%d", i, n)
				request := "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
				cut := chance.IntN(len(request))
				g.send(request[:cut])
				g.send(request[cut:])
				if got := g.answer(); got != path+"false" {
					t.Errorf("%s was answered with %q", path, got)
				}
			}
		})
	}
	clients.Wait()
	close(over)
	looking.Wait()
	s.lot.mu.Lock()
	defer s.lot.mu.Unlock()
	if s.lot.tickets < 100 {
		t.Errorf("only %d times one of them was in the lot", s.lot.tickets)
	}
}

// A stop closes what rests. A listener that needs room gets it at once.
func TestWhatRestsCanBeClosed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s *Server) error{
		"Shutdown": func(s *Server) error { return s.Shutdown(t.Context()) },
		"Close":    func(s *Server) error { return s.Close() },
		"CloseIdle": func(s *Server) error {
			if n := s.CloseIdle(2); n != 2 {
				return fmt.Errorf("%d were closed", n)
			}
			return nil
		},
	} {
		s := restful(t, loopback(t), nil)
		a, b := s.dial(), s.dial()
		a.get("/")
		b.get("/")
		s.has(2, 2)

		if err := end(s.Server); err != nil {
			t.Errorf("%s: %v", name, err)
		}

		a.isCut()
		b.isCut()
		s.has(0, 0)
		if name != "CloseIdle" && s.lot.set.Add(a.Conn, 1) == nil {
			t.Errorf("%s leaves the set of the lot open", name)
		}
	}
}

// When many have come to rest, and then no more, their memory is given back: once, and again for the next many.
func TestTheMemoryOfManyIsGivenBack(t *testing.T) {
	t.Parallel()
	s := restful(t, loopback(t), nil)
	given := make(chan struct{}, 8)
	s.lot.many, s.lot.quiet = 4, 2*soon
	s.GiveBack = func() { given <- struct{}{} }
	var count atomic.Int64
	many := func(n int) {
		for range n {
			s.dial().get("/")
		}
		n = int(count.Add(int64(n)))
		s.has(n, n)
	}
	for range 2 {
		many(6)
		eventually.Comes(t, "the memory of six", given)
	}
	many(3)
	s.lot.mu.Lock()
	defer s.lot.mu.Unlock()
	if s.lot.came != 3 || len(given) > 0 {
		t.Errorf("three have come, %d are counted; given back %d times more", s.lot.came, len(given))
	}
}
