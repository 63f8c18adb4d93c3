//go:build !windows

// Package sandbox starts the process of an execution environment, confines it, and makes sure that nothing of it
// outlives its end.
//
// There are two levels. At "sandbox" (on Linux, if a trial process shows that it works) a process sees what it would
// see on AWS: its code at /var/task, a /tmp of its own, the system's programs, and no other process; nothing of the
// server, of homes, of other functions. At "none" it has its own session, an environment that is not inherited, and
// resource limits: that protects against mistakes, not against attacks. On Linux, at both levels, what it starts ends
// with it. launcher decides what to start, function when. docs/isolation.md says what each level does not protect.
package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Levels of isolation.
const (
	None     = "none"
	Confined = "sandbox"
)

// Options configure a Sandbox.
type Options struct {
	Isolation      string   // None or Confined; "": Confined if it works
	PrivateNetwork bool     // at level sandbox: processes reach only Spec.Ports
	Hide           []string // files and directories that no process sees at level sandbox, wherever they are
}

// Spec is what to start.
type Spec struct {
	Path   string   // absolute, as the process sees it
	Args   []string // including argv[0]
	Env    []string // complete: nothing is inherited
	Dir    string   // working directory, as the process sees it
	Output *os.File // becomes stdout and stderr
	// MemoryMB decides the share of the processors after ShareCPU.
	MemoryMB int

	// What level sandbox shows; for "" it shows an empty directory.
	Code    string   // directory of this machine, at TaskRoot
	Runtime string   // directory of this machine, at RuntimeRoot
	Reads   []string // directories of this machine that are visible, read-only, under their own names
	// empty directory of this machine that stands for /tmp: with the same one, the next process sees the same files,
	// until it is removed
	Temp   string
	TempMB int      // size of /tmp in MB
	Ports  []uint16 // with Options.PrivateNetwork: ports of 127.0.0.1 that Process.Listeners serve, in this order
}

// Exit says how a process ended.
type Exit struct {
	Code   int            // if it ended by itself
	Signal syscall.Signal // if a signal ended it; else 0
}

// String returns Go's wording, which is also AWS's: "exit status 3", "signal: killed".
func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal: " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Clean reports exit status 0.
func (e Exit) Clean() bool { return e.Code == 0 && e.Signal == 0 }

// Process is a started process and everything that it starts. Safe for concurrent use.
type Process struct {
	Pid       int            // as seen by this process
	Listeners []net.Listener // for Spec.Ports; the caller closes them
	private   bool           // it has its own loopback
	watch     watch
	done      chan struct{}
	exit      Exit // valid once done is closed
}

// Done returns a channel that is closed once the process and, on Linux, everything it started have ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how it ended. Only valid after Done.
func (p *Process) Exit() Exit { return p.exit }

// Terminate asks the process group to end, and kills everything after grace. It returns when all have ended.
func (p *Process) Terminate(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(grace):
		p.Kill()
		<-p.done
	}
}

// Sandbox starts processes. Safe for concurrent use.
type Sandbox struct {
	opt      Options
	spawn    chan spawning
	closing  chan struct{}
	closed   sync.Once
	once     sync.Once
	spawners sync.WaitGroup
	cpu      *cpuShare // nil: processors are not shared out

	settle sync.Once // guards what follows
	level  string
	why    string
	how    how
}

// ErrClosed is returned by Start after Close.
var ErrClosed = errors.New("sandbox: closed")

// New returns a Sandbox. It costs nothing before its first use.
func New(opt Options) *Sandbox {
	return &Sandbox{opt: opt, spawn: make(chan spawning), closing: make(chan struct{})}
}

// Level returns the isolation that processes really have: Confined, or None and why. The first call takes about 15 ms,
// because it starts a trial process.
func (s *Sandbox) Level() (level, why string) {
	s.settle.Do(func() {
		s.once.Do(func() { s.spawners.Go(s.spawner) })
		s.level, s.why = s.probe()
	})
	return s.level, s.why
}

// Start starts a process. Errors of exec are *os.PathError values of the system, for example ENOEXEC.
func (s *Sandbox) Start(spec Spec) (p *Process, err error) {
	s.Level()
	err = s.retryBusy(func() (err error) {
		p, err = s.start(spec)
		return err
	})
	return p, err
}

// Close ends the spawning thread; on Linux that kills every process still alive. Twice is harmless.
func (s *Sandbox) Close() {
	s.closed.Do(func() { close(s.closing) })
	s.once.Do(func() {})
	s.spawners.Wait()
}

// retryBusy retries start while the executable is still open for writing (ETXTBSY). Another thread that forked while
// the file was being unpacked may hold a copy of the descriptor for a moment, until its own exec.
func (s *Sandbox) retryBusy(start func() error) error {
	wait := time.Millisecond
	for {
		err := start()
		if !errors.Is(err, syscall.ETXTBSY) || wait > 500*time.Millisecond {
			return err
		}
		select {
		case <-time.After(wait):
		case <-s.closing:
			return err
		}
		wait *= 2
	}
}
