package sandbox

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The code below runs in the same process as that of birth_linux.go, once the runtime has been started, and under the
// same rules: raw system calls on memory prepared before the fork.

// mind is the parent's work while the runtime, process pid, lives, and afterwards.
//
//go:norace
//go:nosplit
func (b *birth) mind(pid uintptr) {
	all := allSignals
	fd, _, e := syscall.RawSyscall6(
		unix.SYS_SIGNALFD4, ^uintptr(0), uintptr(unsafe.Pointer(&all)), 8, unix.SFD_NONBLOCK|unix.SFD_CLOEXEC, 0, 0,
	)
	if e != 0 {
		b.fail(stageFork, 1, e)
	}
	ended := false
	for !ended {
		b.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		b.poll[1] = unix.PollFd{Fd: fdControl, Events: unix.POLLIN}
		syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&b.poll)), 2, 0, 0, 0, 0)
		for sys(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b.sig)), unsafe.Sizeof(b.sig)) == unsafe.Sizeof(b.sig) {
			switch syscall.Signal(b.sig.Signo) {
			case unix.SIGCHLD:
			case unix.SIGPWR: // the spawner has ended
				b.killAll(pid)
			default:
				sys(unix.SYS_KILL, -pid, uintptr(b.sig.Signo), 0)
			}
		}
		if b.poll[1].Revents != 0 {
			b.obey(pid)
		}
		ended = b.reap(pid)
	}
	b.killAll(0)
	for range 500 { // five seconds; processes that the kernel has not released by then are left to it
		if b.orphans() {
			break
		}
	}
	exit(0)
}

// obey carries out the server's requests; when the server is gone, everything ends.
//
//go:norace
//go:nosplit
func (b *birth) obey(pid uintptr) {
	if sys(unix.SYS_READ, fdControl, uintptr(unsafe.Pointer(&b.said)), uintptr(noticeSize)) != uintptr(noticeSize) {
		b.killAll(pid)
		b.poll[1].Revents = 0
		// no more requests will come; only wait for the end
		sys(unix.SYS_DUP3, 0, fdControl, unix.O_CLOEXEC)
		return
	}
	switch b.said.kind {
	case askSignal:
		sys(unix.SYS_KILL, -pid, uintptr(b.said.value), 0)
	case askKill:
		b.killAll(pid)
	case askDial:
		b.dial(uint16(b.said.value))
	}
}

// dial connects to a port inside the environment. Loopback answers at once or never.
//
//go:norace
//go:nosplit
func (b *birth) dial(port uint16) {
	s, _, e := syscall.RawSyscall6(
		unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0, 0, 0,
	)
	if e != 0 {
		b.say(sayDialled, 0, 0, int32(e))
		return
	}
	to := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port>>8 | port<<8, Addr: [4]byte{127, 0, 0, 1}}
	_, _, e = syscall.RawSyscall6(unix.SYS_CONNECT, s, uintptr(unsafe.Pointer(&to)), unsafe.Sizeof(to), 0, 0, 0)
	if e != 0 && e != unix.EINPROGRESS {
		b.say(sayDialled, 0, 0, int32(e))
	} else {
		b.hand(sayDialled, 0, s)
	}
	sys(unix.SYS_CLOSE, s, 0, 0)
}

// reap reaps ended processes, and reports whether the runtime, process pid, is among them; then the server has been
// told how it ended.
//
//go:norace
//go:nosplit
func (b *birth) reap(pid uintptr) (ended bool) {
	b.sig.Signo = 0
	syscall.RawSyscall6(
		unix.SYS_WAITID, unix.P_PID, pid, uintptr(unsafe.Pointer(&b.sig)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, 0, 0,
	)
	if b.sig.Signo != 0 {
		b.killAll(pid) // while it is a zombie, no other process can have the number of its group
	}
	for {
		var status int32
		got, _, e := syscall.RawSyscall6(
			unix.SYS_WAIT4, ^uintptr(0), uintptr(unsafe.Pointer(&status)), unix.WNOHANG, 0, 0, 0,
		)
		if e != 0 || got == 0 {
			return ended
		}
		if got == pid {
			ended = true
			b.say(sayExit, 0, 0, status)
		}
	}
}

// killAll ends everything that runs in this environment: in a PID namespace all but its first process, else the process
// group pid, unless it is 0, and the children of this process. What those leave behind becomes our child, and is ended
// then.
//
//go:norace
//go:nosplit
func (b *birth) killAll(pid uintptr) {
	if b.confined {
		sys(unix.SYS_KILL, ^uintptr(0), uintptr(unix.SIGKILL), 0)
		return
	}
	if pid != 0 {
		sys(unix.SYS_KILL, -pid, uintptr(unix.SIGKILL), 0)
	}
	fd, _, e := syscall.RawSyscall6(
		unix.SYS_OPENAT, atCwd, text(&childrenFile[0]), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0,
	)
	if e != 0 {
		return
	}
	child := uintptr(0)
	for {
		n := sys(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&b.text)), unsafe.Sizeof(b.text))
		if n == 0 || n > unsafe.Sizeof(b.text) {
			break
		}
		for i := uintptr(0); i < n; i++ {
			if c := b.text[i]; c >= '0' && c <= '9' {
				child = child*10 + uintptr(c-'0')
			} else if child != 0 {
				sys(unix.SYS_KILL, child, uintptr(unix.SIGKILL), 0)
				child = 0
			}
		}
	}
	sys(unix.SYS_CLOSE, fd, 0, 0)
}

// orphans waits up to 10 ms for processes that the runtime has left behind, and reports whether all have ended.
//
//go:norace
//go:nosplit
func (b *birth) orphans() (none bool) {
	for {
		got, _, e := syscall.RawSyscall6(unix.SYS_WAIT4, ^uintptr(0), 0, unix.WNOHANG, 0, 0, 0)
		if e == unix.ECHILD {
			return true
		}
		if e != 0 || got == 0 {
			break
		}
	}
	b.killAll(0)
	rest := unix.Timespec{Nsec: 10e6}
	child := uint64(1) << (unix.SIGCHLD - 1)
	syscall.RawSyscall6(
		unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&child)), 0, uintptr(unsafe.Pointer(&rest)), 8, 0, 0,
	)
	return false
}
