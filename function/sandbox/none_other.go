//go:build !linux && !windows

package sandbox

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
)

// MemoryWatch says how memory limits are enforced, for status output: this system has no cheap reading, so the function
// learns its MemorySize, but it is not enforced.
const MemoryWatch = "off"

// TaskRoot and RuntimeRoot are where level sandbox shows code and runtime, on systems that have it.
const (
	TaskRoot    = "/var/task"
	RuntimeRoot = "/var/runtime"
)

type how struct{}

func (s *Sandbox) probe() (level, why string) {
	if s.opt.Isolation == None {
		return None, "it was asked for"
	}
	return None, "level sandbox needs Linux"
}

// UserID returns the user id of functions as the rest of the machine sees it.
func (s *Sandbox) UserID() int { return os.Geteuid() }

// SealDescriptors does nothing on this system.
func SealDescriptors() {}

// HideServer does nothing on this system.
func HideServer() {}

type spawning struct {
	spec   Spec
	result chan spawned
}

type spawned struct {
	process *Process
	err     error
}

// spawner starts processes. On this system processes do not die with their parent: after a kill -9 of the daemon,
// functions may live until their next /next.
func (s *Sandbox) spawner() {
	for {
		select {
		case r := <-s.spawn:
			p, err := start(r.spec)
			r.result <- spawned{p, err}
		case <-s.closing:
			return
		}
	}
}

func (s *Sandbox) start(spec Spec) (*Process, error) {
	r := spawning{spec: spec, result: make(chan spawned, 1)}
	select {
	case s.spawn <- r:
		answer := <-r.result
		return answer.process, answer.err
	case <-s.closing:
		return nil, ErrClosed
	}
}

type watch struct {
	mu     sync.Mutex
	reaped bool // Pid may belong to another process
}

func start(spec Spec) (*Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	proc, err := os.StartProcess(spec.Path, spec.Args, &os.ProcAttr{
		Dir: spec.Dir, Env: spec.Env, Files: []*os.File{null, spec.Output, spec.Output},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	p := &Process{Pid: proc.Pid, done: make(chan struct{})}
	go func() {
		state, err := proc.Wait()
		p.Kill() // the rest of the group; processes that left it are not found on this system
		p.watch.mu.Lock()
		p.watch.reaped = true
		p.watch.mu.Unlock()
		if err == nil {
			if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
				p.exit = Exit{Signal: ws.Signal()}
			} else {
				p.exit = Exit{Code: state.ExitCode()}
			}
		}
		close(p.done)
	}()
	return p, nil
}

// Kill ends the whole process group at once. It does not wait; Done does.
func (p *Process) Kill() { p.signal(syscall.SIGKILL) }

func (p *Process) signal(s syscall.Signal) {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	if !p.watch.reaped {
		_ = syscall.Kill(-p.Pid, s)
	}
}

var errNoPort = errors.New("sandbox: this system has no private networks")

// dialPrivate always fails on this system.
func (p *Process) dialPrivate(context.Context, uint16) (net.Conn, error) { return nil, errNoPort }

// Resident returns 0: it is unknown on this system.
func (p *Process) Resident() int64 { return 0 }

// Peak returns 0: it is unknown on this system.
func (p *Process) Peak() int64 { return 0 }

// Memory returns zeros: it is unknown on this system.
func Memory(ps []*Process) []int64 { return make([]int64, len(ps)) }
