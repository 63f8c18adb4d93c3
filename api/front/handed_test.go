package front_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/api/front"
)

// Nothing of the times that the front had begun to measure reaches a connection that is net/http's by now: a handler
// works there as long as it likes, with a client that is there, and the connection serves the next request.
func TestAHandedOverConnectionHasTimesOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tls   bool
		proto string
	}{"plain": {false, "HTTP/1.1"}, "TLS": {true, "HTTP/1.1"}, "HTTP/2 over TLS": {true, "HTTP/2.0"}} {
		synctest.Test(t, func(t *testing.T) {
			ours, trusting := certified(t) // of the time in here
			s := front.New(&http.Server{
				TLSConfig: ours, Protocols: every(), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 10 * time.Minute,
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(time.Hour)
					fmt.Fprint(w, r.Proto, " ", r.Context().Value(http.ServerContextKey) != nil, " ", r.Context().Err())
				}),
			})
			l := newCalls()
			var running sync.WaitGroup
			running.Go(func() { _ = s.Serve(l) })
			mine, theirs := net.Pipe()
			l.conns <- theirs
			dialed := 0
			dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
				if dialed++; dialed > 1 || !c.tls {
					return mine, nil
				}
				settings := trusting.Clone()
				if c.proto == "HTTP/2.0" {
					settings.NextProtos = []string{"h2"}
				}
				conn := tls.Client(mine, settings)
				return conn, conn.HandshakeContext(ctx)
			}
			var protocols http.Protocols
			protocols.SetHTTP1(c.proto == "HTTP/1.1")
			protocols.SetHTTP2(c.proto == "HTTP/2.0")
			tr := &http.Transport{DialContext: dial, DialTLSContext: dial, Protocols: &protocols}
			scheme := "http"
			if c.tls {
				scheme = "https"
			}

			for range 2 {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://127.0.0.1/", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Pragma", "no-cache") // with which the front has nothing to do
				a, err := tr.RoundTrip(r)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got, err := io.ReadAll(a.Body); err != nil || string(got) != c.proto+" true <nil>" {
					t.Errorf("%s: %s, %v", name, got, err)
				}
				time.Sleep(9 * time.Minute)
			}
			if dialed != 1 {
				t.Errorf("%s: dialed %d times", name, dialed)
			}
			tr.CloseIdleConnections()
			_ = s.Close()
			running.Wait()
		})
	}
}

// A shutdown waits for the requests of connections that net/http serves, too.
func TestShutdownWaitsForNetHTTP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := inBubble(t, func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Minute)
			fmt.Fprint(w, "done")
		})
		go func() { _, _ = io.WriteString(c, request("GET", "/", "", "Pragma: no-cache")) }()
		synctest.Wait()
		began := time.Now()
		var stopping sync.WaitGroup
		stopping.Go(func() {
			if err := s.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took < time.Minute {
				t.Errorf("it has waited for %s", took)
			}
		})

		a, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(a.Body); err != nil || string(got) != "done" {
			t.Errorf("got %q, %v", got, err)
		}
		stopping.Wait()
	})
}

// Of connections those make room that have been idle for a while, and none that has just been served.
func TestOnlyWhatIsIdleMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, c := inBubble(t, func(http.ResponseWriter, *http.Request) {})
		defer s.Close()
		time.Sleep(time.Second)
		go func() { _, _ = io.WriteString(c, request("GET", "/", "")) }()
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()

		if n := s.CloseIdle(10); n != 0 {
			t.Errorf("%d are closed that have just been served", n)
		}
		time.Sleep(time.Second)
		if n := s.CloseIdle(0); n != 0 {
			t.Errorf("%d are closed of none", n)
		}
		if n := s.CloseIdle(10); n != 1 {
			t.Errorf("%d idle ones are closed", n)
		}
		(&client{c, t, bufio.NewReader(c)}).isCut()
	})
}
