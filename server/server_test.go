package server

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/storage"
)

func TestMain(m *testing.M) {
	if os.Getenv("SERVER_TEST_BOOTSTRAP") != "" {
		bootstrap()
		return
	}
	dir, err := os.MkdirTemp("", "shardmill-server-test-")
	if err != nil {
		panic(err)
	}
	_ = os.Setenv("XDG_RUNTIME_DIR", dir) // tokens of test servers do not mix with a user's
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// bootstrap is a runtime: it answers null, unless the payload asks for something else; to a payload that says hang it
// never answers.
func bootstrap() {
	seen := map[string]bool{}
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		resp, err := http.Get(base + "next")
		if err != nil {
			return
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if bytes.Contains(body, []byte("hang")) {
			fmt.Println("hanging")
			select {}
		}
		again := seen[string(body)]
		seen[string(body)] = true
		end, answer := "/response", "null"
		switch {
		case bytes.Contains(body, []byte(`"clock"`)):
			answer = `"` + os.Getenv("SHARDMILL_CLOCK_OFFSET_MS") + " " + resp.Header.Get(
				"Shardmill-Clock-Offset-Ms",
			) + `"`
		case bytes.Contains(body, []byte("keys")):
			answer = `["` + os.Getenv("AWS_ACCESS_KEY_ID") + `","` + os.Getenv("AWS_SECRET_ACCESS_KEY") + `","` +
				os.Getenv("AWS_SESSION_TOKEN") + `"]`
		case bytes.Contains(body, []byte("fail once")) && !again:
			end, answer = "/error", `{"errorType":"Oops"}`
		case bytes.Contains(body, []byte("partial once")) && !again:
			_, after, _ := bytes.Cut(body, []byte(`"sequenceNumber":"`))
			number, _, _ := bytes.Cut(after, []byte(`"`))
			answer = `{"batchItemFailures":[{"itemIdentifier":"` + string(number) + `"}]}`
		case bytes.Contains(body, []byte("say")):
			fmt.Printf("%s\n", body)
		case bytes.Contains(body, []byte("metric")):
			fmt.Printf(
				`{"_aws":{"Timestamp":%d,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["till"]],"Metrics":[{"Name":"sold"}]}]},"till":"1","sold":42}`+
					"\n",
				time.Now().UnixMilli(),
			)
		}
		resp, err = http.Post(
			base+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+end, "application/json", strings.NewReader(answer),
		)
		if err != nil {
			return
		}
		resp.Body.Close()
	}
}

type bench struct {
	*testing.T
	s      *Server
	client *http.Client
}

// start runs a server that the end of the test stops.
func start(t *testing.T, cfg Config) *bench {
	t.Helper()
	return startWith(t, cfg, func(*Server) {})
}

// startWith is start, with a change before the server builds its rooms.
func startWith(t *testing.T, cfg Config, change func(*Server)) *bench {
	t.Helper()
	if self, err := os.Executable(); err == nil { // which is the function, too
		cfg.Show = []string{self}
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	change(s)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := &bench{t, s, &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		b.stopNow()
		b.client.CloseIdleConnections()
	})
	return b
}

// stopNow stops without waiting for invocations.
func (b *bench) stopNow() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.s.Stop(ctx)
}

func (b *bench) do(method, path, body string, headers ...string) (status int, answer string) {
	b.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, b.s.Endpoint()+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

const signature = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/%s/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"

func (b *bench) control(method, path, body string) (int, string) {
	b.Helper()
	return b.do(method, path, body, "Authorization", "Bearer "+b.s.Token())
}

func (b *bench) kinesis(operation, body string) (int, string) {
	b.Helper()
	return b.do("POST", "/", body, "X-Amz-Target", "Kinesis_20131202."+operation, "Content-Type",
		"application/x-amz-json-1.1",
		"Authorization", fmt.Sprintf(signature, "kinesis"), "X-Amz-Date", "20260101T000000Z")
}

func (b *bench) lambda(method, path, body string) (int, string) {
	b.Helper()
	return b.do(method, path, body, "Authorization", fmt.Sprintf(signature, "lambda"))
}

// ok fails unless an answer is a success.
func (b *bench) ok(status int, answer string) string {
	b.Helper()
	if status/100 != 2 {
		b.Fatalf("answered %d %s", status, answer)
	}
	return answer
}

// code returns a package whose bootstrap is this very binary.
func (b *bench) code() []byte {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	h := &zip.FileHeader{Name: "bootstrap"}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = io.WriteString(w, "#!/bin/sh\nexec '"+self+"'\n")
	}
	if cerr := z.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		b.Fatal(err)
	}
	return code.Bytes()
}

// pipeline makes a stream, the function f and a mapping between them.
func (b *bench) pipeline() {
	b.Helper()
	b.ok(b.kinesis("CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	b.ok(b.lambda("POST", "/2015-03-31/functions", b.functionInput("000000000000")))
	b.ok(b.lambda(
		"POST", "/2015-03-31/event-source-mappings",
		`{"FunctionName":"f","EventSourceArn":"arn:aws:kinesis:us-east-1:000000000000:stream/orders","StartingPosition":"TRIM_HORIZON","BatchSize":1}`,
	))
}

// functionInput is the input of CreateFunction for the function f, whose code is this very binary.
func (b *bench) functionInput(account string) string {
	b.Helper()
	in, err := json.Marshal(map[string]any{
		"FunctionName": "f", "Runtime": "provided.al2023", "Handler": "x", "Role": "arn:aws:iam::" + account + ":role/r",
		"Timeout":     600,
		"Code":        map[string]any{"ZipFile": b.code()},
		"Environment": map[string]any{"Variables": map[string]string{"SERVER_TEST_BOOTSTRAP": "1"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return string(in)
}

// put puts a record with a key that the function sees.
func (b *bench) put(key string) {
	b.Helper()
	b.ok(b.kinesis("PutRecord", `{"StreamName":"orders","PartitionKey":"`+key+`","Data":"AA=="}`))
}

// attempts returns an Observe that signals starts and ends of attempts.
func attempts() (observe func(engine.Observation), started, ended chan struct{}) {
	started, ended = make(chan struct{}, 100), make(chan struct{}, 100)
	return func(o engine.Observation) {
		switch o.What.(type) {
		case *esm.AttemptStarted:
			started <- struct{}{}
		case *esm.AttemptEnded:
			ended <- struct{}{}
		default: // the test waits for no more
		}
	}, started, ended
}

// Everything that a server has begun has ended when Stop returns. Not parallel: it looks at all goroutines.
func TestStopLeavesNoGoroutine(t *testing.T) {
	ours := func() (n int, stacks string) {
		buf := make([]byte, 1<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "github.com/shardmill/") && !strings.Contains(g, "testing.tRunner") {
				n++
				stacks += g + "\n\n"
			}
		}
		return n, stacks
	}
	for _, data := range []string{"", t.TempDir()} {
		observe, _, ended := attempts()
		b := start(t, Config{Data: data, Dev: true, Observe: observe})
		b.pipeline()
		b.put("k")
		<-ended
		b.ok(b.control("POST", control.PathReset, ""))
		b.pipeline()
		b.put("k")
		<-ended
		b.s.Stop(t.Context())
		b.client.CloseIdleConnections()

		// a goroutine that has done its work takes a moment to be gone
		eventually.Reaches(t, "the end of all goroutines", func() (bool, string) {
			n, stacks := ours()
			return n == 0, fmt.Sprintf("%d are left:\n%s", n, stacks)
		})
	}
}

// A server that ends while its successor is up already, because it had to drain, leaves the successor's ready file.
func TestTheReadyFileBelongsToTheLastServer(t *testing.T) {
	t.Parallel()
	ready := filepath.Join(t.TempDir(), "ready.json")
	before, after := start(t, Config{ReadyFile: ready}), start(t, Config{ReadyFile: ready})

	before.s.Stop(t.Context())

	if text, err := os.ReadFile(ready); err != nil || !strings.Contains(string(text), after.s.Token()) {
		t.Errorf("it says %q: %v", text, err)
	}
	after.s.Stop(t.Context())
	if _, err := os.Stat(ready); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
}

// A server embeds in a Go test: any free port, everything in memory, and no trace of it afterwards.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	ready := filepath.Join(t.TempDir(), "ready.json")
	b := start(t, Config{ReadyFile: ready, Version: "1.2.3"})

	var got Ready
	text, err := os.ReadFile(ready)
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if want := (Ready{b.s.Endpoint(), b.s.Token(), os.Getpid(), "1.2.3", []string{b.s.Endpoint()}, ""}); err != nil ||
		!reflect.DeepEqual(got, want) {
		t.Errorf("the ready file says %s (%v), want %+v", text, err, want)
	}
	token, err := TokenFile(strings.TrimPrefix(b.s.Endpoint(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{ready, token} {
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if strings.HasSuffix(b.s.Endpoint(), ":0") {
		t.Errorf("endpoint %s", b.s.Endpoint())
	}
	b.ok(b.kinesis("ListStreams", "{}"))

	b.s.Stop(t.Context())
	b.s.Stop(t.Context())

	for _, file := range []string{ready, token} {
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", file)
		}
	}
	b.s.closed(t)
}

// closed fails t while the server listens. That its port can be reached would not say so: a server of another test may
// have got it meanwhile.
func (s *Server) closed(t *testing.T) {
	t.Helper()
	for _, l := range s.listeners {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s is still open: closing it returned %v", l.text(), err)
		}
	}
}

// A second Start changes nothing, and a stopped server can be started again with what it kept.
func TestStartTwiceAndAgain(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Data: t.TempDir()})
	endpoint := b.s.Endpoint()
	if err := b.s.Start(t.Context()); err != nil || b.s.Endpoint() != endpoint {
		t.Fatalf("%v; %s became %s", err, endpoint, b.s.Endpoint())
	}
	b.ok(b.kinesis("CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	b.s.Stop(t.Context())
	if err := b.s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.ok(b.kinesis("ListStreams", "{}")); !strings.Contains(got, `"orders"`) {
		t.Errorf("after the restart: %s", got)
	}
}

// Health needs nothing, everything else of the control API needs the token of this start, and pages get nothing at all.
func TestControlIsGuarded(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"GET", control.PathLive, nil, 200},
		{"GET", control.PathReady, nil, 200},
		{"GET", control.PathReady, []string{"Origin", "http://localhost:3000"}, 403},
		{"GET", control.PathReady, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", control.PathReady, []string{"Host", "evil.example"}, 421},
		{"GET", control.PathClock, nil, 401},
		{"GET", control.PathClock, []string{"Authorization", "Bearer wrong"}, 401},
		{"GET", control.PathClock, []string{"Authorization", "Bearer " + b.s.Token()}, 200},
		{"GET", control.PathClock, []string{"Authorization", "Bearer " + b.s.Token(), "Origin", "null"}, 403},
		{"POST", control.PathClock, nil, 401},
		{"POST", control.PathReset, nil, 401},
		{"POST", control.PathReplay, nil, 401},
		{
			"POST", control.PathReplay,
			[]string{"Authorization", "Bearer " + b.s.Token(), "Origin", "http://localhost:3000"},
			403,
		},
		{"GET", control.PathLogs, nil, 401},
		{"GET", control.PathReset, []string{"Authorization", "Bearer " + b.s.Token()}, 405},
	} {
		if status, answer := b.do(c.method, c.path, "", c.headers...); status != c.status {
			t.Errorf("%s %s %v: %d %s", c.method, c.path, c.headers, status, answer)
		}
	}
}

// The clock moves forward, by what can be, and under dev only.
func TestClockMovesForward(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	for body, want := range map[string]int{
		"": 400, "x": 400, `{"advanceMillis":-1}`: 400, `{"advanceMillis":1e300}`: 400,
		`{"advanceMillis":9223372036854775807}`: 400,
		`{"advanceMillis":0}`:                   200, strings.Repeat(" ", 5000) + "{}": 400,
	} {
		if status, answer := b.control("POST", control.PathClock, body); status != want {
			t.Errorf("%.40q: %d %s", body, status, answer)
		}
	}
	var state control.ClockState
	if err := json.Unmarshal(
		[]byte(b.ok(b.control("POST", control.PathClock, `{"advanceMillis":3600000}`))), &state,
	); err != nil ||
		state.OffsetMillis != 3600000 {
		t.Errorf("%+v, %v", state, err)
	}
	if ahead := time.Until(state.Now); ahead < 59*time.Minute || ahead > time.Hour {
		t.Errorf("the clock is %s ahead", ahead)
	}

	serve := start(t, Config{})
	for _, path := range []string{control.PathClock, control.PathReset} {
		if status, answer := serve.control("POST", path, `{"advanceMillis":1}`); status != 403 {
			t.Errorf("%s under serve: %d %s", path, status, answer)
		}
	}
}

// What is stored and cannot be read ends the start with what to do: nothing is guessed, and nothing is written over.
func TestWhatIsDamagedComesWithAdvice(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"mapping/uuid/", "function/", "stream/name/", "stream/shard/"} {
		data := t.TempDir()
		b := start(t, Config{Data: data})
		b.pipeline()
		coord := b.s.rooms.store.Coord()
		entries, err := coord.List(t.Context(), prefix, "", 1)
		if err != nil || len(entries) == 0 {
			t.Fatalf("%s: %d entries, err %v", prefix, len(entries), err)
		}
		if _, err := coord.Commit(t.Context(), prefix, storage.Op{
			Key: entries[0].Key, Value: []byte{0xff}, Expect: entries[0].Revision,
		}); err != nil {
			t.Fatal(err)
		}
		b.s.Stop(t.Context())
		s, err := New(Config{Data: data})
		if err != nil {
			t.Fatal(err)
		}
		var refused *DataError
		if err := s.Start(t.Context()); !errors.As(err, &refused) || !errors.Is(err, storage.ErrCorrupt) ||
			!strings.Contains(refused.Hint, "from a backup") {
			t.Errorf("%s: started with %v, hint %+v", entries[0].Key, err, refused)
		}
		s.Stop(t.Context())
	}
}

// The offset of the clock is stored with the data; a server on real time refuses such data.
func TestMovedClockIsKeptAndRefusedByServe(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	b := start(t, Config{Data: data, Dev: true})
	b.ok(b.control("POST", control.PathClock, `{"advanceMillis":86400000}`))
	b.s.Stop(t.Context())

	s, err := New(Config{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	var refused *DataError
	if err := s.Start(t.Context()); !errors.As(err, &refused) || !strings.Contains(err.Error(), "24h0m0s") ||
		!strings.Contains(refused.Hint, "shardmill dev --data") {
		t.Errorf("started with %v", err)
	}

	again := start(t, Config{Data: data, Dev: true})
	if got := again.ok(again.control("GET", control.PathClock, "")); !strings.Contains(got, `"offsetMillis":86400000`) {
		t.Errorf("resumed with %s", got)
	}
}

// An advance that meets a running function waits, gives up after its patience, and names the function.
func TestAdvanceNamesTheFunctionThatRuns(t *testing.T) {
	t.Parallel()
	observe, started, _ := attempts()
	b := start(t, Config{Dev: true, Observe: observe})
	b.s.patience = 50 * time.Millisecond
	b.pipeline()
	b.put("hang")
	<-started
	eventually.Holds(t, "a running process", func() bool { return len(b.s.functions().BusyWith()) > 0 })
	status, answer := b.control("POST", control.PathClock, `{"advanceMillis":1000}`)
	if status != 409 || !strings.Contains(answer, "there is still running: function f") {
		t.Errorf("answered %d %s", status, answer)
	}
}

// A reset deletes everything, sets the clock back and does not wait for functions; an advance that waits for them ends.
func TestResetWhileFunctionsRun(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", t.TempDir()} {
		observe, started, ended := attempts()
		b := start(t, Config{Data: data, Dev: true, Observe: observe})
		b.pipeline()
		b.ok(b.control("POST", control.PathClock, `{"advanceMillis":3600000}`))
		b.put("hang")
		<-started
		advanced := make(chan int, 1)
		go func() {
			req, _ := http.NewRequest(
				"POST", b.s.Endpoint()+control.PathClock, strings.NewReader(`{"advanceMillis":1000}`),
			)
			req.Header.Set("Authorization", "Bearer "+b.s.Token())
			resp, err := b.client.Do(req)
			if err != nil {
				advanced <- 0
				return
			}
			resp.Body.Close()
			advanced <- resp.StatusCode
		}()

		began := time.Now()
		b.ok(b.control("POST", control.PathReset, ""))

		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("the reset took %s", took)
		}
		if status := <-advanced; status != 409 {
			t.Errorf("the advance was answered %d", status)
		}
		if got := b.ok(b.kinesis("ListStreams", "{}")); strings.Contains(got, "orders") {
			t.Errorf("there is still %s", got)
		}
		if got := b.ok(b.control("GET", control.PathClock, "")); !strings.Contains(got, `"offsetMillis":0`) {
			t.Errorf("the clock says %s", got)
		}
		b.pipeline()
		b.put("k")
		<-ended
		b.ok(b.do("GET", control.PathReady, ""))
	}
}

// A client that goes away in the middle of a reset does not leave half a server.
func TestResetIsCarriedThrough(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	b.ok(b.kinesis("CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.s.Reset(gone); err != nil {
		t.Fatal(err)
	}
	if got := b.ok(b.kinesis("ListStreams", "{}")); strings.Contains(got, "orders") {
		t.Errorf("there is still %s", got)
	}
}

// While a stop waits for functions, they may still call every API.
func TestAPIsAnswerWhileDraining(t *testing.T) {
	t.Parallel()
	observe, started, _ := attempts()
	b := start(t, Config{Observe: observe})
	b.pipeline()
	b.put("hang")
	<-started
	stopping, abandon := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.s.Stop(stopping)
	}()
	for {
		if status, _ := b.do("GET", control.PathReady, ""); status == http.StatusServiceUnavailable {
			break
		}
	}
	b.ok(b.do("GET", control.PathLive, ""))
	b.ok(b.kinesis("ListStreams", "{}"))
	select {
	case <-stopped:
		t.Error("the stop did not wait for the function")
	default:
	}
	abandon()
	<-stopped
}

// A start that fails says why, and leaves neither a port nor a lock nor a file behind.
func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	taken := start(t, Config{Data: t.TempDir()})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(taken.s.Endpoint(), "http://"))
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		t.Fatal(err)
	}

	s, err := New(Config{Port: n})
	if err != nil {
		t.Fatal(err)
	}
	var inUse *PortInUse
	if err := s.Start(t.Context()); !errors.As(err, &inUse) || inUse.Port != n {
		t.Errorf("on a taken port: %v", err)
	}
	s.Stop(t.Context())

	if s, err = New(Config{Data: taken.s.cfg.Data}); err != nil {
		t.Fatal(err)
	}
	var data *DataError
	if err := s.Start(t.Context()); !errors.As(err, &data) || strings.Count(err.Error(), data.Dir) != 1 {
		t.Errorf("on a directory in use: %v", err)
	}
	s.closed(t)

	dir := t.TempDir()
	if s, err = New(Config{Data: dir, ReadyFile: filepath.Join(dir, "store", "LOCK", "ready.json")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "ready file") {
		t.Errorf("with a ready file that cannot be: %v", err)
	}
	if token, err := TokenFile(s.inner); err != nil {
		t.Error(err)
	} else if _, err := os.Stat(token); err == nil {
		t.Error("the token of the failed start is still there")
	}
	start(t, Config{Data: dir}) // its lock is free
}

// A configuration that cannot be is refused by the name and value of its field.
func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"port -1 is outside 0 to 65535":    {Port: -1},
		"port 65536 is outside 0 to 65535": {Port: 65536},
		"min-free -1 is negative":          {MinFree: -1},
		"memory-limit -1 is negative":      {MemoryLimit: -1},
		"buffer-memory -1 is negative":     {BufferMemory: -1},

		`pace "slow" is neither instant nor aws`:                                     {Pace: "slow"},
		`limits "some" is neither off nor aws`:                                       {Limits: "some"},
		`kinesis-cors "null" is no origin, such as http://localhost:3000, and not *`: {KinesisCORS: "null"},
		`kinesis-cors "http://a.b/path" is no origin, such as http://localhost:3000, and not *`: {
			KinesisCORS: "http://a.b/path",
		},
		"kinesis-cors http://a.b has no effect beyond loopback with auth off, where browsers are refused": {
			KinesisCORS: "http://a.b", Dev: true, AuthOff: true, Listen: []string{"0.0.0.0"},
		},
		"kinesis-cors * has no effect beyond loopback with auth off, where browsers are refused": {
			Dev: true, Listen: []string{"0.0.0.0"}, AuthOff: true, KinesisCORS: "*",
		},
		"shard-limit -1 is outside 1 to 1000000": {ShardLimit: -1},
	} {
		if _, err := New(cfg); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// An incomplete replay, or one of something that does not exist, is refused before anything runs.
func TestReplayIsChecked(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	for body, want := range map[string]int{
		"": 400, "x": 400, "{}": 400, `{"mapping":"m","shard":"s","from":"1"}`: 400,
		`{"mapping":"m","shard":"s","from":"1","to":"2","more":1}`: 400,
		`{"mapping":"m","shard":"s","from":"1","to":"2"}`:          404, strings.Repeat(" ", 5000) + "{}": 400,
	} {
		if status, answer := b.control("POST", control.PathReplay, body); status != want {
			t.Errorf("%.60q: %d %s", body, status, answer)
		}
	}
}

// Prepare runs when every API answers and the server is not ready yet, at the start and after a reset. If it fails,
// nothing is left running.
func TestPrepareRunsBeforeReady(t *testing.T) {
	t.Parallel()
	calls, fail := 0, error(nil)
	cfg := Config{Dev: true, Prepare: func(_ context.Context, endpoint string) error {
		calls++
		resp, err := http.Get(endpoint + control.PathReady)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("ready says %d", resp.StatusCode)
		}
		return fail
	}}
	b := start(t, cfg)
	b.ok(b.do("GET", control.PathReady, ""))
	b.ok(b.control("POST", control.PathReset, ""))
	if calls != 2 {
		t.Errorf("prepared %d times", calls)
	}

	fail = errors.New("cannot be prepared")
	if status, answer := b.control("POST", control.PathReset, ""); status != 500 ||
		!strings.Contains(answer, "cannot be prepared") {
		t.Errorf("answered %d %s", status, answer)
	}
	if err := <-b.s.Failed(); !errors.Is(err, fail) {
		t.Errorf("the server ended with %v", err)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); !errors.Is(err, fail) {
		t.Errorf("started with %v", err)
	}
	s.closed(t)
}
