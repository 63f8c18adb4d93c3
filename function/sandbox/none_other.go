//go:build !linux && !windows

package sandbox

import (
	"os"
	"syscall"
)

// MemoryWatch says how memory limits are held, for status output: this system gives no cheap reading, so MemorySize is told to the function but not enforced.
const MemoryWatch = "off"

// spawner starts processes. There is no death with the parent here: after a kill -9 of the daemon, functions may live on until their next /next.
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

type watch struct{}

func start(spec Spec) (*Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	var proc *os.Process
	err = retryBusy(func() (err error) {
		proc, err = os.StartProcess(spec.Path, spec.Args, &os.ProcAttr{
			Dir: spec.Dir, Env: spec.Env, Files: []*os.File{null, spec.Output, spec.Output},
			Sys: &syscall.SysProcAttr{Setsid: true},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	p := &Process{Pid: proc.Pid, marker: spec.Marker, done: make(chan struct{})}
	go func() {
		state, err := proc.Wait()
		p.Kill() // the rest of the group; processes that left it are not found on this system
		p.mu.Lock()
		p.reaped = true
		p.mu.Unlock()
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

// Resident is unknown here.
func (p *Process) Resident() int64 { return 0 }

// Peak is unknown here.
func (p *Process) Peak() int64 { return 0 }

// SessionMemory is unknown here.
func SessionMemory(ps []*Process) []int64 { return make([]int64, len(ps)) }
