package function_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/internal/ids"
	"github.com/shardmill/shardmill/storage/memory"
)

const (
	testAccount = "123456789012"
	testRegion  = "us-east-1"
	testRole    = "arn:aws:iam::123456789012:role/r"
)

// bench is a running Functions with its log, and the verbs that tests speak in.
type bench struct {
	*function.Functions
	t   testing.TB
	log *recorder
}

func start(t testing.TB, change ...func(*function.Options)) *bench {
	t.Helper()
	log := &recorder{wake: make(chan struct{})}
	opt := function.Options{
		Store: memory.New(memory.Options{}), Dir: t.TempDir(), Sink: log, Python: realPython(), TailWait: time.Minute,
	}
	if self, err := os.Executable(); err == nil { // which is a runtime, too
		opt.Show = []string{self}
	}
	for _, c := range change {
		c(&opt)
	}
	f, err := function.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.Stop(ctx)
	})
	return &bench{f, t, log}
}

// unconfined is for tests that meet their function in a directory, and that are not about what a function sees.
func unconfined(o *function.Options) { o.Isolation = "none" }

// realPython is the interpreter behind python3 on PATH, found once: shims of version managers are slow, and launcher's
// tests look after them.
var realPython = sync.OnceValue(func() string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return "python3"
	}
	return strings.TrimSpace(string(out))
})

func ref(name string) function.Ref {
	return function.Ref{Account: testAccount, Region: testRegion, Name: name}
}

// create makes a function and waits until it is no longer Pending.
func (b *bench) create(name string, in function.CreateInput) *function.Configuration {
	b.t.Helper()
	in.Name, in.Caller = name, function.Caller{Account: testAccount, Region: testRegion}
	if in.Role == "" {
		in.Role = testRole
	}
	if _, err := b.Create(b.t.Context(), in); err != nil {
		b.t.Fatalf("create %s: %v", name, err)
	}
	return b.settled(name)
}

// settled waits for the end of a transition.
func (b *bench) settled(name string) *function.Configuration {
	b.t.Helper()
	for {
		changed := b.Changed(ref(name))
		c, ok := b.Lookup(ref(name))
		if !ok {
			b.t.Fatalf("%s does not exist", name)
		}
		if c.State != function.Pending && c.UpdateStatus != function.InProgress {
			return c
		}
		eventually.Comes(b.t, fmt.Sprintf("a change of %s from %s/%s", name, c.State, c.UpdateStatus), changed)
	}
}

// python makes a function from the text of its module, index.handler, with three seconds and 256 MB.
func (b *bench) python(name, source string, change ...func(*function.CreateInput)) *function.Configuration {
	b.t.Helper()
	in := function.CreateInput{
		Runtime: "python3.12", Handler: "index.handler", Zip: zipOf(file{"index.py", dedent(source), 0o644}),
		MemoryMB: number(256), Timeout: number(10),
	}
	for _, c := range change {
		c(&in)
	}
	return b.create(name, in)
}

// untilGo is a function in Python whose event is a directory: it makes the files started and started<request id> there,
// and runs until there is a file go.
const untilGo = `
	import os, time
	def handler(event, context):
	    for name in "/started" + context.aws_request_id, "/started":
	        open(event + name, "w").close()
	    while not os.path.exists(event + "/go"):
	        time.sleep(0.005)
`

// nodejs makes a function from the text of index.js, index.handler, with ten seconds and 256 MB.
func (b *bench) nodejs(name, source string, change ...func(*function.CreateInput)) *function.Configuration {
	b.t.Helper()
	in := function.CreateInput{
		Runtime: "nodejs20.x", Handler: "index.handler", Zip: zipOf(file{"index.js", dedent(source), 0o644}),
		MemoryMB: number(256), Timeout: number(10),
	}
	for _, c := range change {
		c(&in)
	}
	return b.create(name, in)
}

// provided makes a function whose bootstrap is this test binary in the role given.
func (b *bench) provided(name, role string, change ...func(*function.CreateInput)) *function.Configuration {
	b.t.Helper()
	in := function.CreateInput{
		Runtime: "provided.al2023", Handler: "bootstrap",
		Zip: zipOf(file{"bootstrap", bootstrapScript(b.t, role), 0o755}), Timeout: number(10),
	}
	for _, c := range change {
		c(&in)
	}
	return b.create(name, in)
}

// bootstrapScript re-executes this test binary as a Lambda runtime.
func bootstrapScript(t testing.TB, role string) string {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return "#!/bin/sh\nexport SHARDMILL_TEST_BOOTSTRAP=" + role + "\nexec '" + self + "'\n"
}

func (b *bench) invoke(name, payload string, change ...func(*function.Invocation)) function.Result {
	inv := function.Invocation{Ref: ref(name), RequestID: ids.New(), Payload: []byte(payload)}
	for _, c := range change {
		c(&inv)
	}
	return b.Invoke(b.t.Context(), inv)
}

func tail(i *function.Invocation) { i.Tail = true }

// want checks class and payload.
func want(t testing.TB, r function.Result, class function.Class, payload string) {
	t.Helper()
	if r.Class != class || string(r.Payload) != payload {
		t.Fatalf("got %v %s (%s: %s)\nwant %v %s", r.Class, r.Payload, r.Reason, r.Detail, class, payload)
	}
}

type file struct {
	name, body string
	mode       os.FileMode
}

func zipOf(files ...file) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		h.SetMode(f.mode)
		out, err := w.CreateHeader(h)
		if err != nil {
			panic(err)
		}
		if _, err := out.Write([]byte(f.body)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func number(n int) *int { return &n }

// dedent takes the indentation of the first line off every line.
func dedent(s string) string {
	s = strings.TrimLeft(s, "\n")
	indent := s[:len(s)-len(strings.TrimLeft(s, "\t "))]
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], indent)
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\t\n ") + "\n"
}

// recorder is a LogSink that remembers.
type recorder struct {
	mu     sync.Mutex
	events []logged
	wake   chan struct{}
}

type logged struct{ group, stream, message string }

func (r *recorder) Write(_ function.Ref, group, stream string, events []function.LogEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		r.events = append(r.events, logged{group, stream, e.Message})
	}
	close(r.wake)
	r.wake = make(chan struct{})
}

// find waits for an event that holds text.
func (r *recorder) find(t testing.TB, text string) logged {
	t.Helper()
	for {
		r.mu.Lock()
		wake := r.wake
		for _, e := range r.events {
			if strings.Contains(e.message, text) {
				r.mu.Unlock()
				return e
			}
		}
		r.mu.Unlock()
		eventually.Comes(t, fmt.Sprintf("a log event with %q after %q", text, r.all()), wake)
	}
}

func (r *recorder) all() []logged {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]logged(nil), r.events...)
}
