package sandbox_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function/sandbox"
)

// place is a Sandbox at one level, with what a test needs.
type place struct {
	t testing.TB
	*sandbox.Sandbox
	level string
}

// atEachLevel runs a test at each level that this machine has.
func atEachLevel(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	t.Parallel()
	for _, level := range []string{sandbox.None, sandbox.Confined} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			p, ok := at(t, sandbox.Options{Isolation: level})
			if ok {
				test(t, p)
			}
		})
	}
}

// at opens a Sandbox, unless the level is not available on this machine.
func at(t testing.TB, opt sandbox.Options) (place, bool) {
	t.Helper()
	s := sandbox.New(opt)
	t.Cleanup(s.Close)
	level, why := s.Level()
	if opt.Isolation == sandbox.Confined && level != sandbox.Confined {
		t.Log("this machine has no level sandbox:", why)
		return place{}, false
	}
	return place{t, s, level}, true
}

// run is a running script with its output.
type run struct {
	*sandbox.Process
	t   testing.TB
	out *os.File
}

// sh starts a shell script.
func (p place) sh(script string, change ...func(*sandbox.Spec)) run {
	p.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	defer w.Close()
	spec := sandbox.Spec{
		Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/", Output: w,
		TempMB: 8,
	}
	for _, c := range change {
		c(&spec)
	}
	proc, err := p.Start(spec)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { proc.Kill(); <-proc.Done(); r.Close() })
	return run{proc, p.t, r}
}

// output returns what was printed once everything that holds the output has ended.
func (r run) output() string {
	r.t.Helper()
	b, err := io.ReadAll(r.out)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// line waits for a line.
func (r run) line() string {
	r.t.Helper()
	var line []byte
	b := make([]byte, 1)
	for {
		if _, err := r.out.Read(b); err != nil {
			r.t.Fatalf("no line after %q: %v", line, err)
		}
		if b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

// Exits are reported in AWS's exact words.
func TestExitsAreToldInAWSsWords(t *testing.T) {
	atEachLevel(t, func(t *testing.T, p place) {
		for script, want := range map[string]string{
			"exit 0": "exit status 0", "exit 3": "exit status 3", "exit 127": "exit status 127",
			"exit 255":      "exit status 255",
			"kill -SEGV $$": "signal: segmentation fault", "kill -KILL $$": "signal: killed",
			"kill -TERM $$": "signal: terminated", "kill -ABRT $$": "signal: aborted",
			"sleep 600 & exit 4": "exit status 4",
		} {
			r := p.sh(script)

			<-r.Done()

			if got := r.Exit().String(); got != want || r.Exit().Clean() != (script == "exit 0") {
				t.Errorf("%s: %s", script, got)
			}
		}
	})
}

// Nothing of the server's environment is inherited, nothing is read from its terminal, and no signal is ignored just
// because the server ignores it.
func TestNothingIsInherited(t *testing.T) {
	t.Setenv("CANARY", "1")
	for _, level := range []string{sandbox.None, sandbox.Confined} {
		p, ok := at(t, sandbox.Options{Isolation: level})
		if !ok {
			continue
		}

		r := p.sh(`echo "canary=$CANARY own=$OWN"; read x || echo no input`, func(s *sandbox.Spec) {
			s.Env = []string{"OWN=2"}
		})

		if got := r.output(); got != "canary= own=2\nno input\n" {
			t.Errorf("%s: got %q", level, got)
		}
	}
}

// A runtime gets SIGTERM and may clean up; if it does not end, it is killed with everything that it has started.
func TestTerminationIsPoliteFirst(t *testing.T) {
	atEachLevel(t, func(t *testing.T, p place) {
		polite := p.sh(`trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done`)
		polite.line()
		polite.Terminate(10 * time.Second)
		if got := polite.output(); !strings.HasSuffix(got, "bye\n") || polite.Exit().Code != 7 {
			t.Errorf("polite: %q, %v", got, polite.Exit())
		}
		whole := p.sh(`(trap 'echo child; exit' TERM; echo up; while :; do sleep 0.01; done) & trap : TERM; wait; wait`)
		whole.line()
		whole.Terminate(10 * time.Second)
		if got := whole.output(); !strings.Contains(got, "child\n") {
			t.Errorf("a child of it: %q", got)
		}
		deaf := p.sh(`trap '' TERM; echo up; while :; do sleep 0.01; done`)
		deaf.line()

		deaf.Terminate(20 * time.Millisecond)

		if deaf.Exit().Signal != syscall.SIGKILL {
			t.Errorf("deaf: %v", deaf.Exit())
		}
		deaf.Kill() // after the end: nothing
	})
}

// If the system refuses to run a program, its error is returned; after Close nothing starts, and Close twice is
// harmless.
func TestRefusals(t *testing.T) {
	atEachLevel(t, func(t *testing.T, p place) {
		code := t.TempDir()
		if err := os.WriteFile(code+"/x", []byte("not a program"), 0o755); err != nil {
			t.Fatal(err)
		}
		spec := sandbox.Spec{
			Path: sandbox.TaskRoot + "/x", Args: []string{"x"}, Dir: "/", Output: os.Stderr, Code: code,
		}
		if p.level == sandbox.None {
			spec.Path = code + "/x"
		}
		if _, err := p.Start(spec); !errors.Is(err, syscall.ENOEXEC) {
			t.Errorf("no program: %v", err)
		}
		spec.Path += "y"
		if _, err := p.Start(spec); !errors.Is(err, syscall.ENOENT) {
			t.Errorf("nothing: %v", err)
		}
		p.Close()
		p.Close()

		if _, err := p.Start(spec); !errors.Is(err, sandbox.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
