package runtimeapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/eventually"
)

// ask sends a request to the Extensions API and returns status and body, and the identifier that came with them.
func ask(t *testing.T, s *Server, method, path, body string, headers ...string) (answer, id string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error(), ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, b), resp.Header.Get("Lambda-Extension-Identifier")
}

func registered(t *testing.T, s *Server, name, events string) (id string) {
	t.Helper()
	answer, id := ask(t, s, "POST", extensionBase+"/register", `{"events":[`+events+`]}`, "Lambda-Extension-Name", name)
	if !strings.HasPrefix(answer, "200 ") || !isUUID(id) {
		t.Fatalf("register: %s, identifier %q", answer, id)
	}
	return id
}

// The answer to a registration describes the function, with the account if it was asked for.
func TestExtensionRegisters(t *testing.T) {
	t.Parallel()
	s, _, _ := listen(t)
	const plain = `200 {"functionName":"orders","functionVersion":"$LATEST","handler":"index.handler"}`

	if got, _ := ask(
		t, s, "POST", extensionBase+"/register", `{"events":[]}`, "Lambda-Extension-Name", "a",
	); got != plain {
		t.Errorf("got %s", got)
	}
	got, _ := ask(
		t, s, "POST", extensionBase+"/register", `{"events":["INVOKE","SHUTDOWN"]}`, "Lambda-Extension-Name", "b",
		"Lambda-Extension-Accept-Feature", "x, accountId",
	)
	if got != `200 {"accountId":"123456789012","functionName":"orders","functionVersion":"$LATEST","handler":"index.handler"}` {
		t.Errorf("got %s", got)
	}
}

// Invalid requests are refused as by AWS's emulator.
func TestExtensionRefusals(t *testing.T) {
	t.Parallel()
	s, h, rt := listen(t)
	id := registered(t, s, "one", "")
	const name, identifier = "Lambda-Extension-Name", "Lambda-Extension-Identifier"
	unknown := "00000000-0000-4000-8000-000000000000"
	refusal := func(kind, message string) string {
		return `403 {"errorMessage":"` + message + `","errorType":"` + kind + `"}`
	}
	for _, c := range []struct {
		call, body string
		headers    []string
		want       string
	}{
		{"POST /register", "{}", nil, refusal("Extension.InvalidExtensionName", "Empty extension name")},
		{"POST /register", "{", []string{name, "x"}, refusal("InvalidRequestFormat", "unexpected end of JSON input")},
		{
			"POST /register", `{"configurationKeys":["a"]}`,
			[]string{name, "x"},
			refusal("InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead"),
		},
		{
			"POST /register", `{"events":["OTHER"]}`,
			[]string{name, "x"},
			refusal("Extension.InvalidEventType", "OTHER: ErrorInvalidEventType"),
		},
		{
			"POST /register", `{}`,
			[]string{name, "one"},
			refusal("Extension.InvalidExtensionState", "Extension with this name already registered"),
		},
		{
			"GET /event/next", "", nil,
			refusal("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header"),
		},
		{
			"GET /event/next", "",
			[]string{identifier, "x"},
			refusal("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"),
		},
		{
			"GET /event/next", "",
			[]string{identifier, unknown},
			refusal("Extension.UnknownExtensionIdentifier", "Unknown extension "+unknown),
		},
		{
			"POST /init/error", "",
			[]string{identifier, id},
			refusal("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found"),
		},
		{
			"POST /exit/error", "",
			[]string{identifier, unknown, "Lambda-Extension-Function-Error-Type", "A.B"},
			refusal("Extension.UnknownExtensionIdentifier", "Unknown Lambda-Extension-Identifier"),
		},
		{
			"PUT /register", "", nil,
			`404 {"errorMessage":"The Extensions API has no such path.","errorType":"NotFound"}`,
		},
	} {
		method, path, _ := strings.Cut(c.call, " ")
		if got, _ := ask(t, s, method, extensionBase+path, c.body, c.headers...); got != c.want {
			t.Errorf("%s %s: %s\nwant %s", c.call, c.body, got, c.want)
		}
	}
	for i := range maxExtensions - 1 {
		registered(t, s, fmt.Sprint(i), "")
	}
	if got, _ := ask(t, s, "POST", extensionBase+"/register", "{}", name, "last"); got != refusal(
		"Extension.TooManyExtensions", "Extension limit (10) reached",
	) {
		t.Errorf("one too many: %s", got)
	}
	rt.next()
	<-h.ready
	if got, _ := ask(t, s, "POST", extensionBase+"/register", "{}", name, "late"); got != refusal(
		"Extension.RegistrationClosed", "Extension registration closed already",
	) {
		t.Errorf("after the init phase: %s", got)
	}
}

// next asks for an event; the answer comes through the channel.
func next(t *testing.T, s *Server, id string) chan string {
	out := make(chan string, 1)
	go func() {
		answer, _ := ask(t, s, "GET", extensionBase+"/event/next", "", "Lambda-Extension-Identifier", id)
		out <- answer
	}()
	return out
}

// waits returns once the extension waits for an event.
func waits(t *testing.T, s *Server, id string) {
	t.Helper()
	eventually.Reaches(t, "an extension that waits", func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		state := s.extension(id).state
		return state == extReady, fmt.Sprint(state)
	})
}

// missed returns once an event is held for an extension that is not waiting.
func missed(t *testing.T, s *Server, id string) {
	t.Helper()
	eventually.Holds(t, "an event that lies ready", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.extension(id).missed != nil
	})
}

// SHUTDOWN reaches the extensions that wait, whatever they registered for, and Shutdown returns when they are back.
func TestShutdownReachesExtensions(t *testing.T) {
	t.Parallel()
	s, _, _ := listen(t)
	one, two := registered(t, s, "one", ""), registered(t, s, "two", `"SHUTDOWN"`)
	events := []chan string{next(t, s, one), next(t, s, two)}
	waits(t, s, one)
	waits(t, s, two)
	if got, _ := ask(
		t, s, "GET", extensionBase+"/event/next", "", "Lambda-Extension-Identifier", one,
	); !strings.Contains(got, "State transition from Ready to Ready failed for extension "+one) {
		t.Errorf("asked twice: %s", got)
	}
	over := make(chan bool)
	go func() { over <- s.Shutdown(Spindown, time.UnixMilli(1234), time.Minute) }()

	for _, e := range events {
		if got := <-e; got != `200 {"eventType":"SHUTDOWN","deadlineMs":1234,"shutdownReason":"spindown"}` {
			t.Errorf("got %s", got)
		}
	}
	next(t, s, one)
	next(t, s, two)
	if !<-over {
		t.Error("there are no extensions")
	}
}

// Without extensions Shutdown does not wait; a busy extension gets the event when it asks, and Shutdown waits until it
// asks again after that.
func TestShutdownWaitsForExtensionsThatAreBusy(t *testing.T) {
	t.Parallel()
	s, _, _ := listen(t)
	if s.Shutdown(Spindown, time.Now(), time.Hour) {
		t.Error("there are extensions")
	}
	id := registered(t, s, "one", "")
	over := make(chan bool, 1)
	go func() { over <- s.Shutdown(Timeout, time.UnixMilli(1), time.Hour) }()
	missed(t, s, id)
	if got := <-next(t, s, id); got != `200 {"eventType":"SHUTDOWN","deadlineMs":1,"shutdownReason":"timeout"}` {
		t.Errorf("got %s", got)
	}
	if len(over) > 0 {
		t.Error("it was not waited for while it worked on the event")
	}
	again := next(t, s, id) // it gets each event once
	waits(t, s, id)
	if !<-over {
		t.Error("there are no extensions")
	}
	if len(again) > 0 {
		t.Errorf("then %s", <-again)
	}
}

// An extension whose connection breaks while it waits may ask again on another one.
func TestExtensionMayAskAgain(t *testing.T) {
	t.Parallel()
	s, _, _ := listen(t)
	id := registered(t, s, "one", "")
	c := dial(t, s)
	say(t, c, "GET "+extensionBase+"/event/next HTTP/1.1\r\nLambda-Extension-Identifier: "+id+"\r\n\r\n")
	waits(t, s, id)
	c.Close()
	eventually.Holds(t, "the server seeing that the connection is gone", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.extension(id).state != extReady
	})
	go s.Shutdown(Spindown, time.UnixMilli(1), 10*time.Second)
	missed(t, s, id)
	if got := <-next(t, s, id); got != `200 {"eventType":"SHUTDOWN","deadlineMs":1,"shutdownReason":"spindown"}` {
		t.Errorf("got %s", got)
	}
}

// When the process has ended, no extension can come back.
func TestShutdownEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	s, _, _ := listen(t)
	id := registered(t, s, "one", "")
	event := next(t, s, id)
	waits(t, s, id)
	over := make(chan bool, 1)
	go func() { over <- s.Shutdown(Spindown, time.UnixMilli(1), time.Hour) }()
	<-event

	s.Finish()

	eventually.Comes(t, "the end of the wait", over)
}

// An extension that registered for INVOKE gets an event for each invocation, with the deadline in the clock that its
// process sees.
func TestExtensionHearsOfInvocations(t *testing.T) {
	t.Parallel()
	for deadline, clock := range map[int64]Clock{
		1234: {}, 1235: {Offset: time.Hour, Told: true}, 3_601_236: {Offset: time.Hour, Told: true, Follows: true},
	} {
		s, h, rt := listen(t)
		id, other := registered(t, s, "one", `"INVOKE"`), registered(t, s, "two", "")
		heard, not := next(t, s, id), next(t, s, other)
		waits(t, s, id)
		waits(t, s, other)
		event1 := rt.next()
		<-h.ready
		ev := event("id-1")
		if ev.Deadline, ev.Clock = time.UnixMilli(deadline), clock; clock.Follows {
			ev.Deadline = ev.Deadline.Add(-clock.Offset)
		}

		if err := s.Send(ev); err != nil {
			t.Fatal(err)
		}

		(<-event1).Body.Close()
		want := fmt.Sprintf(
			`200 {"eventType":"INVOKE","deadlineMs":%d,"requestId":"id-1","invokedFunctionArn":"arn:f","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}`,
			deadline,
		)
		if got := <-heard; got != want {
			t.Errorf("%+v: got %s", clock, got)
		}
		if len(not) > 0 {
			t.Errorf("the other got %s", <-not)
		}
	}
}

// An error of an extension is passed on; a later one may follow, another kind not.
func TestExtensionErrors(t *testing.T) {
	t.Parallel()
	s, h, _ := listen(t)
	id := registered(t, s, "one", "")
	headers := []string{"Lambda-Extension-Identifier", id, "Lambda-Extension-Function-Error-Type", "Extension.NoConfig"}

	for range 2 {
		if got, _ := ask(
			t, s, "POST", extensionBase+"/init/error", `{"errorMessage":"x"}`, headers...,
		); got != "202 {\"status\":\"OK\"}\n" {
			t.Errorf("init error: %s", got)
		}
		if kind := <-h.failed; kind != "Extension.InitError" {
			t.Errorf("heard %s", kind)
		}
	}
	got, _ := ask(t, s, "POST", extensionBase+"/exit/error", "", headers...)
	if want := `403 {"errorMessage":"State transition from InitError to Exited failed for extension ` + id +
		`. Error: State transition is not allowed","errorType":"Extension.InvalidExtensionState"}`; got != want {
		t.Errorf("exit error: %s", got)
	}
}

// A subscription is checked as a whole; missing values have AWS's defaults.
func TestTelemetrySubscription(t *testing.T) {
	t.Parallel()
	s, h, _ := listen(t)
	id := registered(t, s, "one", "")
	const least = `"schemaVersion":"2022-12-13","types":["platform"],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080"}`
	for _, c := range []struct{ body, want string }{
		{`{` + least + `}`, ``},
		{`{` + least + `,"buffering":{"maxItems":10000,"maxBytes":1048576,"timeoutMs":25}}`, ``},
		{
			`{"schemaVersion":"2022-12-13","types":[],"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain"}}`,
			`URI port is not provided; types should not be empty`,
		},
		{
			`{}`,
			`schemaVersion should be one of 2022-07-01, 2022-12-13, 2025-01-29; destination is not provided; types should not be empty`,
		},
		{
			`{` + strings.Replace(least, `"HTTP"`, `"TCP"`, 1) + `}`,
			`shardmill delivers by HTTP only; destination protocol TCP is not supported`,
		},
		{`{` + strings.Replace(least, `"HTTP"`, `"UDP"`, 1) + `}`, `destination protocol should be HTTP or TCP`},
		{
			`{` + strings.Replace(least, `sandbox.localdomain`, `example.com`, 1) + `}`,
			`URI host should be sandbox.localdomain`,
		},
		{`{` + strings.Replace(least, `http:`, `https:`, 1) + `}`, `URI should begin with http://`},
		{`{` + strings.Replace(least, `8080`, `0`, 1) + `}`, `URI port should be from 1 to 65535`},
		{
			`{` + strings.Replace(least, `"platform"`, `"platform","platform","logs"`, 1) + `}`,
			`types should be unique; type \"logs\" should be platform, function or extension`,
		},
		{
			`{` + least + `,"buffering":{"maxItems":999,"maxBytes":1048577,"timeoutMs":"1"}}`,
			`buffering maxItems should be a number from 1000 to 10000; ` +
				`buffering maxBytes should be a number from 262144 to 1048576; buffering timeoutMs should be a number from 25 to 30000`,
		},
	} {
		want := `200 "OK"`
		if c.want != "" {
			want = `400 {"errorMessage":"` + c.want + `","errorType":"ValidationError"}`
		}
		if got, _ := ask(t, s, "PUT", telemetryPath, c.body, "Lambda-Extension-Identifier", id); got != want {
			t.Errorf("%s: %s\nwant %s", c.body, got, want)
		}
	}
	first, second := <-h.subs, <-h.subs
	if first.Port != 8080 || first.Path != "/" || first.MaxItems != 1000 || first.MaxBytes != 262_144 ||
		first.Timeout != time.Second || first.Extension != "one" {
		t.Errorf("%+v", first)
	}
	if second.MaxItems != 10_000 || second.MaxBytes != 1<<20 || second.Timeout != 25*time.Millisecond {
		t.Errorf("%+v", second)
	}
	if got, _ := ask(t, s, "PUT", telemetryPath, "{}"); !strings.Contains(got, "Extension.MissingExtensionIdentifier") {
		t.Errorf("without an identifier: %s", got)
	}
	if got, _ := ask(t, s, "PUT", logsPath, "{}", "Lambda-Extension-Identifier", id); !strings.HasPrefix(
		got, `403 {"errorMessage":"shardmill does not serve the Logs API`,
	) {
		t.Errorf("logs: %s", got)
	}
}

// Every subscription either has faults or is entirely within its bounds.
func FuzzSubscription(f *testing.F) {
	f.Add([]byte(
		`{"schemaVersion":"2022-12-13","types":["platform","function"],"buffering":{"maxItems":1000,"maxBytes":262144,"timeoutMs":25},"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:8080/x?y"}}`,
	))
	f.Add([]byte(`{"destination":{"URI":"http://[::1]:99999999999999999999"},"buffering":{"maxItems":1e400}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, faults := parseSubscription(b)
		if len(faults) > 0 {
			return
		}
		if s.Port < 1 || s.Port > 65535 || !strings.HasPrefix(s.Path, "/") || len(s.Types) == 0 || len(s.Types) > 3 ||
			s.MaxItems < 1000 || s.MaxItems > 10_000 ||
			s.MaxBytes < 262_144 || s.MaxBytes > 1<<20 || s.Timeout < 25*time.Millisecond ||
			s.Timeout > 30*time.Second || !json.Valid(b) {
			t.Fatalf("%s became %+v", b, s)
		}
	})
}

// What lambda_runtime 1.1.1 (Rust) with spawn_graceful_shutdown_handler sends, recorded: it registers an extension
// without events before it asks for work, and panics if that is refused. ID stands for the extension's identifier.
func TestRustRuntimeWithAGracefulShutdown(t *testing.T) {
	t.Parallel()
	const agent = "user-agent: aws-lambda-rust/1.1.1\r\n"
	const register = "POST /2020-01-01/extension/register HTTP/1.1\r\n" + agent +
		"lambda-extension-name: _lambda-rust-runtime-no-op-graceful-shutdown-helper\r\nlambda-extension-accept-feature: accountId\r\n" +
		"content-type: application/json\r\nhost: 127.0.0.1:39417\r\ncontent-length: 13\r\n\r\n" + `{"events":[]}`
	const work = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n" + agent + "host: 127.0.0.1:39417\r\n\r\n"
	const wait = "GET /2020-01-01/extension/event/next HTTP/1.1\r\n" + agent +
		"lambda-extension-identifier: ID\r\nhost: 127.0.0.1:39417\r\n\r\n"
	const answer = "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n" + agent +
		"host: 127.0.0.1:39417\r\ncontent-length: 7\r\n\r\n" + `{"a":1}`
	s, h, _ := listen(t)
	read := func(c io.Reader) (status int, body, id string) {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b), resp.Header.Get("Lambda-Extension-Identifier")
	}
	extension, runtime := dial(t, s), dial(t, s)

	say(t, extension, register)
	status, body, id := read(extension)
	if status != 200 ||
		body != `{"accountId":"123456789012","functionName":"orders","functionVersion":"$LATEST","handler":"index.handler"}` {
		t.Fatalf("%d %s", status, body)
	}
	say(t, runtime, work)
	say(t, extension, strings.Replace(wait, "ID", id, 1))
	<-h.ready
	waits(t, s, id)
	if err := s.Send(event("id-1")); err != nil {
		t.Fatal(err)
	}
	if status, body, _ = read(runtime); status != 200 || body != `{"a":1}` {
		t.Fatalf("%d %s", status, body)
	}
	say(t, runtime, answer)
	if status, body, _ = read(runtime); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	say(t, runtime, work)
	<-h.ready
	over := make(chan bool)
	go func() { over <- s.Shutdown(Spindown, time.UnixMilli(1234), time.Minute) }()
	if status, body, _ = read(extension); status != 200 ||
		body != `{"eventType":"SHUTDOWN","deadlineMs":1234,"shutdownReason":"spindown"}` {
		t.Fatalf("%d %s", status, body)
	}
	say(t, extension, strings.Replace(wait, "ID", id, 1))
	if !<-over {
		t.Error("no extension")
	}
}
