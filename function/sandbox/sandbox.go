//go:build !windows

// Package sandbox starts the process of an execution environment, confines it, and makes sure that nothing of it
// outlives its end.
//
// There are two levels. In "sandbox" (Linux, where a trial process shows that it works) a process sees what AWS shows:
// its code at /var/task, a /tmp of its own, the system's programs, and no other process; nothing of the server, of
// homes, of other functions. In "none" it has an own session, an environment that is not inherited, and resource
// limits: that keeps mistakes apart, not enemies. In both what it starts ends with it, on Linux. What to start comes
// from launcher; when, from function. docs/isolation.md says what is left at each level.
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
	Isolation      string   // None or Confined; "": Confined where it works
	PrivateNetwork bool     // in level sandbox: processes reach Spec.Ports and nothing else
	Hide           []string // files and directories that no process sees in level sandbox, wherever they lie
}

// Spec is what to start.
type Spec struct {
	Path   string   // absolute, as the process sees it
	Args   []string // with argv[0]
	Env    []string // complete: nothing is inherited
	Dir    string   // where it starts, as it sees it
	Output *os.File // becomes stdout and stderr
	// MemoryMB is what the share of the processors goes by after ShareCPU.
	MemoryMB int

	// What level sandbox shows; "" shows an empty directory.
	Code    string   // directory of this machine, at TaskRoot
	Runtime string   // directory of this machine, at RuntimeRoot
	Reads   []string // directories of this machine that show, read-only, under their own names
	// empty directory of this machine that stands for /tmp: the same one shows the same files to the next process,
	// until it is removed
	Temp   string
	TempMB int      // how much /tmp holds
	Ports  []uint16 // with Options.PrivateNetwork: ports of 127.0.0.1 that Process.Listeners answer, in this order
}

// Exit says how a process ended.
type Exit struct {
	Code   int            // when it ended by itself
	Signal syscall.Signal // when a signal ended it; else 0
}

// String is Go's and thereby AWS's wording: "exit status 3", "signal: killed".
func (e Exit) String() string {
	if e.Signal != 0 {
		return "signal: " + e.Signal.String()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Clean reports exit status 0.
func (e Exit) Clean() bool { return e.Code == 0 && e.Signal == 0 }

// Process is a started process and all that it starts. Safe for concurrent use.
type Process struct {
	Pid       int            // as this process sees it
	Listeners []net.Listener // for Spec.Ports; the caller closes them
	private   bool           // it has a loopback of its own
	watch     watch
	done      chan struct{}
	exit      Exit // valid once done is closed
}

// Done is closed when the process has ended and, on Linux, everything that it started has ended too.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how it ended. Only valid after Done.
func (p *Process) Exit() Exit { return p.exit }

// Terminate asks the process group to end, and ends everything when grace has passed. It returns when all is over.
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

// ErrClosed answers Start after Close.
var ErrClosed = errors.New("sandbox: closed")

// New returns a Sandbox. It costs nothing before it is first asked for something.
func New(opt Options) *Sandbox {
	return &Sandbox{opt: opt, spawn: make(chan spawning), closing: make(chan struct{})}
}

// Level returns the isolation that processes really have: Confined, or None and why it is not more. The first call
// takes some 15 ms, since it starts a trial process.
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

// retryBusy starts again while the executable is still open for writing. Another thread that forked while the file was
// being unpacked may hold a copy of the descriptor for a moment, until its own exec (ETXTBSY).
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
