//go:build !windows

// Package sandbox starts the process of an execution environment, confines it, and makes sure that nothing of it outlives its end.
//
// There is one level so far, "none": an own session and process group, an environment that is not inherited, resource limits, death with the
// daemon, and a memory reading for the watchdog in function. It keeps mistakes apart, not enemies; Level says so wherever it is printed.
// What to start comes from launcher; when, from function.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Level names the isolation that functions really have, for status output.
const Level = "none"

// Spec is what to start.
type Spec struct {
	Path   string   // absolute
	Args   []string // with argv[0]
	Env    []string // complete: nothing is inherited
	Dir    string
	Output *os.File // becomes stdout and stderr
	// MemoryMB is what the share of the processors goes by after ShareCPU.
	MemoryMB int
	// Marker is an entry of Env that no other process has, as NAME=value. Processes that carry it are found and ended even when they left the group.
	Marker string
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

// Process is a started process and its group. Safe for concurrent use.
type Process struct {
	Pid    int
	marker string
	watch  watch
	done   chan struct{}
	exit   Exit // valid once done is closed

	mu     sync.Mutex
	reaped bool // Pid may belong to somebody else
}

// Done is closed when the process has ended, its group is killed, and the processes that had left the group are killed too.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how it ended. Only valid after Done.
func (p *Process) Exit() Exit { return p.exit }

// Kill ends the whole group at once. It does not wait; Done does.
func (p *Process) Kill() { p.signal(syscall.SIGKILL) }

func (p *Process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.Pid, s)
	}
}

// Terminate asks the group to end, and ends it when grace has passed. It returns when all is over.
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
	spawn    chan spawning
	closing  chan struct{}
	closed   sync.Once
	once     sync.Once
	spawners sync.WaitGroup
	cpu      *cpuShare // nil: processors are not shared out
}

type spawning struct {
	spec   Spec
	result chan spawned
}

type spawned struct {
	process *Process
	err     error
}

// ErrClosed answers Start after Close.
var ErrClosed = errors.New("sandbox: closed")

// New is a Sandbox. It costs nothing before its first Start.
func New() *Sandbox {
	return &Sandbox{spawn: make(chan spawning), closing: make(chan struct{})}
}

// Start starts a process. Errors of exec are *os.PathError-like values of the system, for example ENOEXEC.
func (s *Sandbox) Start(spec Spec) (*Process, error) {
	s.once.Do(func() { s.spawners.Go(s.spawner) })
	r := spawning{spec: spec, result: make(chan spawned, 1)}
	select {
	case s.spawn <- r:
		answer := <-r.result
		return answer.process, answer.err
	case <-s.closing:
		return nil, ErrClosed
	}
}

// Close ends the spawning thread; on Linux that kills every process still alive. Twice is harmless.
func (s *Sandbox) Close() {
	s.closed.Do(func() { close(s.closing) })
	s.once.Do(func() {})
	s.spawners.Wait()
}

// retryBusy starts again while the executable is still open for writing. Another thread that forked while the file was being unpacked may hold a copy
// of the descriptor for a moment, until its own exec (ETXTBSY).
func retryBusy(start func() error) error {
	wait := time.Millisecond
	for {
		err := start()
		if !errors.Is(err, syscall.ETXTBSY) || wait > 500*time.Millisecond {
			return err
		}
		time.Sleep(wait)
		wait *= 2
	}
}
