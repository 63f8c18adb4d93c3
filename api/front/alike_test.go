package front_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/front"
)

// script is a connection whose client sends parts, and nothing after them.
type script struct {
	mu    sync.Mutex
	parts [][]byte
	sent  bytes.Buffer // by the server
	ended chan struct{}
	once  sync.Once
}

func (s *script) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.parts) > 0 && len(s.parts[0]) == 0 {
		s.parts = s.parts[1:]
	}
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.parts[0])
	s.parts[0] = s.parts[0][n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent.Write(p)
}

func (s *script) Close() error {
	s.once.Do(func() { close(s.ended) })
	return nil
}

func (*script) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4566} }
func (*script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5000} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// calls is a listener of connections that are handed to it.
type calls struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newCalls() *calls { return &calls{conns: make(chan net.Conn), done: make(chan struct{})} }

func (l *calls) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *calls) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (*calls) Addr() net.Addr { return &net.TCPAddr{} }

// witness is a handler that writes down what it sees, and answers as the path asks.
type witness struct {
	mu      sync.Mutex
	seen    []string
	methods []string
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q url %q path %q raw %q query %q user %v host %q urlhost %q %s %d.%d length %d te %v close %v trailer %v from %s tls %v\n",
		r.Method, r.RequestURI, r.URL.String(), r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.User, r.Host,
		r.URL.Host, r.Proto, r.ProtoMajor, r.ProtoMinor, r.ContentLength, r.TransferEncoding, r.Close, r.Trailer,
		r.RemoteAddr, r.TLS != nil)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "  %s: %q\n", name, r.Header[name])
	}
	verb, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if verb != "unread" && verb != "late" {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(&b, "  body %q %v\n", body, err)
	}
	w.answer(rw, r, verb, rest, &b)
	w.mu.Lock()
	w.seen, w.methods = append(w.seen, b.String()), append(w.methods, r.Method)
	w.mu.Unlock()
}

// answer answers in one of the ways in which answers are framed.
func (w *witness) answer(rw http.ResponseWriter, r *http.Request, verb, rest string, b *strings.Builder) {
	n, _ := strconv.Atoi(rest)
	n = min(n, 500_000)
	h := rw.Header()
	write := func(p string) {
		if n, err := io.WriteString(rw, p); err != nil || n != len(p) {
			fmt.Fprintf(b, "  wrote %d of %d: %v\n", n, len(p), err)
		}
	}
	switch verb {
	case "unread":
		write("not read")
	case "late": // reads what net/http has read for it by then
		write(strings.Repeat("x", 5000))
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(b, "  late %q %v\n", body, err)
	case "closed":
		fmt.Fprintf(b, "  closed %v\n", r.Body.Close())
		_, err := r.Body.Read(make([]byte, 1))
		fmt.Fprintf(b, "  and read %v\n", err)
	case "sized":
		h.Set("Content-Length", rest)
		write(strings.Repeat("s", n))
	case "unsized":
		write(strings.Repeat("u", n))
	case "parts":
		for i := range n % 50 {
			write(strings.Repeat("p", i*97))
		}
	case "flushed":
		for i := range n % 10 {
			write(strings.Repeat("f", i))
			_ = http.NewResponseController(rw).Flush()
		}
	case "short", "long":
		h.Set("Content-Length", "10")
		write(strings.Repeat("l", map[string]int{"short": 5, "long": 15}[verb]))
	case "none":
		h.Set("Content-Length", "0")
		write("more")
	case "status":
		if n >= 200 && n < 1000 {
			h.Set("Content-Type", "text/x")
			h.Set("Content-Length", "0")
			rw.WriteHeader(n)
			h.Set("X-Late", "never sent")
			rw.WriteHeader(500)
		}
	case "body":
		if n >= 200 && n < 1000 {
			rw.WriteHeader(n)
			write("body")
		}
	case "early":
		h.Set("Link", "</x>")
		rw.WriteHeader(103)
		rw.WriteHeader(200)
		write("early")
	case "headers":
		h["X-Two"] = []string{"a", "b"}
		h.Set("X-Break", "a\r\nInjected: b")
		h.Set("X-Blank", " \t blank ")
		h.Set("X-Return", "a\rb\r")
		h["X Bad"] = []string{"name"}
		h.Set("Date", "today")
		h.Set("Content-Encoding", "none")
		write("headers")
	case "close":
		h.Set("Connection", "close")
		write("close")
	case "connection":
		h.Set("Connection", "Close, Upgrade")
		write("connection")
	case "html":
		write("<html>" + strings.Repeat(" ", n) + "</html>")
	}
}

// told is what the handler saw, and what the client got.
type told struct{ seen, got string }

// pair is our server and one of net/http, with the same settings.
type pair struct {
	ours, theirs struct {
		l *calls
		w *witness
	}
}

func newPair(tb testing.TB) *pair {
	p := &pair{}
	settings := func(h http.Handler) *http.Server {
		var protocols http.Protocols
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		return &http.Server{
			Handler: h, Protocols: &protocols, MaxHeaderBytes: 64 << 10, ReadHeaderTimeout: time.Minute,
			IdleTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		}
	}
	p.ours.l, p.ours.w = newCalls(), &witness{}
	p.theirs.l, p.theirs.w = newCalls(), &witness{}
	ours, theirs := front.New(settings(p.ours.w)), settings(p.theirs.w)
	var serving sync.WaitGroup
	serving.Go(func() { _ = ours.Serve(p.ours.l) })
	serving.Go(func() { _ = theirs.Serve(p.theirs.l) })
	tb.Cleanup(func() {
		_, _ = ours.Close(), theirs.Close()
		serving.Wait()
	})
	return p
}

// say sends the parts to both.
func (p *pair) say(parts ...[]byte) (ours, theirs told) {
	return say(p.ours.l, p.ours.w, parts), say(p.theirs.l, p.theirs.w, parts)
}

func say(l *calls, w *witness, parts [][]byte) told {
	s := &script{ended: make(chan struct{})}
	for _, part := range parts {
		s.parts = append(s.parts, bytes.Clone(part))
	}
	w.mu.Lock()
	w.seen, w.methods = nil, nil
	w.mu.Unlock()
	l.conns <- s
	<-s.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return told{strings.Join(w.seen, ""), readable(s.sent.Bytes(), w.methods)}
}

// readable is what a client that has sent requests of these methods understands: the answers one after the other,
// without dates and without the order of headers. What no client understands stays as it is.
func readable(sent []byte, methods []string) string {
	var b strings.Builder
	r := bufio.NewReader(bytes.NewReader(sent))
	for {
		if _, err := r.Peek(1); err != nil {
			return b.String()
		}
		rest, _ := r.Peek(r.Buffered())
		line := string(rest[:max(0, bytes.IndexByte(rest, '\n'))])
		asked := &http.Request{Method: "GET"}
		if len(methods) > 0 {
			asked.Method = methods[0]
		}
		a, err := http.ReadResponse(r, asked)
		if err != nil {
			fmt.Fprintf(&b, "%v: %q\n", err, rest)
			return b.String()
		}
		if a.StatusCode >= 200 {
			methods = methods[min(1, len(methods)):]
		}
		body, err := io.ReadAll(a.Body)
		if a.Header.Get("Date") != "today" {
			_, dated := http.ParseTime(a.Header.Get("Date"))
			fmt.Fprintf(&b, "date %v\n", dated)
			a.Header.Del("Date")
		}
		fmt.Fprintf(&b, "%s\nlength %d te %v close %v\n", line, a.ContentLength, a.TransferEncoding, a.Close)
		for _, name := range slices.Sorted(maps.Keys(a.Header)) {
			fmt.Fprintf(&b, "  %s: %q\n", name, a.Header[name])
		}
		if len(body) > 100 {
			body = fmt.Appendf(nil, "%d bytes, the first %q", len(body), body[:20])
		}
		fmt.Fprintf(&b, "  %q %v\n", body, err)
	}
}

func compare(t *testing.T, sent string, ours, theirs told) {
	t.Helper()
	if len(sent) > 2000 {
		sent = fmt.Sprintf("%s… (%d bytes)", sent[:2000], len(sent))
	}
	if ours.seen != theirs.seen {
		t.Errorf("%q\nour handler saw\n%s\nand that of net/http\n%s", sent, ours.seen, theirs.seen)
	}
	if ours.got != theirs.got {
		t.Errorf("%q\nour client got\n%s\nand that of net/http\n%s", sent, ours.got, theirs.got)
	}
}

// A request that the front serves is the same for the handler and its answer the same for the client as with net/http,
// and what it does not serve is what net/http makes of it: in one piece, and cut at every place.
func TestEveryRequestIsReadAsNetHTTPReadsIt(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for _, sent := range slices.Concat(plainOnes, oddOnes) {
		_, theirs := p.say([]byte(sent))
		ours, _ := p.say([]byte(sent))
		compare(t, sent, ours, theirs)
		if len(sent) > 1000 {
			continue
		}
		for i := range len(sent) {
			ours := say(p.ours.l, p.ours.w, [][]byte{[]byte(sent[:i]), []byte(sent[i:])})
			compare(t, fmt.Sprintf("%s|%s", sent[:i], sent[i:]), ours, theirs)
		}
		ours = say(p.ours.l, p.ours.w, slices.Collect(slices.Chunk([]byte(sent), 1)))
		compare(t, sent, ours, theirs)
	}
}

// However a handler answers, the client gets what it gets from net/http, and the connection lives on in the same cases.
func TestEveryAnswerIsFramedAsNetHTTPFramesIt(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	targets := []string{
		"/sized/0", "/sized/1", "/sized/2047", "/sized/2048", "/sized/2049", "/sized/5000", "/sized/100000",
		"/sized/196608", "/sized/450000", "/unsized/0",
		"/unsized/1", "/unsized/2047", "/unsized/2048", "/unsized/2049", "/unsized/4096", "/unsized/100000",
		"/unsized/450000", "/parts/1",
		"/parts/3", "/parts/49", "/flushed/0", "/flushed/1", "/flushed/5", "/short/", "/long/", "/none/", "/status/200",
		"/status/204", "/status/299", "/status/304", "/status/404", "/status/500", "/status/999", "/body/204", "/body/304",
		"/body/404", "/early/", "/headers/", "/close/", "/connection/", "/html/0", "/html/600", "/html/3000", "/unread/",
		"/late/", "/closed/", "/",
	}
	for _, target := range targets {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, body := range []string{"", "body"} {
				sent := request(method, target, body) + request("GET", "/after", "")
				ours, theirs := p.say([]byte(sent))
				compare(t, sent, ours, theirs)
			}
		}
	}
}

// FuzzSameAsNetHTTP sends the same bytes to the front and to net/http, cut into two parts at a place of the fuzzer's
// choice: both handlers see the same, and both clients get the same.
func FuzzSameAsNetHTTP(f *testing.F) {
	for i, sent := range slices.Concat(plainOnes, oddOnes) {
		if len(sent) < 1000 {
			f.Add([]byte(sent), uint16(7*i))
		}
	}
	p := newPair(f)
	f.Fuzz(func(t *testing.T, sent []byte, at uint16) {
		if len(sent) > 1<<16 || bytes.Contains(sent, []byte("HTTP/2")) { // frames of HTTP/2 are answered by a goroutine
			t.Skip()
		}
		cut := min(int(at), len(sent))
		ours, theirs := p.say(sent[:cut], sent[cut:])
		compare(t, string(sent), ours, theirs)
	})
}
