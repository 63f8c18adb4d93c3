package launchertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/function/runtimeapi"
	"github.com/shardmill/shardmill/internal/eventually"
)

// What the code of a Package does about an event: the member do is echo, and the answer is the event; fail, and it
// raises an error Boom with the message "as asked"; or environ, and the answer is a list of what its environment holds,
// each as NAME=value.
const (
	echo    = `{"do":"echo","n":1}`
	fail    = `{"do":"fail"}`
	environ = `{"do":"environ"}`
)

// process is a runtime that runs, with its Runtime API.
type process struct {
	*runtimeapi.Server
	b      *bench
	given  map[string]string
	ready  chan struct{}
	answer chan runtimeapi.Answer
	init   chan runtimeapi.Answer // an error in the init phase
	ended  chan struct{}
	output bytes.Buffer
}

func (p *process) Ready()                             { p.ready <- struct{}{} }
func (p *process) Answered(a runtimeapi.Answer)       { p.answer <- a }
func (p *process) Registered(string, []string)        {}
func (p *process) Subscribed(runtimeapi.Subscription) {}
func (p *process) ExtensionFailed(string)             {}
func (p *process) InitFailed(kind, _ string, body []byte) {
	p.init <- runtimeapi.Answer{Kind: kind, Payload: body}
}

// start carries out the plan. The process has ended when the test ends.
func (b *bench) start() *process { return b.startAt(func(addr string) string { return addr }) }

// startAt does so for a process that finds the Runtime API at another address than its own.
func (b *bench) startAt(other func(addr string) string) *process {
	b.t.Helper()
	plan := b.plan()
	p := &process{
		b: b, ready: make(chan struct{}, 100), answer: make(chan runtimeapi.Answer, 100),
		init: make(chan runtimeapi.Answer, 100), ended: make(chan struct{}),
	}
	var err error
	p.Server, err = runtimeapi.Listen(
		p, runtimeapi.Function{Name: "f", Version: "$LATEST", Handler: b.Handler}, os.Getuid(),
	)
	b.must(err)
	b.must(os.MkdirAll(b.req.Cache, 0o755))
	p.given = maps.Clone(plan.Env)
	maps.Copy(p.given, b.req.Environment)
	maps.Copy(p.given, map[string]string{
		"_HANDLER": b.Handler, "AWS_LAMBDA_RUNTIME_API": other(p.Addr()), launcher.DirectVariable: p.Addr(),
		"LAMBDA_TASK_ROOT":   b.req.TaskRoot,
		"LAMBDA_RUNTIME_DIR": plan.RuntimeDir, "AWS_LAMBDA_FUNCTION_NAME": "f",
		"AWS_LAMBDA_FUNCTION_VERSION":     "$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256", "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
		"AWS_REGION": "us-east-1", "TZ": ":UTC", "HOME": b.req.Cache, "LANG": "C.UTF-8",
	})
	cmd := &exec.Cmd{Path: plan.Path, Args: plan.Args, Dir: b.req.TaskRoot, Stdout: &p.output, Stderr: &p.output}
	cmd.Env = entries(p.given)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	b.must(cmd.Start())
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how it ended is the test's affair
	}()
	b.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		<-p.ended
		p.Close()
		if b.t.Failed() {
			b.t.Logf("%s printed: %s", b.Runtime, p.output.String())
		}
	})
	return p
}

// invoke sends an event to a runtime that waits for one, and returns its answer once it waits again.
func (p *process) invoke(id, event string) runtimeapi.Answer {
	p.b.t.Helper()
	p.b.must(p.Send(&runtimeapi.Event{
		ID: id, ARN: "arn:aws:lambda:us-east-1:000000000000:function:f", Deadline: time.Now().Add(time.Minute),
		Payload: []byte(event),
	}))
	a := eventually.Comes(p.b.t, "an answer to "+event, p.answer)
	if a.ID != id {
		p.b.t.Errorf("the answer to %s is for %s", id, a.ID)
	}
	eventually.Comes(p.b.t, "the question for the next event", p.ready)
	return a
}

func speaks(b *bench) {
	if b.Fake {
		return
	}
	p := b.start()
	eventually.Comes(b.t, "the question for the first event", p.ready)
	for _, id := range []string{"one", "two", "three"} { // one process for all
		if a := p.invoke(id, echo); a.Failed || !sameJSON(string(a.Payload), echo) {
			b.t.Errorf("the answer is %+v: %s", a, a.Payload)
		}
		a := p.invoke(id+"-fails", fail)
		var document struct{ ErrorType, ErrorMessage string }
		if err := json.Unmarshal(a.Payload, &document); err != nil || !a.Failed ||
			document.ErrorType != "Boom" || document.ErrorMessage != "as asked" {
			b.t.Errorf("the answer to an error is %+v: %s", a, a.Payload)
		}
	}
}

// proxied has a wrapper's proxy in between: it need not know what our bootstraps and our Runtime API have agreed on,
// and it writes headers in its own way, in lower case and without a blank behind the colon.
func proxied(b *bench) {
	if b.Fake {
		return
	}
	var mu sync.Mutex
	var heard bytes.Buffer
	p := b.startAt(func(addr string) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		b.must(err)
		b.t.Cleanup(func() { _ = ln.Close() })
		go func() {
			for {
				in, err := ln.Accept()
				if err != nil {
					return
				}
				out, err := net.Dial("tcp", addr)
				if err != nil {
					_ = in.Close()
					continue
				}
				go func() {
					_ = relay(in, out) // its end is that of a connection
					_ = in.Close()
				}()
				go func() {
					_, _ = io.Copy(out, io.TeeReader(in, locked{&mu, &heard}))
					_ = out.Close()
				}()
			}
		}()
		return ln.Addr().String()
	})
	eventually.Comes(b.t, "the question for the first event", p.ready)
	for _, id := range []string{"one", "two"} {
		if a := p.invoke(id, echo); a.Failed || !sameJSON(string(a.Payload), echo) {
			b.t.Errorf("the answer is %+v: %s", a, a.Payload)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if heard.Len() == 0 || strings.Contains(strings.ToLower(heard.String()), "shardmill") {
		b.t.Errorf("the proxy hears %q", heard.String())
	}
}

// relay copies responses until the last one, with the names of headers in lower case.
func relay(to io.Writer, from io.Reader) error {
	responses := bufio.NewReader(from)
	for {
		resp, err := http.ReadResponse(responses, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it is read, or the connection is of no use
		if err != nil {
			return err
		}
		text := []byte("HTTP/1.1 " + resp.Status + "\r\n")
		for name, values := range resp.Header {
			for _, value := range values {
				text = append(text, strings.ToLower(name)+":"+value+"\r\n"...)
			}
		}
		if _, err := to.Write(append(append(text, "\r\n"...), body...)); err != nil {
			return err
		}
	}
}

type locked struct {
	mu *sync.Mutex
	io.Writer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Writer.Write(p)
}

func sameJSON(a, b string) bool {
	var x, y bytes.Buffer
	return json.Compact(&x, []byte(a)) == nil && json.Compact(&y, []byte(b)) == nil && x.String() == y.String()
}

func seesItsEnvironment(b *bench) {
	if b.Fake {
		return
	}
	p := b.start()
	eventually.Comes(b.t, "the question for the first event", p.ready)
	a := p.invoke("one", environ)
	var seen []string
	if err := json.Unmarshal(a.Payload, &seen); err != nil {
		b.t.Fatalf("%v: %s", err, a.Payload)
	}
	for k, v := range p.given {
		if k != launcher.ClockVariable && !slices.Contains(seen, k+"="+v) && !strings.HasPrefix(k, "SHARDMILL_") {
			b.t.Errorf("%s=%s is given, and not seen in %q", k, v, seen)
		}
	}
	for _, s := range seen {
		if strings.Contains(s, canary) {
			b.t.Errorf("the code sees %s", s)
		}
	}
}

// A package that cannot be loaded says so as the error of its init phase, or of the first invocation, and says it in
// the language's own words.
func breaks(b *bench) {
	if b.Fake || b.Broken == nil {
		return
	}
	for name := range b.Package {
		b.must(os.Remove(filepath.Join(b.req.Code, name)))
	}
	b.pack(b.req.Code, b.Broken)
	p := b.start()
	a := eventually.Comes(b.t, "the error of the init phase", p.init)
	var document struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(a.Payload, &document); err != nil || document.ErrorType == "" ||
		!strings.Contains(document.ErrorMessage, "broken on purpose") {
		b.t.Errorf("the error of the init phase is %q: %s", a.Kind, a.Payload)
	}
	eventually.Comes(b.t, "the end of the process", p.ended)
}
