package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/internal/eventually"
)

// Beyond the limit of open connections, a new one gets an answer that says so and is closed; one that ends makes room.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &boundedListener{tcp, &connections{most: 2, log: slog.New(slog.DiscardHandler)}}
	t.Cleanup(func() { _ = l.Close() })
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	dial()
	first := <-accepted
	dial()
	second := <-accepted
	t.Cleanup(func() { _ = second.Close() })

	told, err := io.ReadAll(dial())
	if err != nil || !strings.HasPrefix(string(told), "HTTP/1.1 503 Service Unavailable\r\n") ||
		!strings.HasSuffix(
			string(told), "\r\n\r\n"+`{"__type":"ServiceUnavailable","message":"Too many connections are open."}`+"\n",
		) {
		t.Errorf("the third: %q, %v", told, err)
	}
	_ = first.Close()
	_ = first.Close() // twice makes room once
	dial()
	third := <-accepted
	t.Cleanup(func() { _ = third.Close() })
	if n := l.all.open.Load(); n != 2 {
		t.Errorf("%d are counted as open", n)
	}
}

// One HTTP/2 connection has a limited number of requests under way; a client with more waits, or opens another
// connection.
func TestStreamsOfAConnectionAreBounded(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.s.Endpoint(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	settings := &recorded{Conn: conn}
	tr := &http.Transport{
		Protocols:   new(http.Protocols),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return settings, nil },
	}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), "GET", b.s.Endpoint()+control.PathLive, nil)
	if err != nil {
		t.Fatal(err)
	}

	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()

	if got := settings.maxConcurrentStreams(); got != maxStreams {
		t.Errorf("the server allows %d streams, want %d", got, maxStreams)
	}
}

// recorded remembers the first bytes that a server sends: its SETTINGS frame.
type recorded struct {
	net.Conn
	head []byte
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if len(r.head) < 256 {
		r.head = append(r.head, p[:n]...)
	}
	return n, err
}

// maxConcurrentStreams reads setting 3 of the first frame. Source: RFC 9113, 6.5.
func (r *recorded) maxConcurrentStreams() int {
	length := int(r.head[0])<<16 | int(r.head[1])<<8 | int(r.head[2])
	for at := 9; at+6 <= 9+length && at+6 <= len(r.head); at += 6 {
		if s := r.head[at : at+6]; s[0] == 0 && s[1] == 3 {
			return int(s[2])<<24 | int(s[3])<<16 | int(s[4])<<8 | int(s[5])
		}
	}
	return -1
}

// Who opens as many connections as there may be, and sends nothing, shuts nobody out: some of the idle ones are closed
// for those that come. Busy ones stay.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	b := startWith(t, Config{}, func(s *Server) { s.connections = 8 })
	b.ok(b.do("POST", "/", `{"QueueName":"q"}`, "X-Amz-Target", "AmazonSQS.CreateQueue"))
	b.client.CloseIdleConnections()
	answered := make(chan int, 1)
	go func() {
		status, _ := b.do("POST", "/", `{"QueueUrl":"http://x/000000000000/q","WaitTimeSeconds":20}`,
			"X-Amz-Target", "AmazonSQS.ReceiveMessage")
		answered <- status
	}()
	eventually.Holds(t, "the request that waits", func() bool { return b.s.intake.Usage().Requests == 1 })
	idle := make([]net.Conn, 40)
	for i := range idle {
		c, err := net.Dial("tcp", strings.TrimPrefix(b.s.Endpoint(), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		idle[i] = c
	}

	// Idle is who has sent nothing for 20 ms. Until then the refusal may come before the request is sent, which a
	// client takes for a broken connection.
	eventually.Holds(t, "an answer for somebody else", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.s.Endpoint(),
			strings.NewReader(`{"QueueUrl":"http://x/000000000000/q","MessageBody":"m"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
		resp, err := b.through(b.s.Endpoint()).client.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if status := <-answered; status != 200 {
		t.Errorf("the request that waited was answered with %d", status)
	}
}

// Each time that connections begin to be refused it is said, and once; and one place is enough for one that comes, who
// has made it or however.
func TestRefusedConnectionsAreSaid(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	var idle atomic.Pointer[net.Conn] // makes room
	all := &connections{most: 1, log: slog.New(slog.NewTextHandler(&log, nil)), room: func() {
		if c := idle.Load(); c != nil {
			_ = (*c).Close()
		}
	}}
	bounded := &boundedListener{l, all}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := bounded.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	defer func() { _ = l.Close() }()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	var holds net.Conn
	for times := range 3 {
		dial()
		holds = <-accepted
		for range 2 {
			if answer, err := io.ReadAll(dial()); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") {
				t.Errorf("one too many: %q, %v", answer, err)
			}
		}
		if n := strings.Count(log.String(), "connections are refused"); n != times+1 {
			t.Errorf("the %d. time it is said %d times", times+1, n)
		}
		_ = holds.Close()
		_ = holds.Close() // which makes no second place
	}

	dial()
	holds = <-accepted
	idle.Store(&holds)
	another := dial()
	go func() {
		if answer, _ := io.ReadAll(another); len(answer) > 0 { // it is refused
			_ = l.Close()
		}
	}()
	if c, ok := <-accepted; !ok || all.open.Load() != 1 {
		t.Errorf("a place that was made is not given: %v, %d are open", c, all.open.Load())
	}
}
