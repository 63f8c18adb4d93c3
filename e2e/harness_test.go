package e2e_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/eventually"
)

const patience = eventually.Patience

// workshop is where binaries are built, once per test run.
var workshop struct {
	dir   string
	mu    sync.Mutex
	built map[string]func() error
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "shardmill-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	workshop.dir, workshop.built = dir, map[string]func() error{}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// build compiles a package of this module and returns the binary's path. The first caller builds, others wait. It goes
// without the -trimpath of make build, so that what was compiled for the tests is used again.
func build(t *testing.T, name, pkg string, flags ...string) string {
	t.Helper()
	path := filepath.Join(workshop.dir, name)
	workshop.mu.Lock()
	once := workshop.built[name]
	if once == nil {
		once = sync.OnceValue(func() error {
			cmd := exec.Command(
				"go", append(append([]string{"build", "-ldflags=-s -w", "-o", path}, flags...), pkg)...,
			)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
			}
			return nil
		})
		workshop.built[name] = once
	}
	workshop.mu.Unlock()
	if err := once(); err != nil {
		t.Fatal(err)
	}
	return path
}

func shardmill(t *testing.T) string {
	t.Helper()
	return build(t, "shardmill", "../cmd/shardmill")
}

// home is a place of its own for everything that a process leaves behind.
type home struct{ dir string }

func newHome(t *testing.T) home {
	t.Helper()
	h := home{t.TempDir()}
	for _, name := range []string{"home", "run", "tmp", "work"} {
		if err := os.Mkdir(h.path(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func (h home) path(name string) string { return filepath.Join(h.dir, name) }

// environ returns all that a process sees: nothing of this machine's AWS settings or of the user's home.
func (h home) environ(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.path("home"), "XDG_RUNTIME_DIR=" + h.path("run"),
		"TMPDIR=" + h.path("tmp"), "NO_COLOR=1",
		"AWS_EC2_METADATA_DISABLED=true",
	}, more...)
}

// output is what a process has printed so far. Safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a shardmill that runs, or has ended.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{} // closed when it has ended and its output is complete
}

// launch starts a process of its own group. When the test ends, the group is killed; when the test has failed, what the
// process said is shown.
func launch(t *testing.T, h home, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = h.path("work"), h.environ(env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 5 * time.Second // a grandchild that holds the pipes does not keep us
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the state is in cmd.ProcessState
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf(
				"%s %s\nstdout:\n%s\nstderr:\n%s", filepath.Base(name), strings.Join(args, " "),
				tail(p.stdout.String()), tail(p.stderr.String()),
			)
		}
	})
	return p
}

// tail keeps the end of a long text.
func tail(s string) string {
	if len(s) > 4000 {
		return "…" + s[len(s)-4000:]
	}
	return s
}

// kill ends the whole group without warning and waits for it.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-p.ended
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", s, err)
	}
}

// wait returns the exit code; -1 when a signal ended it.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	eventually.Comes(t, "the end of the process", p.ended)
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// server is a shardmill that answers.
type server struct {
	*process
	home     home
	Endpoint string `json:"endpoint"`
	Token    string `json:"token"`
	PID      int    `json:"pid"`
	Version  string `json:"version"`

	keys []string // the key of clients, as an environment; nil: an account and any secret
}

// start runs "shardmill dev" or "shardmill serve" on a free port and waits until it answers.
func start(t *testing.T, h home, args ...string) *server {
	t.Helper()
	return startBinary(t, h, shardmill(t), nil, args...)
}

func startBinary(t *testing.T, h home, binary string, env []string, args ...string) *server {
	t.Helper()
	ready := h.path("ready.json")
	_ = os.Remove(ready) // of a server that was killed
	s := &server{home: h}
	s.process = launch(t, h, env, binary, append(args, "--port", "0", "--ready-file", ready, "--min-free", "64MiB")...)
	eventually.Reaches(t, "the ready file", func() (bool, string) {
		if !s.running() {
			t.Fatalf("the server ended with %s:\n%s", s.cmd.ProcessState, s.stderr.String())
		}
		b, err := os.ReadFile(ready)
		if err != nil {
			return false, err.Error()
		}
		if err := json.Unmarshal(b, s); err != nil {
			t.Fatalf("the ready file is written by rename, and yet it holds %q", b)
		}
		return true, ""
	})
	return s
}

// answer is an HTTP answer, read to its end.
type answer struct {
	status int
	header http.Header
	proto  string
	body   string
}

// message returns the member "message" of a JSON body, or "Message".
func (a answer) message(t *testing.T) string {
	t.Helper()
	var m struct{ Message string }
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		t.Fatalf("the answer %d is not JSON: %q", a.status, a.body)
	}
	return m.Message
}

// send makes one HTTP request. A header Host replaces the address's.
func send(t *testing.T, client *http.Client, method, url, body string, header map[string]string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, resp.Proto, string(b)}
}

// control calls the control API with the token of this start.
func (s *server) control(t *testing.T, method, path, body string) answer {
	t.Helper()
	return send(t, http.DefaultClient, method, s.Endpoint+"/_shardmill/"+path, body, map[string]string{
		"Authorization": "Bearer " + s.Token,
	})
}

// advance moves the clock.
func (s *server) advance(t *testing.T, d time.Duration) {
	t.Helper()
	if a := s.control(t, "POST", "clock", fmt.Sprintf(`{"advanceMillis":%d}`, d.Milliseconds())); a.status != 200 {
		t.Fatalf("moving the clock by %s: %d %s", d, a.status, a.body)
	}
}

// aws returns the environment that points AWS's clients at the server.
func (s *server) aws() []string {
	keys := s.keys
	if keys == nil {
		keys = []string{"AWS_ACCESS_KEY_ID=000000000000", "AWS_SECRET_ACCESS_KEY=any"}
	}
	return append([]string{
		"AWS_ENDPOINT_URL=" + s.Endpoint, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
	}, keys...)
}

// command runs a program to its end, in the server's home, pointed at the server.
func (s *server) command(t *testing.T, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = s.home.path("work")
	cmd.Env = s.home.environ(append(s.aws(), "AWS_PAGER=", "PYTHONDONTWRITEBYTECODE=1")...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// zipped packs files, all of them executable, as a user would who deploys them.
func zipped(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range files {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Unix(1e9, 0)}
		h.SetMode(0o755)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
