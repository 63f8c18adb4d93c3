package sandbox

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The code below runs in a process that was forked but not executed: one thread, no Go runtime behind it. So it makes
// raw system calls on memory prepared before the fork, allocates nothing, grows no stack, and calls nothing that could.
// It builds what the environment sees, starts the runtime, and stays as its parent: it reaps what the runtime leaves
// behind, passes signals on, and reports how the runtime ended. In a PID namespace it is process 1, so that the
// runtime, which would then be deaf to SIGTERM, is not. A separate program would cost each environment 7 ms and 2 MB
// before its first system call.

// Descriptors of the parent. The runtime has the first three.
const (
	fdOutput  = 1
	fdErrors  = 2
	fdControl = 3
	fdFirst   = 4 // this and all later ones are closed
)

// Messages on the control socket, each a packet of one notice.
const (
	sayHello   = 'h' // the runtime, before it executes: the kernel attaches its process id
	sayStarted = 's' // the runtime runs
	sayFailed  = 'f' // a step of the start failed: stage, index, error number
	sayExit    = 'x' // the runtime ended, with the wait status
	saySockets = 'l' // with listening sockets attached
	sayDialled = 'd' // with a socket attached, or an error number

	askGo     = 'g' // start the runtime
	askSignal = 'k' // pass a signal to its process group
	askKill   = 'K' // end everything
	askDial   = 'd' // connect to a port of the environment's own loopback
)

// Stages of a start.
const (
	stageFork = iota
	stageView
	stageNetwork
	stageIdentity
	stageDir
	stageExec
)

// notice is one packet.
type notice struct {
	kind  uint8
	stage uint8
	index uint16
	value int32
}

const noticeSize = int(unsafe.Sizeof(notice{}))

// Kinds of op.
const (
	opMount    = iota // a on b as type c with flags and data d
	opAttr            // attributes flags of b, and of everything below it if deep is set
	opMkdir           // b
	opFile            // b, empty, to mount on
	opSymlink         // b, which points to a
	opEnter           // b becomes the root; the old one is gone
	opHostname        // a
	opWrite           // text a into the new file b
	opUnlink          // b
)

// op is one step of building what an environment sees.
type op struct {
	kind       uint8
	deep       bool
	optional   bool // a failure is ignored
	flags      uintptr
	a, b, c, d *byte // texts that end with a zero byte
	length     uintptr
}

// limit is a resource limit.
type limit struct {
	resource uintptr
	unix.Rlimit
}

// birth is everything that a new process needs, in the form of raw system calls.
type birth struct {
	flags    uintptr // of clone
	confined bool
	output   uintptr
	control  uintptr
	ops      []op
	drop     bool // to uid and gid
	uid, gid uintptr
	sockets  []unix.RawSockaddrInet4 // to listen on, in a network namespace
	limits   []limit
	dir      *byte
	path     *byte // nil: a trial, which ends instead of executing
	argv     **byte
	env      **byte

	attr    unix.MountAttr
	request [40]byte // ifreq
	caps    [2]unix.CapUserData
	header  unix.CapUserHeader
	message unix.Msghdr
	part    unix.Iovec
	rights  struct {
		unix.Cmsghdr
		fd int32
		_  int32
	}
	said   notice
	poll   [2]unix.PollFd
	sig    unix.SignalfdSiginfo
	action [4]uintptr
	text   [4096]byte
}

const allSignals = ^uint64(0)

// prepare fills in pointers, which cannot be stored later, because that involves the garbage collector.
func (b *birth) prepare() {
	b.part = unix.Iovec{Base: (*byte)(unsafe.Pointer(&b.said)), Len: uint64(noticeSize)}
	b.rights.Level, b.rights.Type, b.rights.Len = unix.SOL_SOCKET, unix.SCM_RIGHTS, uint64(unix.SizeofCmsghdr+4)
	b.message = unix.Msghdr{
		Iov: &b.part, Iovlen: 1, Control: (*byte)(unsafe.Pointer(&b.rights)),
		Controllen: uint64(unsafe.Sizeof(b.rights)),
	}
}

// fork forks the process. Signals are blocked meanwhile, so that none reaches the Go runtime's handlers in a copy
// without a Go runtime.
//
//go:norace
//go:nosplit
//go:noinline
func (b *birth) fork() (pid uintptr, errno syscall.Errno) {
	all, old := allSignals, uint64(0)
	syscall.RawSyscall6(
		unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0,
		0,
	)
	pid, _, errno = syscall.RawSyscall6(unix.SYS_CLONE, b.flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		b.live()
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
	return pid, errno
}

// live is the whole life of the environment's parent.
//
//go:norace
//go:nosplit
//go:noinline
func (b *birth) live() {
	b.descriptors()
	sys(unix.SYS_UMASK, 0o022, 0, 0)
	for i := range b.ops {
		if e := b.step(&b.ops[i]); e != 0 && !b.ops[i].optional {
			b.fail(stageView, i, e)
		}
	}
	if len(b.sockets) > 0 {
		b.network()
	}
	b.identity()
	if b.confined {
		sys(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	} else {
		sys(unix.SYS_PRCTL, unix.PR_SET_CHILD_SUBREAPER, 1, 0)
		sys(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGPWR), 0)
	}
	if sys(unix.SYS_READ, fdControl, uintptr(unsafe.Pointer(&b.said)), uintptr(noticeSize)) != uintptr(noticeSize) ||
		b.said.kind != askGo {
		exit(0) // the server has cancelled the start
	}
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		b.fail(stageFork, 0, errno)
	}
	if pid == 0 {
		b.execute()
	}
	b.say(sayStarted, 0, 0, 0) // it has executed or reported why not: vfork waits for either
	sys(unix.SYS_DUP3, 0, fdOutput, 0)
	sys(unix.SYS_DUP3, 0, fdErrors, 0)
	b.mind(pid)
}

// descriptors closes all descriptors but the runtime's and the control socket.
//
//go:norace
//go:nosplit
func (b *birth) descriptors() {
	sys(unix.SYS_DUP3, b.output, fdOutput, 0)
	sys(unix.SYS_DUP3, b.output, fdErrors, 0)
	sys(unix.SYS_DUP3, b.control, fdControl, unix.O_CLOEXEC)
	// older than Linux 5.9
	if _, _, e := syscall.RawSyscall6(unix.SYS_CLOSE_RANGE, fdFirst, ^uintptr(0)>>32, 0, 0, 0, 0); e != 0 {
		for fd := uintptr(fdFirst); fd < 4096; fd++ {
			sys(unix.SYS_CLOSE, fd, 0, 0)
		}
	}
}

// step carries out one op.
//
//go:norace
//go:nosplit
func (b *birth) step(o *op) (e syscall.Errno) {
	at := atCwd
	switch o.kind {
	case opMount:
		_, _, e = syscall.RawSyscall6(unix.SYS_MOUNT, text(o.a), text(o.b), text(o.c), o.flags, text(o.d), 0)
	case opAttr:
		b.attr = unix.MountAttr{Attr_set: uint64(o.flags)}
		deep := uintptr(0)
		if o.deep {
			deep = unix.AT_RECURSIVE
		}
		_, _, e = syscall.RawSyscall6(
			unix.SYS_MOUNT_SETATTR, at, text(o.b), deep, uintptr(unsafe.Pointer(&b.attr)), unsafe.Sizeof(b.attr), 0,
		)
	case opMkdir:
		if _, _, e = syscall.RawSyscall6(unix.SYS_MKDIRAT, at, text(o.b), 0o755, 0, 0, 0); e != unix.EEXIST {
			break
		}
		var fd uintptr
		if fd, _, e = syscall.RawSyscall6(
			unix.SYS_OPENAT, at, text(o.b), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0, 0, 0,
		); e == 0 {
			sys(unix.SYS_CLOSE, fd, 0, 0)
			break
		}
		// An earlier process has left a link or a file in its /tmp: following a link, we would make directories on the
		// machine with rights that it did not have.
		sys(unix.SYS_UNLINKAT, at, text(o.b), 0)
		_, _, e = syscall.RawSyscall6(unix.SYS_MKDIRAT, at, text(o.b), 0o755, 0, 0, 0)
	case opFile:
		// in /tmp it may exist and be anything: a link, a pipe without a reader
		sys(unix.SYS_UNLINKAT, at, text(o.b), 0)
		_, _, e = syscall.RawSyscall6(unix.SYS_MKNODAT, at, text(o.b), unix.S_IFREG|0o644, 0, 0, 0)
	case opSymlink:
		if _, _, e = syscall.RawSyscall6(unix.SYS_SYMLINKAT, text(o.a), at, text(o.b), 0, 0, 0); e == unix.EEXIST {
			e = 0
		}
	case opEnter:
		if _, _, e = syscall.RawSyscall6(unix.SYS_CHDIR, text(o.b), 0, 0, 0, 0, 0); e != 0 {
			return e
		}
		if _, _, e = syscall.RawSyscall6(unix.SYS_PIVOT_ROOT, text(&here[0]), text(&here[0]), 0, 0, 0, 0); e != 0 {
			return e
		}
		if _, _, e = syscall.RawSyscall6(unix.SYS_UMOUNT2, text(&here[0]), unix.MNT_DETACH, 0, 0, 0, 0); e != 0 {
			return e
		}
		_, _, e = syscall.RawSyscall6(unix.SYS_CHDIR, text(&slash[0]), 0, 0, 0, 0, 0)
	case opWrite:
		var fd uintptr
		if fd, _, e = syscall.RawSyscall6(
			unix.SYS_OPENAT, at, text(o.b), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644, 0, 0,
		); e == 0 {
			_, _, e = syscall.RawSyscall6(unix.SYS_WRITE, fd, text(o.a), o.length, 0, 0, 0)
			sys(unix.SYS_CLOSE, fd, 0, 0)
		}
	case opUnlink:
		_, _, e = syscall.RawSyscall6(unix.SYS_UNLINKAT, at, text(o.b), 0, 0, 0, 0)
	case opHostname:
		_, _, e = syscall.RawSyscall6(unix.SYS_SETHOSTNAME, text(o.a), o.length, 0, 0, 0, 0)
	}
	return e
}

// network brings loopback up and hands the sockets that the environment may reach to the server, which serves them:
// there is no other way out.
//
//go:norace
//go:nosplit
func (b *birth) network() {
	s, _, e := syscall.RawSyscall6(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, 0, 0, 0)
	if e != 0 {
		b.fail(stageNetwork, 0, e)
	}
	b.request = [40]byte{0: 'l', 1: 'o', 16: unix.IFF_UP | unix.IFF_RUNNING}
	if _, _, e = syscall.RawSyscall6(
		unix.SYS_IOCTL, s, unix.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&b.request)), 0, 0, 0,
	); e != 0 {
		b.fail(stageNetwork, 0, e)
	}
	sys(unix.SYS_CLOSE, s, 0, 0)
	for i := range b.sockets {
		if s, _, e = syscall.RawSyscall6(
			unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, 0, 0, 0,
		); e != 0 {
			b.fail(stageNetwork, i, e)
		}
		if _, _, e = syscall.RawSyscall6(
			unix.SYS_BIND, s, uintptr(unsafe.Pointer(&b.sockets[i])), unsafe.Sizeof(b.sockets[i]), 0, 0, 0,
		); e != 0 {
			b.fail(stageNetwork, i, e)
		}
		if _, _, e = syscall.RawSyscall6(unix.SYS_LISTEN, s, 128, 0, 0, 0, 0); e != 0 {
			b.fail(stageNetwork, i, e)
		}
		b.hand(saySockets, i, s)
		sys(unix.SYS_CLOSE, s, 0, 0)
	}
}

// identity drops what the processes must not have: another user's rights, every capability, and the means to get them
// back.
//
//go:norace
//go:nosplit
func (b *birth) identity() {
	if b.confined {
		// functions must not have the keys of the server's session
		sys(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0)
		for c := uintptr(0); c < 64; c++ {
			if _, _, e := syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0, 0, 0, 0); e != 0 {
				break // the kernel has no more capabilities
			}
		}
		if _, _, e := syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, secureBits, 0, 0, 0, 0); e != 0 {
			b.fail(stageIdentity, 0, e)
		}
		sys(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0)
		if b.drop {
			if _, _, e := syscall.RawSyscall6(unix.SYS_SETGROUPS, 0, 0, 0, 0, 0, 0); e != 0 {
				b.fail(stageIdentity, 1, e)
			}
			if _, _, e := syscall.RawSyscall6(unix.SYS_SETRESGID, b.gid, b.gid, b.gid, 0, 0, 0); e != 0 {
				b.fail(stageIdentity, 2, e)
			}
			if _, _, e := syscall.RawSyscall6(unix.SYS_SETRESUID, b.uid, b.uid, b.uid, 0, 0, 0); e != 0 {
				b.fail(stageIdentity, 3, e)
			}
		}
		b.header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		b.caps = [2]unix.CapUserData{}
		if _, _, e := syscall.RawSyscall6(
			unix.SYS_CAPSET, uintptr(unsafe.Pointer(&b.header)), uintptr(unsafe.Pointer(&b.caps)), 0, 0, 0, 0,
		); e != 0 {
			b.fail(stageIdentity, 4, e)
		}
		if _, _, e := syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); e != 0 {
			b.fail(stageIdentity, 5, e)
		}
	}
	// this memory is a copy of the spawner's, which has data of other environments
	sys(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0)
}

// execute executes the runtime.
//
//go:norace
//go:nosplit
//go:noinline
func (b *birth) execute() {
	sys(unix.SYS_SETSID, 0, 0, 0)
	sys(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0)
	for i := range b.limits {
		l := &b.limits[i]
		syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, l.resource, uintptr(unsafe.Pointer(&l.Rlimit)), 0, 0, 0)
	}
	if _, _, e := syscall.RawSyscall6(unix.SYS_CHDIR, text(b.dir), 0, 0, 0, 0, 0); e != 0 {
		b.fail(stageDir, 0, e)
	}
	b.action = [4]uintptr{}
	for s := uintptr(1); s <= 64; s++ { // functions do not ignore the signals that the server ignores
		syscall.RawSyscall6(unix.SYS_RT_SIGACTION, s, uintptr(unsafe.Pointer(&b.action)), 0, 8, 0, 0)
	}
	b.say(sayHello, 0, 0, 0)
	if b.path == nil {
		exit(0)
	}
	none := uint64(0)
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&none)), 0, 8, 0, 0)
	_, _, e := syscall.RawSyscall6(
		unix.SYS_EXECVE, text(b.path), uintptr(unsafe.Pointer(b.argv)), uintptr(unsafe.Pointer(b.env)), 0, 0, 0,
	)
	b.fail(stageExec, 0, e)
}

// say sends a notice.
//
//go:norace
//go:nosplit
func (b *birth) say(kind, stage uint8, index int, value int32) {
	b.said = notice{kind, stage, uint16(index), value}
	syscall.RawSyscall6(
		unix.SYS_SENDTO, fdControl, uintptr(unsafe.Pointer(&b.said)), uintptr(noticeSize), unix.MSG_NOSIGNAL, 0, 0,
	)
}

// hand sends a notice with descriptor fd.
//
//go:norace
//go:nosplit
func (b *birth) hand(kind uint8, index int, fd uintptr) {
	b.said = notice{kind, 0, uint16(index), 0}
	b.rights.fd = int32(fd)
	syscall.RawSyscall6(unix.SYS_SENDMSG, fdControl, uintptr(unsafe.Pointer(&b.message)), unix.MSG_NOSIGNAL, 0, 0, 0)
}

// fail reports why there will be no runtime, and exits.
//
//go:norace
//go:nosplit
func (b *birth) fail(stage uint8, index int, e syscall.Errno) {
	b.say(sayFailed, stage, index, int32(e))
	exit(127)
}

//go:norace
//go:nosplit
func exit(code uintptr) {
	for {
		syscall.RawSyscall6(unix.SYS_EXIT_GROUP, code, 0, 0, 0, 0, 0)
	}
}

// sys makes a system call whose failure does not matter.
//
//go:norace
//go:nosplit
func sys(number, a, b, c uintptr) uintptr {
	r, _, _ := syscall.RawSyscall6(number, a, b, c, 0, 0, 0)
	return r
}

//go:norace
//go:nosplit
func text(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }

const (
	atCwd = ^uintptr(99) // AT_FDCWD, -100
	// secureBits: user 0 has no special rights, and none of this can be changed (SECBIT_NOROOT, NO_SETUID_FIXUP,
	// KEEP_CAPS_LOCKED, NO_CAP_AMBIENT_RAISE and their locks).
	secureBits = 1 | 2 | 4 | 8 | 32 | 64 | 128
)

var (
	here         = [...]byte{'.', 0}
	slash        = [...]byte{'/', 0}
	childrenFile = [...]byte{
		'/', 'p', 'r', 'o', 'c', '/', 't', 'h', 'r', 'e', 'a', 'd', '-', 's', 'e', 'l', 'f', '/', 'c', 'h', 'i', 'l',
		'd', 'r', 'e', 'n', 0,
	}
)
