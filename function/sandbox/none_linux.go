package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spawner owns the thread that forks. The kernel ties "death with the parent" to the thread that forked, so this one is locked to its goroutine and
// lives as long as the Sandbox; when it ends, it takes whatever is left with it.
func (s *Sandbox) spawner() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for {
		select {
		case r := <-s.spawn:
			p, err := start(r.spec, s.cpu)
			r.result <- spawned{p, err}
		case <-s.closing:
			return
		}
	}
}

func start(spec Spec, cpu *cpuShare) (*Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	var pid, pidfd int
	err = retryBusy(func() (err error) {
		pidfd = -1
		pid, _, err = syscall.StartProcess(spec.Path, spec.Args, &syscall.ProcAttr{
			Dir:   spec.Dir,
			Env:   spec.Env,
			Files: []uintptr{null.Fd(), spec.Output.Fd(), spec.Output.Fd()},
			Sys:   &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, PidFD: &pidfd},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	limit(pid)
	p := &Process{Pid: pid, marker: spec.Marker, done: make(chan struct{})}
	p.watch.remove, err = cpu.apply(p, spec.MemoryMB)
	p.await(pidfd)
	if err != nil {
		p.Kill()
		<-p.done
		return nil, fmt.Errorf("give a process its share of the processors: %w", err)
	}
	return p, nil
}

// limit applies the limits that AWS's environments show (open files 1024, no core dumps, 8 MiB stack, 64 KiB locked memory), where they are lower.
func limit(pid int) {
	for resource, most := range map[int]uint64{unix.RLIMIT_NOFILE: 1024, unix.RLIMIT_CORE: 0, unix.RLIMIT_STACK: 8 << 20, unix.RLIMIT_MEMLOCK: 64 << 10} {
		var now unix.Rlimit
		if unix.Prlimit(pid, resource, nil, &now) != nil {
			continue // the process is already gone
		}
		want := unix.Rlimit{Cur: min(now.Cur, most), Max: min(now.Max, most)}
		_ = unix.Prlimit(pid, resource, &want, nil)
	}
}

// watch is how the end of a process is noticed: through the poller by its pidfd, which costs no thread, or by a blocking wait on kernels without.
type watch struct {
	file   *os.File
	remove func() // its control group, if it has one
}

func (p *Process) await(pidfd int) {
	if pidfd >= 0 && unix.SetNonblock(pidfd, true) == nil {
		p.watch.file = os.NewFile(uintptr(pidfd), "pidfd")
		if rc, err := p.watch.file.SyscallConn(); err == nil {
			go func() {
				err := rc.Read(func(uintptr) bool { return p.ended(unix.WNOHANG) })
				_ = p.watch.file.Close()
				if err != nil {
					p.ended(0)
				}
				p.finish()
			}()
			return
		}
	}
	go func() {
		p.ended(0)
		p.finish()
	}()
}

// ended asks, or without WNOHANG waits, for the end, but leaves the zombie: while it is there, its group id cannot be given to somebody else.
func (p *Process) ended(flag int) bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.Pid, &info, unix.WEXITED|unix.WNOWAIT|flag, nil)
		switch err {
		case unix.EINTR:
			continue
		case nil:
			return info.Signo != 0
		default:
			return true
		}
	}
}

// finish kills what is left of the group, reaps the process, and hunts down those that left the group.
func (p *Process) finish() {
	p.Kill()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.Pid, &status, 0, nil)
		if err != unix.EINTR {
			break
		}
	}
	switch {
	case status.Signaled():
		p.exit = Exit{Signal: status.Signal()}
	default:
		p.exit = Exit{Code: status.ExitStatus()}
	}
	p.sweep()
	p.watch.remove()
	close(p.done)
}

// sweep kills every process that carries the marker in its environment. A child that forks while we look is found by the next pass.
func (p *Process) sweep() {
	if p.marker == "" {
		return
	}
	marker := append([]byte(p.marker), 0)
	for range 5 {
		found := false
		for pid := range pids() {
			env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
			if err == nil && bytes.Contains(env, marker) && unix.Kill(pid, unix.SIGKILL) == nil {
				found = true
			}
		}
		if !found {
			return
		}
		time.Sleep(5 * time.Millisecond) // let the kernel take them away; a killed process still shows its environment for a moment
	}
}
