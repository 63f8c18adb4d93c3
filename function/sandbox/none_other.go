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

// MemoryWatch says how memory limits are held, for status output: this system gives no cheap reading, so MemorySize is
// told to the function but not enforced.
const MemoryWatch = "off"

// TaskRoot and RuntimeRoot are where level sandbox shows things, on systems that have it.
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

// UserID is who functions are for the rest of the machine.
func (s *Sandbox) UserID() int { return os.Geteuid() }

// SealDescriptors does nothing here.
func SealDescriptors() {}

// HideServer does nothing here.
func HideServer() {}

type spawning struct {
	spec   Spec
	result chan spawned
}

type spawned struct {
	process *Process
	err     error
}

// spawner starts processes. There is no death with the parent here: after a kill -9 of the daemon, functions may live
// on until their next /next.
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
	reaped bool // Pid may belong to somebody else
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

// dialPrivate is not possible here.
func (p *Process) dialPrivate(context.Context, uint16) (net.Conn, error) { return nil, errNoPort }

// Resident is unknown here.
func (p *Process) Resident() int64 { return 0 }

// Peak is unknown here.
func (p *Process) Peak() int64 { return 0 }

// Memory is unknown here.
func Memory(ps []*Process) []int64 { return make([]int64, len(ps)) }
