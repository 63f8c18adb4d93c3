package sandbox_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function/sandbox"
)

// spawn starts a shell script and answers what it printed once everything that holds its output has ended.
func spawn(t *testing.T, s *sandbox.Sandbox, script string, env ...string) (*sandbox.Process, func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	marker := ""
	if len(env) > 0 {
		marker = env[0]
	}
	p, err := s.Start(sandbox.Spec{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: env, Dir: t.TempDir(), Output: w, Marker: marker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done(); r.Close() })
	return p, func() string {
		var b strings.Builder
		buf := make([]byte, 1024)
		for {
			n, err := r.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				return b.String()
			}
		}
	}
}

// Exits are told in the words that AWS uses.
func TestExitsAreToldInAWSsWords(t *testing.T) {
	t.Parallel()
	s := sandbox.New()
	defer s.Close()
	for script, want := range map[string]string{"exit 0": "exit status 0", "exit 127": "exit status 127", "kill -SEGV $$": "signal: segmentation fault", "kill -KILL $$": "signal: killed"} {
		p, _ := spawn(t, s, script)

		<-p.Done()

		if got := p.Exit().String(); got != want || p.Exit().Clean() != (script == "exit 0") {
			t.Errorf("%s: %s", script, got)
		}
	}
}

// Nothing of the daemon's environment is inherited, nothing is read from its terminal.
func TestNothingIsInherited(t *testing.T) {
	t.Setenv("CANARY", "1")
	s := sandbox.New()
	defer s.Close()

	_, output := spawn(t, s, `echo "canary=$CANARY own=$OWN"; read x || echo no input`, "OWN=2")

	if got := output(); got != "canary= own=2\nno input\n" {
		t.Errorf("got %q", got)
	}
}

// F-56: when the process is gone its children are gone, those that ignore SIGTERM and those in sessions of their own included.
func TestChildrenDoNotOutliveTheProcess(t *testing.T) {
	t.Parallel()
	s := sandbox.New()
	defer s.Close()
	up := t.TempDir() + "/up"
	p, output := spawn(t, s, `trap '' TERM
		sh -c 'trap "" TERM; sleep 600' &
		if command -v setsid >/dev/null; then setsid sh -c 'trap "" TERM; : >"$UP"; sleep 600' & else : >"$UP"; fi
		sleep 600`,
		"MARK=4711-"+t.Name(), "UP="+up, "PATH=/usr/bin:/bin")
	for _, err := os.Stat(up); err != nil; _, err = os.Stat(up) { // the traps are set
		<-time.After(time.Millisecond)
	}
	begun := time.Now()

	p.Terminate(50 * time.Millisecond)

	if sandbox.MemoryWatch != "off" { // where processes can be found
		_ = output() // ends when the last holder of the pipe is gone
	}
	if took := time.Since(begun); took > 5*time.Second || p.Exit().Signal != syscall.SIGKILL {
		t.Errorf("took %v, %v", took, p.Exit())
	}
	p.Kill() // after the end: nothing
}

// Memory of children counts for the session.
func TestSessionMemoryCountsChildren(t *testing.T) {
	t.Parallel()
	if sandbox.MemoryWatch == "off" {
		t.Log("no memory reading on this system")
		return
	}
	s := sandbox.New()
	defer s.Close()
	p, _ := spawn(t, s, `sleep 600 & sleep 600`)
	alone := p.Resident()

	for sandbox.SessionMemory([]*sandbox.Process{p})[0] <= 0 || p.Peak() <= 0 {
		<-time.After(time.Millisecond)
	}

	if alone < 0 {
		t.Errorf("resident %d", alone)
	}
}

// What the system refuses to run is told as the system tells it; after Close nothing starts, and Close twice is harmless.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := sandbox.New()
	path := t.TempDir() + "/x"
	if err := os.WriteFile(path, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	spec := sandbox.Spec{Path: path, Args: []string{path}, Dir: "/", Output: os.Stderr}
	if _, err := s.Start(spec); !errors.Is(err, syscall.ENOEXEC) {
		t.Errorf("no program: %v", err)
	}
	s.Close()
	s.Close()

	if _, err := s.Start(spec); !errors.Is(err, sandbox.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
