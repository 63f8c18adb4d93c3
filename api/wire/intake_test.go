package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// pipes is a network of net.Pipe, for a bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	ended chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.ended) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4566} }

// port is a server of one service, which reads bodies of up to 1 GiB and answers how long they were.
type port struct {
	*testing.T
	net    *pipes
	intake *Intake
	log    bytes.Buffer
	mu     sync.Mutex
	held   chan struct{} // handlers wait for it once they have read; nil: they do not
}

func (p *port) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func openPort(t *testing.T, intake *Intake) *port {
	t.Helper()
	p := &port{T: t, net: &pipes{conns: make(chan net.Conn), ended: make(chan struct{})}, intake: intake}
	intake.Log = slog.New(slog.NewTextHandler(p, nil))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("X-Amz-Target") {
		case "AmazonSQS.Panic":
			panic("out of order")
		case "AmazonSQS.Unread":
			WriteJSON(w, 501, "application/json", "unread")
			return
		case "AmazonSQS.Early":
			WriteJSON(w, 200, "application/json", "before the body")
			<-p.held
			return
		case "AmazonSQS.Silent":
			return
		case "AmazonSQS.Half":
			w.WriteHeader(200)
			_, _ = io.WriteString(w, "half")
			panic("out of order")
		case "AmazonSQS.Abort":
			panic(http.ErrAbortHandler)
		}
		body, err := ReadBody(r, 1<<30)
		if f := (*fault.Error)(nil); errors.As(err, &f) {
			WriteJSON(w, max(f.Status, 400), "application/json", map[string]string{"code": f.Code})
			return
		}
		if p.held != nil {
			<-p.held
		}
		if err := r.Context().Err(); err != nil {
			WriteJSON(w, 500, "application/json", err.Error())
			return
		}
		WriteJSON(w, 200, "application/json", len(body))
	})
	rt := &Router{
		Services: []Service{
			{
				Name: "sqs", Target: "AmazonSQS", Needs: Header, Handler: h,
				Codes: Codes{"InternalFailure", "ServiceUnavailable", "x"},
			},
		},
		Fallback: Service{Handler: h}, Control: h, Unknown: h, Intake: intake, Log: intake.Log,
	}
	server := &http.Server{
		Handler: rt, ErrorLog: slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelDebug),
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(p.net) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		<-time.After(time.Second) // of the bubble: net/http lets a client read its answer before it closes a connection
	})
	return p
}

// peer is a client that sends arbitrary bytes.
type peer struct {
	*testing.T
	net.Conn
	r *bufio.Reader
}

func (p *port) dial() *peer {
	p.Helper()
	mine, theirs := net.Pipe()
	p.net.conns <- theirs
	p.Cleanup(func() { _ = mine.Close() })
	return &peer{p.T, mine, bufio.NewReader(mine)}
}

// head sends the head of a request with a body of so many bytes; -1: in chunks.
func (c *peer) head(operation string, length int, more string) {
	c.Helper()
	size := fmt.Sprintf("Content-Length: %d", length)
	if length < 0 {
		size = "Transfer-Encoding: chunked"
	}
	c.send(
		"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AmazonSQS." + operation + "\r\n" + size + "\r\n" + more +
			"\r\n",
	)
}

// send writes, and gives up when the server has stopped reading: the answer says why.
func (c *peer) send(s string) { _, _ = io.WriteString(c, s) }

// answer reads one; its connection is at its end afterwards when closed is true.
func (c *peer) answer() (status int, body string, closed bool) {
	c.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Close
}

const refused = `{"code":"ServiceUnavailable"}`

// A body has ten seconds and one more for each 8 KiB that has come, and ten minutes at most. Then its request is
// answered 503, and its connection closed.
func TestASlowBodyIsCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		length  int
		pieces  int // bytes every second; 0: none
		outlive time.Duration
	}{
		"nothing comes":              {1000, 0, 10 * time.Second},
		"a byte a second":            {1000, 1, 10 * time.Second},
		"half the least rate":        {1 << 20, 4 << 10, 20 * time.Second},
		"chunks that never end":      {-1, 0, 10 * time.Second},
		"a body that takes for ever": {1 << 30, 16 << 10, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := openPort(t, &Intake{Memory: 1 << 30})
				began := time.Now()
				client := p.dial()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				go func() {
					client.head("SendMessage", c.length, "")
					for piece := strings.Repeat("x", c.pieces); c.pieces > 0 &&
						ctx.Err() == nil; <-time.After(time.Second) {
						client.send(piece)
					}
				}()

				status, body, closed := client.answer()

				took := time.Since(began)
				if status != 503 || body != refused || !closed || took < c.outlive || took > c.outlive+3*time.Second {
					t.Errorf("%d %s after %s, closed %v; want 503 after %s", status, body, took, closed, c.outlive)
				}
				if u := p.intake.Usage(); u.Refused["slow"] != 1 {
					t.Errorf("counted %v", u.Refused)
				}
			})
		})
	}
}

// A client that keeps to the rate is served, and serving a request may take any time.
func TestABodyThatKeepsComingIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 1 << 30})
		p.held = make(chan struct{})
		time.AfterFunc(time.Hour, func() { close(p.held) })
		client := p.dial()
		go func() {
			client.head("SendMessage", 60*9<<10, "")
			for range 60 {
				client.send(strings.Repeat("x", 9<<10))
				<-time.After(time.Second)
			}
		}()

		status, body, closed := client.answer()

		if status != 200 || body != fmt.Sprint(60*9<<10) || closed {
			t.Errorf("%d %s, closed %v", status, body, closed)
		}
	})
}

// What a handler leaves of a body is not waited for: the answer comes within a second or so although the rest of the
// body never does.
func TestAnAnswerDoesNotWaitForABodyThatNobodyReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 1 << 30})
		for operation, want := range map[string]int{"Unread": 501, "Silent": 200} {
			for _, length := range []int{10, 100_000, -1} {
				began := time.Now()
				client := p.dial()
				client.head(operation, length, "")

				status, _, closed := client.answer()

				if took := time.Since(began); status != want || took > 2*time.Second || !closed {
					t.Errorf("%s %d: %d after %s, closed %v", operation, length, status, took, closed)
				}
			}
		}
	})
}

// A body that waits for 100 Continue is requested only when there is memory for it; pipelined requests are answered in
// order.
func TestBodiesThatWaitAndRequestsInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 1 << 20})
		client := p.dial()
		go client.head("SendMessage", 5, "Expect: 100-continue\r\n")
		if line, err := client.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		_, _ = client.r.ReadString('\n')
		go func() {
			client.send("12345")
			client.head("SendMessage", 3, "")
			client.send("123")
			client.head("SendMessage", -1, "")
			client.send("4\r\n1234\r\n0\r\n\r\n")
		}()
		for _, want := range []string{"5", "3", "4"} {
			if status, body, closed := client.answer(); status != 200 || body != want || closed {
				t.Errorf("%d %s, closed %v; want 200 %s", status, body, closed, want)
			}
		}

		p.intake.used.Add(2 << 20) // others hold it
		defer p.intake.used.Add(-2 << 20)
		go client.head("SendMessage", 5, "Expect: 100-continue\r\n")
		if status, body, closed := client.answer(); status != 503 || body != refused || !closed {
			t.Errorf("%d %s, closed %v; want 503 without being asked for the body", status, body, closed)
		}
	})
}

// All bodies together stay within the memory. The youngest large one gives way, older and small ones are served, and
// the memory is freed.
func TestBodiesTogetherHoldWhatTheyMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 8 << 20}) // 7 MiB for all but the first 64 KiB of each
		const size = 3 << 20
		var clients []*peer
		for range 3 {
			c := p.dial()
			go func() { c.head("SendMessage", size, ""); c.send(strings.Repeat("x", size-1)) }()
			synctest.Wait()
			clients = append(clients, c)
		}

		if status, body, closed := clients[2].answer(); status != 503 || body != refused || !closed {
			t.Errorf("the third: %d %s, closed %v; want 503", status, body, closed)
		}
		if u := p.intake.Usage(); u.Bytes > 8<<20 || u.Bytes < 6<<20-2 || u.Refused["memory"] != 1 {
			t.Errorf("held %+v", u)
		}
		small := p.dial()
		go func() { small.head("SendMessage", 1000, ""); small.send(strings.Repeat("x", 1000)) }()
		if status, _, _ := small.answer(); status != 200 {
			t.Errorf("a small one: %d", status)
		}
		for _, c := range clients[:2] {
			go c.send("x")
			if status, body, closed := c.answer(); status != 200 || body != fmt.Sprint(size) || closed {
				t.Errorf("an older one: %d %s, closed %v", status, body, closed)
			}
		}
		synctest.Wait()
		if u := p.intake.Usage(); u.Bytes != 0 || u.Requests != 0 {
			t.Errorf("left behind: %+v", u)
		}
		if said := p.log.String(); strings.Count(said, "requests are refused") != 1 {
			t.Errorf("it was logged:\n%s", said)
		}
	})
}

// An old body goes on at the cost of a younger one: a load of large bodies that is too much gets through from its
// oldest on.
func TestTheYoungestLargeBodyGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 8 << 20})
		const half = 3 << 20
		first, second := p.dial(), p.dial()
		for _, c := range []*peer{first, second} {
			go func() { c.head("SendMessage", 2*half, ""); c.send(strings.Repeat("x", half)) }()
			synctest.Wait()
		}

		go first.send(strings.Repeat("x", half))

		if status, body, _ := second.answer(); status != 503 || body != refused {
			t.Errorf("the younger one: %d %s", status, body)
		}
		if status, body, _ := first.answer(); status != 200 || body != fmt.Sprint(2*half) {
			t.Errorf("the older one: %d %s", status, body)
		}
	})
}

// A body is charged with what has come of it and never with what its head claims.
func TestAClaimHoldsNoMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 8 << 20})
		for range 100 {
			c := p.dial()
			go func() { c.head("SendMessage", 1<<30, ""); c.send("xxxxx") }()
		}
		synctest.Wait()

		if u := p.intake.Usage(); u.Bytes != 500 || u.Requests != 100 {
			t.Errorf("held: %+v", u)
		}
	})
}

// Requests under way are bounded in number, too.
func TestTooManyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Requests: 2})
		p.held = make(chan struct{})
		var clients []*peer
		for range 3 {
			c := p.dial()
			go func() { c.head("SendMessage", 1, ""); c.send("x") }()
			synctest.Wait()
			clients = append(clients, c)
		}

		status, body, _ := clients[2].answer()

		if status != 503 || !strings.Contains(body, "ServiceUnavailable") || p.intake.Usage().Refused["requests"] != 1 {
			t.Errorf("%d %s %v", status, body, p.intake.Usage())
		}
		without := p.dial()
		go without.head("Unread", 0, "")
		if status, body, _ := without.answer(); status != 503 || !strings.Contains(body, "ServiceUnavailable") {
			t.Errorf("without a body: %d %s", status, body)
		}
		close(p.held)
		for _, c := range clients[:2] {
			if status, _, _ := c.answer(); status != 200 {
				t.Errorf("one of the first: %d", status)
			}
		}
	})
}
