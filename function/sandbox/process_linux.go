package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch is the server's hold on a process: the control socket of its parent, which closes when the parent ends.
type watch struct {
	parent  int // process id
	control *os.File
	raw     syscall.RawConn
	remove  func() // its control group, if it has one
	insist  sync.Once
	dial    chan struct{} // capacity 1: held by the call that dials
	dialled chan dialled  // the answer to that call
}

type dialled struct {
	fd  int
	err error
}

// spawned is the spawner's answer.
type spawned struct {
	pid int
	err error
}

// spawning is a request to the spawner.
type spawning struct {
	request         []byte
	output, control int
	result          chan spawned
}

// spawnerChild is the spawner process as the server sees it.
type spawnerChild struct{ pid, socket int }

// spawner owns the thread that starts the spawner process. The kernel ties "death with the parent" to the thread that
// forked, so this one is locked to its goroutine and lives as long as the Sandbox; when it ends, the spawner ends with
// it, and with that everything left.
func (s *Sandbox) spawner() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	var child *spawnerChild
	defer func() { child.end() }()
	mode := ""
	for {
		select {
		case r := <-s.spawn:
			var answer spawned
			for range 2 { // the spawner may have been killed; the processes it had started for us have ended with it
				if s.how.mode != mode || child == nil {
					child.end()
					mode = s.how.mode
					if child, answer.err = startSpawner(mode); answer.err != nil {
						break
					}
				}
				answer.pid, answer.err = child.ask(r)
				var gone *spawnerGone
				if !errors.As(answer.err, &gone) {
					break
				}
				child.end()
				child = nil
			}
			r.result <- answer
		case <-s.closing:
			return
		}
	}
}

// spawnerGone is the error of a spawner that does not answer.
type spawnerGone struct{ err error }

func (g *spawnerGone) Error() string {
	return fmt.Sprintf("the process that starts functions has ended: %v", g.err)
}

// At level none functions of this user can stop the spawner and the parents of processes; one that does not answer
// within these times is killed.
const (
	startBound = 30 * time.Second
	killBound  = time.Second
)

// ids of processes inside a user namespace, the same as on AWS.
const (
	sandboxUser  = 993
	sandboxGroup = 990
)

// capabilities that a spawner without root holds in its user namespace: CAP_SETPCAP, CAP_NET_BIND_SERVICE,
// CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_SYS_RESOURCE.
var capabilities = []uintptr{8, 10, 12, 21, 24}

func startSpawner(mode string) (*spawnerChild, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("start the process that starts functions: %w", err)
	}
	defer unix.Close(pair[1])
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, err
	}
	defer null.Close()
	errors := uintptr(2)
	if _, err := unix.FcntlInt(2, unix.F_GETFD, 0); err != nil {
		errors = null.Fd()
	}
	_ = unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 2*maxRequest)
	bound := unix.NsecToTimeval(int64(startBound))
	_ = unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &bound)
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	switch mode {
	case modeDrop:
		attr.Cloneflags = unix.CLONE_NEWNS
	case modeUserns:
		attr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: sandboxUser, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: sandboxGroup, HostID: os.Getegid(), Size: 1}}
		attr.AmbientCaps = capabilities
	}
	pid, _, err := syscall.StartProcess("/proc/self/exe", []string{spawnerName, mode}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"GOMAXPROCS=1"}, Files: []uintptr{null.Fd(), null.Fd(), errors, uintptr(pair[1])},
		Sys: attr,
	})
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, fmt.Errorf("start the process that starts functions: %w", err)
	}
	c := &spawnerChild{pid, pair[0]}
	if _, err := c.answer(); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

// end kills the spawner and waits for it. c may be nil.
func (c *spawnerChild) end() {
	if c == nil {
		return
	}
	_ = unix.Close(c.socket)
	_ = unix.Kill(c.pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(c.pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

func (c *spawnerChild) ask(r spawning) (pid int, err error) {
	for {
		err = unix.Sendmsg(c.socket, r.request, unix.UnixRights(r.output, r.control), nil, unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			break
		}
	}
	if errors.Is(err, unix.EMSGSIZE) || errors.Is(err, unix.ENOBUFS) {
		return 0, errLong
	}
	if err != nil {
		return 0, &spawnerGone{err}
	}
	return c.answer()
}

func (c *spawnerChild) answer() (pid int, err error) {
	b := make([]byte, 1024)
	for {
		n, err := unix.Read(c.socket, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, &spawnerGone{err}
		case n < 8:
			return 0, &spawnerGone{errors.New("no answer")}
		}
		pid, number := *(*int32)(unsafe.Pointer(&b[0])), *(*int32)(unsafe.Pointer(&b[4]))
		if number != 0 {
			if text, _, said := bytes.Cut(b[8:], []byte{0}); said && n > 8 {
				return 0, errors.New(string(text))
			}
			return 0, fmt.Errorf("make a process: %w", syscall.Errno(number))
		}
		return int(pid), nil
	}
}

// start starts a process in the way that probe found.
func (s *Sandbox) start(spec Spec) (*Process, error) {
	how := s.how
	r := request{uid: how.uid, gid: how.gid, dir: spec.Dir, path: spec.Path, args: spec.Args, env: spec.Env}
	if how.mode != modeNone {
		r.flags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		r.steps = newView(&spec, s.opt.Hide, how.insideUID(), how.insideGID())
		if spec.Temp != "" {
			r.temp = tempDir{
				spec.Temp,
				fmt.Sprintf(
					"mode=700,uid=%d,gid=%d,size=%dm,nr_inodes=%d", how.insideUID(), how.insideGID(), spec.TempMB,
					spec.TempMB<<8,
				),
			}
		}
		if s.opt.PrivateNetwork {
			r.flags |= unix.CLONE_NEWNET
			r.ports = spec.Ports
		}
		if how.mode == modeDrop {
			handOver(spec.Output, how)
		}
	}
	raw, err := r.encode()
	if err != nil {
		return nil, err
	}
	p := &Process{
		done: make(chan struct{}), private: r.flags&unix.CLONE_NEWNET != 0,
		watch: watch{remove: func() {}, dial: make(chan struct{}, 1), dialled: make(chan dialled, 1)},
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.SetNonblock(pair[0], true), unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_PASSCRED, 1),
	)
	p.watch.control = os.NewFile(uintptr(pair[0]), "control")
	if err == nil {
		p.watch.raw, err = p.watch.control.SyscallConn()
	}
	if err == nil {
		p.watch.parent, err = s.ask(spawning{raw, int(spec.Output.Fd()), pair[1], make(chan spawned, 1)})
	}
	_ = unix.Close(pair[1])
	if err == nil {
		err = p.await(s.cpu, &spec, &r)
	}
	if err != nil {
		_ = p.watch.control.Close() // which ends everything that was started
		for _, l := range p.Listeners {
			_ = l.Close()
		}
		p.watch.remove()
		return nil, err
	}
	go p.follow()
	s.cpu.nice(p, spec.MemoryMB)
	return p, nil
}

// handOver makes the writing user the owner of a pipe, because it could not open /dev/stdout otherwise. Anything else
// keeps its owner.
func handOver(output *os.File, how how) {
	if info, err := output.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		_ = output.Chown(how.uid, how.gid)
	}
}

func (s *Sandbox) ask(r spawning) (pid int, err error) {
	select {
	case s.spawn <- r:
		answer := <-r.result
		return answer.pid, answer.err
	case <-s.closing:
		return 0, ErrClosed
	}
}

// await waits until a start has succeeded or failed.
func (p *Process) await(cpu *cpuShare, spec *Spec, r *request) (err error) {
	if p.watch.remove, err = cpu.enter(p.watch.parent, spec.MemoryMB); err != nil {
		return fmt.Errorf("give a process its share of the processors: %w", err)
	}
	if err := p.send(notice{kind: askGo}); err != nil {
		return err
	}
	_ = p.watch.control.SetReadDeadline(time.Now().Add(startBound))
	defer func() { _ = p.watch.control.SetReadDeadline(time.Time{}) }()
	for {
		n, fd, pid, err := p.receive()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = unix.Kill(p.watch.parent, unix.SIGKILL)
		}
		if err != nil {
			return fmt.Errorf("start %s: its parent has ended: %w", spec.Path, err)
		}
		switch n.kind {
		case sayHello:
			p.Pid = pid
		case saySockets:
			l, err := listener(fd)
			if err != nil {
				return err
			}
			p.Listeners = append(p.Listeners, l)
		case sayFailed:
			return r.failed(spec, n)
		case sayStarted:
			return nil
		}
	}
}

// failed returns the error of a start in which a step failed.
func (r *request) failed(spec *Spec, n notice) error {
	e := syscall.Errno(n.value)
	switch n.stage {
	case stageExec:
		return &os.PathError{Op: "fork/exec", Path: spec.Path, Err: e}
	case stageDir:
		return &os.PathError{Op: "chdir", Path: spec.Dir, Err: e}
	case stageView:
		s := r.steps[n.index]
		return &stepError{fmt.Sprintf("%s %s", [...]string{
			"mount", "protect", "make", "make", "link", "enter", "name", "write", "remove",
		}[s.kind],
			strings.TrimPrefix(strings.TrimSpace(s.a+" "+s.b), " ")), e}
	case stageNetwork:
		return &stepError{"open the network", e}
	case stageIdentity:
		return &stepError{"give up rights", e}
	}
	return &stepError{"make a process", e}
}

// stepError says why an environment could not be built. It hides the system's error, which is about this machine and
// not about the program.
type stepError struct {
	what string
	err  syscall.Errno
}

func (e *stepError) Error() string { return "sandbox: " + e.what + ": " + e.err.Error() }

func listener(fd int) (net.Listener, error) {
	if fd < 0 {
		return nil, errors.New("sandbox: no socket came")
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	return net.FileListener(f)
}

func (p *Process) send(n notice) (err error) {
	e := p.watch.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), (*[noticeSize]byte)(unsafe.Pointer(&n))[:], unix.MSG_NOSIGNAL, nil)
		return !errors.Is(err, unix.EAGAIN)
	})
	if e != nil {
		return e
	}
	return err
}

// receive waits for a notice. fd is the descriptor sent with it, or -1; pid is the process that sent it.
func (p *Process) receive() (n notice, fd, pid int, err error) {
	oob := make([]byte, 128)
	var size, oobSize int
	for {
		e := p.watch.raw.Read(func(c uintptr) bool {
			size, oobSize, _, _, err = unix.Recvmsg(
				int(c), (*[noticeSize]byte)(unsafe.Pointer(&n))[:], oob, unix.MSG_CMSG_CLOEXEC,
			)
			return !errors.Is(err, unix.EAGAIN)
		})
		if e != nil {
			err = e
		}
		// the peer did not read something that we sent; what it sent before is still to come
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNRESET) {
			continue
		}
		break
	}
	if err == nil && size != noticeSize {
		err = errEnded
	}
	if err != nil {
		return notice{}, -1, 0, err
	}
	fd = -1
	messages, _ := unix.ParseSocketControlMessage(oob[:oobSize])
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			pid = int(cred.Pid)
		} else if fds, err := unix.ParseUnixRights(&messages[i]); err == nil && len(fds) > 0 {
			fd = fds[0]
		}
	}
	return n, fd, pid, nil
}

var errEnded = errors.New("the other end is closed")

// follow reads the parent's notices until it has ended; then nothing of the environment is left.
func (p *Process) follow() {
	exit := Exit{Signal: syscall.SIGKILL} // if the parent was killed before it could report
	for {
		n, fd, _, err := p.receive()
		if err != nil {
			break
		}
		switch n.kind {
		case sayExit:
			exit = exitOf(unix.WaitStatus(uint32(n.value)))
		case sayDialled:
			d := dialled{fd: fd}
			if fd < 0 {
				d.err = syscall.Errno(n.value)
			}
			p.watch.dialled <- d
		}
	}
	p.exit = exit
	p.watch.remove()
	close(p.done)
	_ = p.watch.control.Close()
}

func exitOf(status unix.WaitStatus) Exit {
	if status.Signaled() {
		return Exit{Signal: status.Signal()}
	}
	return Exit{Code: status.ExitStatus()}
}

// dialPrivate connects to a port of the process's own loopback.
func (p *Process) dialPrivate(ctx context.Context, port uint16) (net.Conn, error) {
	select {
	case p.watch.dial <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, errEnded
	}
	if err := p.send(notice{kind: askDial, value: int32(port)}); err != nil {
		<-p.watch.dial
		return nil, err
	}
	select {
	case d := <-p.watch.dialled:
		<-p.watch.dial
		return d.conn()
	case <-ctx.Done():
		go func() { // the answer must not go to the next call
			p.forget()
			<-p.watch.dial
		}()
		return nil, ctx.Err()
	case <-p.done:
		p.forget()
		<-p.watch.dial
		return nil, errEnded
	}
}

// forget receives and drops an answer that no call waits for any more.
func (p *Process) forget() {
	select {
	case d := <-p.watch.dialled:
		_ = unix.Close(d.fd)
	case <-p.done:
		select {
		case d := <-p.watch.dialled:
			_ = unix.Close(d.fd)
		default:
		}
	}
}

func (d dialled) conn() (net.Conn, error) {
	if d.err != nil {
		return nil, d.err
	}
	f := os.NewFile(uintptr(d.fd), "loopback")
	defer f.Close()
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLOUT}}, 1000) // loopback answers at once
	if e, err := unix.GetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && e != 0 {
		return nil, syscall.Errno(e)
	}
	return net.FileConn(f)
}

// Kill ends everything that runs in the environment at once. It does not wait: use Done.
func (p *Process) Kill() {
	p.watch.insist.Do(func() { go p.insist() })
	_ = p.send(notice{kind: askKill})
}

// insist kills a parent that does not obey, because a function has stopped it. The kernel or the spawner ends what it
// leaves behind.
func (p *Process) insist() {
	select {
	case <-p.done:
	case <-time.After(killBound):
		_ = unix.Kill(p.watch.parent, unix.SIGKILL)
	}
}

// signal sends a signal to the process group.
func (p *Process) signal(s syscall.Signal) { _ = p.send(notice{kind: askSignal, value: int32(s)}) }
