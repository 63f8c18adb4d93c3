package runtimeapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// recorder is a Handler that records its calls.
type recorder struct {
	ready   chan struct{}
	answers chan Answer
	failed  chan string // of the runtime and of extensions
	subs    chan Subscription
}

func (r *recorder) Registered(string, []string) {}
func (r *recorder) Subscribed(s Subscription)   { r.subs <- s }
func (r *recorder) ExtensionFailed(kind string) { r.failed <- kind }

func (r *recorder) Ready()            { r.ready <- struct{}{} }
func (r *recorder) Answered(a Answer) { r.answers <- a }
func (r *recorder) InitFailed(kind, hint string, body []byte) {
	r.failed <- strings.TrimLeft(hint+" "+kind+" "+string(body), " ")
}

func listen(t *testing.T) (*Server, *recorder, *runtime) {
	t.Helper()
	h := &recorder{make(chan struct{}, 8), make(chan Answer, 8), make(chan string, 8), make(chan Subscription, 8)}
	s, err := Listen(
		h, Function{Account: "123456789012", Name: "orders", Version: "$LATEST", Handler: "index.handler"},
		os.Geteuid(),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, h, &runtime{t, "http://" + s.Addr() + base}
}

// runtime talks to a server like official runtime clients.
type runtime struct {
	t    *testing.T
	base string
}

func (r *runtime) next() chan *http.Response {
	out := make(chan *http.Response, 1)
	go func() {
		resp, err := http.Get(r.base + "/runtime/invocation/next")
		if err != nil {
			close(out)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		out <- resp
	}()
	return out
}

// post returns "status body".
func (r *runtime) post(path string, body io.Reader, headers ...string) string {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.base+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, bytes.TrimSpace(b))
}

func event(id string) *Event {
	return &Event{
		ID: id, ARN: "arn:f", Deadline: time.UnixMilli(1234), TraceID: "Root=1", ClientContext: "{\n}",
		Payload: []byte(`{"a":1}`),
	}
}

// F-48: /next carries the event and its headers, /response is accepted with 202.
func TestOneInvocation(t *testing.T) {
	t.Parallel()
	s, h, rt := listen(t)
	if err := s.Send(event("id-1")); !errors.Is(err, ErrNotReady) {
		t.Fatalf("Send before /next: %v", err)
	}
	next := rt.next()
	<-h.ready

	if err := s.Send(event("id-1")); err != nil {
		t.Fatal(err)
	}

	resp := <-next
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	for name, value := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id": "id-1", "Lambda-Runtime-Deadline-Ms": "1234",
		"Lambda-Runtime-Invoked-Function-Arn": "arn:f",
		"Lambda-Runtime-Trace-Id":             "Root=1", "Lambda-Runtime-Client-Context": "{ }",
		"Content-Type": "application/json", "Lambda-Runtime-Cognito-Identity": "",
	} {
		if got := resp.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if resp.StatusCode != 200 || string(body) != `{"a":1}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if got := rt.post("/runtime/invocation/id-1/response", strings.NewReader("done")); got != `202 {"status":"OK"}` {
		t.Errorf("response: %s", got)
	}
	if a := <-h.answers; a.ID != "id-1" || string(a.Payload) != "done" || a.Failed || a.TooLarge {
		t.Errorf("answer %+v", a)
	}
}

// running brings a server to the point at which an invocation runs.
func running(t *testing.T, id string) (*Server, *recorder, *runtime) {
	t.Helper()
	s, h, rt := listen(t)
	next := rt.next()
	<-h.ready
	if err := s.Send(event(id)); err != nil {
		t.Fatal(err)
	}
	resp := <-next
	resp.Body.Close()
	return s, h, rt
}

// F-49: an invocation is answered once, under its id.
func TestAnInvocationIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	_, h, rt := running(t, "id-1")
	invalid := `400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}`
	if got := rt.post("/runtime/invocation/other/response", nil); got != invalid {
		t.Errorf("foreign id: %s", got)
	}
	rt.post(
		"/runtime/invocation/id-1/error", strings.NewReader(`{"errorMessage":"x"}`),
		"Lambda-Runtime-Function-Error-Type", "Runtime.X",
	)
	if a := <-h.answers; !a.Failed || a.Kind != "Runtime.X" || string(a.Payload) != `{"errorMessage":"x"}` {
		t.Errorf("answer %+v", a)
	}

	if got := rt.post("/runtime/invocation/id-1/response", nil); got != invalid {
		t.Errorf("second answer: %s", got)
	}
}

// Our bootstraps send advice for a person beside an error, percent-encoded; invalid advice is dropped, and the error
// counts.
func TestAdviceComesBesideAnError(t *testing.T) {
	t.Parallel()
	_, h, rt := listen(t)
	rt.post(
		"/runtime/init/error", strings.NewReader("{}"), "Lambda-Runtime-Function-Error-Type", "Runtime.Y",
		"Shardmill-Hint", "add%20%C3%A4%0Ait",
	)
	if got := <-h.failed; got != "add ä\nit Runtime.Y {}" {
		t.Errorf("heard %q", got)
	}
	for _, c := range []struct{ sent, want string }{
		{"%22a%22", `"a"`}, {"%zz", ""}, {"%ff", ""}, {strings.Repeat("x", maxHint+1), ""},
	} {
		_, h, rt := running(t, "id-1")
		rt.post("/runtime/invocation/id-1/error", strings.NewReader("{}"), "Shardmill-Hint", c.sent)
		if a := <-h.answers; !a.Failed || a.Hint != c.want {
			t.Errorf("%.10q: answer %+v, want hint %q", c.sent, a, c.want)
		}
	}
}

// F-50: an init error is accepted before the first /next only; a second /next while one waits or an invocation runs is
// refused.
func TestCallsInTheWrongStateAreRefused(t *testing.T) {
	t.Parallel()
	_, h, rt := listen(t)
	if got := rt.post(
		"/runtime/init/error", strings.NewReader("{}"), "Lambda-Runtime-Function-Error-Type", "Runtime.Y",
	); got != `202 {"status":"OK"}` {
		t.Errorf("init error: %s", got)
	}
	if got := <-h.failed; got != "Runtime.Y {}" {
		t.Errorf("heard %s", got)
	}
	_, _, rt = running(t, "id-1")

	if got := rt.post("/runtime/init/error", strings.NewReader("{}")); !strings.HasPrefix(got, "403 ") ||
		!strings.Contains(got, `"errorType":"InvalidStateTransition"`) {
		t.Errorf("init error while running: %s", got)
	}
	resp := <-rt.next()
	resp.Body.Close()
	if resp.StatusCode != 403 {
		t.Errorf("/next while running: %d", resp.StatusCode)
	}
}

// F-41: a body beyond the limit is read to its end and refused, chunked or not; exactly the limit passes. Expect:
// 100-continue is honoured.
func TestOversizeBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size    int
		chunked bool
		want    string
	}{
		{MaxResponse, false, "202"},
		{MaxResponse, true, "202"},
		{MaxResponse + 1, false, "413"},
		{MaxResponse + 1, true, "413"},
	} {
		_, h, rt := running(t, "id-1")
		var body io.Reader = bytes.NewReader(make([]byte, c.size))
		if c.chunked {
			body = iotest.HalfReader(body)
		}

		got := rt.post("/runtime/invocation/id-1/response", body, "Expect", "100-continue")

		if a := <-h.answers; !strings.HasPrefix(got, c.want) || a.TooLarge != (c.want == "413") {
			t.Errorf("%d bytes, chunked %v: %s, too large %v", c.size, c.chunked, got, a.TooLarge)
		}
	}
}

// Paths outside the API are 404, also below the extensions' paths; other response modes are refused.
func TestOtherPaths(t *testing.T) {
	t.Parallel()
	s, _, rt := running(t, "id-1")
	for _, path := range []string{
		"/2020-01-01/extension/other", base + "/runtime/restore/error", base + "/runtime/invocation/id-1/other",
	} {
		resp, err := http.Post("http://"+s.Addr()+path, "", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	resp, err := http.Get(rt.base + "/ping")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "pong" {
		t.Errorf("ping: %s", b)
	}
	if got := rt.post(
		"/runtime/invocation/id-1/response", nil, "Lambda-Runtime-Function-Response-Mode", "sideways",
	); !strings.HasPrefix(got, "400 ") {
		t.Errorf("mode: %s", got)
	}
}

// A runtime that goes away while it waits may ask again.
func TestNextMayBeAskedAgain(t *testing.T) {
	t.Parallel()
	s, h, rt := listen(t)
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET %s/runtime/invocation/next HTTP/1.1\r\n\r\n", base)
	<-h.ready
	c.Close()

	for { // until the server has noticed the end of the connection
		next := rt.next()
		select {
		case <-h.ready:
			if err := s.Send(event("id-2")); err != nil {
				t.Fatal(err)
			}
			resp := <-next
			resp.Body.Close()
			return
		case resp := <-next:
			resp.Body.Close()
		}
	}
}

// Large events arrive whole.
func TestLargeEvents(t *testing.T) {
	t.Parallel()
	s, h, rt := listen(t)
	next := rt.next()
	<-h.ready
	ev := event("id-1")
	ev.Payload, ev.Deadline = bytes.Repeat([]byte("0123456789"), 600_000), time.Now().Add(time.Minute)

	sent := make(chan error, 1)
	go func() { sent <- s.Send(ev) }()

	resp := <-next
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(b, ev.Payload) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// The parser never panics and keeps its limits, and an accepted body has the declared length.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /x HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"))
	f.Add([]byte(
		"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nLambda-Runtime-Function-Error-Type: Z\r\n\r\n",
	))
	f.Add([]byte("POST /x HTTP/1.1\nContent-Length: 99999999999999999999\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		br := bufio.NewReaderSize(bytes.NewReader(b), 16)
		for {
			r, err := readRequest(br)
			if err != nil {
				return
			}
			if r.path == "" || r.path[0] != '/' || r.length < -1 {
				t.Fatalf("accepted %+v", r)
			}
			body, tooLarge, err := r.readBody(br, 100)
			if len(body) > 100 || tooLarge && len(body) > 0 || err == nil && !tooLarge && r.length >= 0 &&
				int64(len(body)) != r.length {
				t.Fatalf("%+v: %d bytes, %v, %v", r, len(body), tooLarge, err)
			}
			if err != nil {
				return
			}
		}
	})
}

// An oversize body is dropped up to a bound, over all chunks; beyond it nothing more is read.
func TestDroppedBytesAreBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		"5\r\nhello\r\n3FFFFFFC\r\n": errTooLong,   // a byte more than 1 GiB
		"5\r\nhello\r\n3FFFFFFB\r\n": errTruncated, // still expected
	} {
		r := request{length: -1}
		if _, tooLarge, err := r.readBody(bufio.NewReader(strings.NewReader(text)), 3); !tooLarge ||
			!errors.Is(err, want) {
			t.Errorf("%q: too large %v, %v", text, tooLarge, err)
		}
	}
}

// The deadline is in the clock that the runtime sees: it is shifted for one that follows the server's clock, but not
// for others.
func TestDeadlineIsInTheClockThatTheRuntimeSees(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		clock            Clock
		deadline, offset string
	}{
		{Clock{}, "1234", ""},
		{Clock{Offset: 2 * time.Second, Told: true}, "1234", "2000"},
		{Clock{Offset: 2 * time.Second, Told: true, Follows: true}, "3234", "2000"},
		{Clock{Told: true, Follows: true}, "1234", "0"},
	} {
		s, h, rt := listen(t)
		next := rt.next()
		<-h.ready
		ev := event("id-1")
		ev.Clock = c.clock

		if err := s.Send(ev); err != nil {
			t.Fatal(err)
		}

		resp := <-next
		deadline, offset := resp.Header.Get("Lambda-Runtime-Deadline-Ms"), resp.Header.Get("Shardmill-Clock-Offset-Ms")
		if deadline != c.deadline || offset != c.offset {
			t.Errorf("%+v: deadline %q, offset %q, want %q, %q", c.clock, deadline, offset, c.deadline, c.offset)
		}
	}
}

// bounded is a connection that records the bounds of its writes.
type bounded struct {
	net.Conn
	until []time.Time
}

func (c *bounded) Write(b []byte) (int, error) { return len(b), nil }
func (c *bounded) SetWriteDeadline(at time.Time) error {
	c.until = append(c.until, at)
	return nil
}

// A large event is written within the time of its invocation, and the connection is not bounded any more after that:
// it carries later ones too.
func TestBoundOfALargeEventEndsWithIt(t *testing.T) {
	t.Parallel()
	c, ev := &bounded{}, event("id-1")
	ev.Payload = make([]byte, inlinePayload+1)

	if err := writeEvent(c, ev); err != nil {
		t.Fatal(err)
	}

	if len(c.until) != 2 || !c.until[0].Equal(ev.Deadline.Add(time.Second)) || !c.until[1].IsZero() {
		t.Errorf("bounds %v", c.until)
	}
}
