package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spawnerName is argv[0] of the spawner: this program, executed once more to do nothing but fork processes. A fork
// copies the parent's mappings, so a fork of the server would copy all its memory for each environment; the spawner is
// small and stays small.
const spawnerName = "shardmill-spawner"

// Arguments of the spawner: how it and its processes are confined.
const (
	modeNone   = "none"
	modeDrop   = "drop"    // for root: a mount namespace; processes switch from root to another user
	modeUserns = "userns"  // for any user: a mount namespace in a user namespace
	fdRequests = 3         // descriptor of the socket for requests
	maxRequest = 192 << 10 // bytes of a request; the environment of a function has 4 KB at most, arguments a few
)

func init() {
	if len(os.Args) > 1 && os.Args[0] == spawnerName {
		runtime.LockOSThread() // the main thread: when it ends, the processes forked from it end too
		err := (&spawner{mode: os.Args[1], sockets: map[int]int{}}).run()
		if err != nil {
			fmt.Fprintln(os.Stderr, spawnerName+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// spawner is the state of that process.
type spawner struct {
	mode   string
	limits []limit

	mu sync.Mutex // held while a process is forked, so that its end is not handled before
	// by process id: a copy of its control socket; when the last copy closes, the server takes the process for ended
	sockets map[int]int
}

// run carries out requests until the server has ended.
func (s *spawner) run() error {
	err := s.enter()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if _, e := unix.Write(fdRequests, append(append(reply(0, err), text...), 0)); e != nil || err != nil {
		return e
	}
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, unix.SIGCHLD)
	go func() {
		for range ends {
			s.reap()
		}
	}()
	buf, rights := make([]byte, maxRequest), make([]byte, unix.CmsgSpace(2*4))
	for {
		n, rn, _, _, err := unix.Recvmsg(fdRequests, buf, rights, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n == 0:
			return nil // the server has ended
		}
		pid, err := s.serve(buf[:n], rights[:rn])
		if _, err := unix.Write(fdRequests, reply(pid, err)); err != nil {
			return nil
		}
	}
}

// reply returns an encoded process id and error number, four bytes each.
func reply(pid int, err error) []byte {
	number := int32(0)
	if err != nil {
		number = int32(unix.EIO)
		var e syscall.Errno
		if errors.As(err, &e) {
			number = int32(e)
		}
	}
	b := make([]byte, 8)
	*(*int32)(unsafe.Pointer(&b[0])), *(*int32)(unsafe.Pointer(&b[4])) = int32(pid), number
	return b
}

// enter prepares what all environments have in common.
func (s *spawner) enter() error {
	for _, l := range []struct {
		resource int
		most     uint64
	}{
		{unix.RLIMIT_NOFILE, 1024},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_STACK, 8 << 20},
		{unix.RLIMIT_MEMLOCK, 64 << 10},
	} {
		var now unix.Rlimit
		if unix.Getrlimit(l.resource, &now) == nil {
			s.limits = append(s.limits, limit{
				uintptr(l.resource), unix.Rlimit{Cur: min(now.Cur, l.most), Max: min(now.Max, l.most)},
			})
		}
	}
	if s.mode == modeNone {
		// to adopt what an environment's parent leaves behind if it is killed
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
		return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // its memory holds the keys of environments
	}
	// Mounts and unmounts on the machine show here too; mounts made here show nowhere else.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("part with the mounts of the machine: %w", err)
	}
	if s.mode == modeUserns {
		// functions do not need namespaces of their own
		_ = os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0)
	}
	return nil
}

// serve carries out one request. rights holds the output and the control socket of the new process.
func (s *spawner) serve(request, rights []byte) (pid int, err error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return 0, unix.EBADMSG
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, unix.EBADMSG
	}
	defer func() {
		for i, fd := range fds {
			if i != 1 || err != nil {
				_ = unix.Close(fd)
			}
		}
	}()
	if len(fds) != 2 {
		return 0, unix.EBADMSG
	}
	b := &birth{
		output: uintptr(fds[0]), control: uintptr(fds[1]), limits: s.limits, confined: s.mode != modeNone,
		drop: s.mode == modeDrop,
	}
	temp, err := b.decode(request)
	if err != nil {
		return 0, err
	}
	if err := temp.mount(); err != nil {
		return 0, err
	}
	b.prepare()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, errno := b.fork()
	runtime.KeepAlive(request)
	runtime.KeepAlive(b)
	if errno != 0 {
		return 0, errno
	}
	s.sockets[int(p)] = fds[1]
	return int(p), nil
}

// reap reaps ended processes. At level none, processes left behind by a parent that was killed early become our
// children, and are ended.
func (s *spawner) reap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			break
		}
		if fd, ok := s.sockets[pid]; ok {
			_ = unix.Close(fd)
			delete(s.sockets, pid)
		}
	}
	if s.mode != modeNone {
		return
	}
	b, _ := os.ReadFile("/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/children")
	for _, field := range bytes.Fields(b) {
		if pid, err := strconv.Atoi(string(field)); err == nil && s.sockets[pid] == 0 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// tempDir is an environment's /tmp. It is mounted where only the spawner sees it, so that it outlives the processes
// that use it; removing the directory under the mount removes the mount.
type tempDir struct{ dir, options string }

func (s tempDir) mount() error {
	if s.dir == "" {
		return nil
	}
	var at, above unix.Stat_t
	if err := unix.Stat(s.dir, &at); err != nil {
		return err
	}
	if err := unix.Stat(s.dir+"/..", &above); err != nil {
		return err
	}
	if at.Dev != above.Dev {
		return nil // it is already mounted
	}
	return unix.Mount("tmpfs", s.dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, s.options)
}

// request is a request to the spawner. Its fields are sent as texts that end with a zero byte, the form that system
// calls take.
type request struct {
	flags    uintptr
	uid, gid int
	temp     tempDir
	dir      string
	path     string // "": a trial
	args     []string
	env      []string
	ports    []uint16 // to listen on
	steps    []step
}

// step is an op in a request.
type step struct {
	kind       uint8
	deep       bool
	optional   bool
	flags      uintptr
	a, b, c, d string
}

var errLong = errors.New("sandbox: the environment and the arguments of a process are too long")

func (r *request) encode() ([]byte, error) {
	var b []byte
	texts := func(ts ...string) {
		for _, t := range ts {
			b = append(append(b, t...), 0)
		}
	}
	number := func(n int) { texts(strconv.Itoa(n)) }
	number(int(r.flags))
	number(r.uid)
	number(r.gid)
	texts(r.temp.dir, r.temp.options, r.dir, r.path)
	number(len(r.args))
	texts(r.args...)
	number(len(r.env))
	texts(r.env...)
	number(len(r.ports))
	for _, p := range r.ports {
		number(int(p))
	}
	number(len(r.steps))
	for _, s := range r.steps {
		number(int(s.kind))
		texts(strconv.FormatBool(s.deep), strconv.FormatBool(s.optional))
		number(int(s.flags))
		texts(s.a, s.b, s.c, s.d)
	}
	if bytes.Count(b, []byte{0}) != r.count() {
		return nil, unix.EINVAL // a text contains a zero byte
	}
	if len(b) > maxRequest {
		return nil, errLong
	}
	return b, nil
}

// count returns how many texts encode writes.
func (r *request) count() int { return 11 + len(r.args) + len(r.env) + len(r.ports) + 8*len(r.steps) }

// decode decodes a request in place: its pointers point into raw, which stays untouched until the fork.
func (b *birth) decode(raw []byte) (tempDir, error) {
	bad := false
	next := func() []byte {
		end := bytes.IndexByte(raw, 0)
		if end < 0 {
			bad = true
			return []byte{0}
		}
		t := raw[:end+1]
		raw = raw[end+1:]
		return t
	}
	word := func() string { return string(bytes.TrimSuffix(next(), []byte{0})) }
	number := func() int {
		n, err := strconv.Atoi(word())
		bad = bad || err != nil || n < 0
		return n
	}
	list := func() **byte {
		n := min(number(), maxRequest)
		pointers := make([]*byte, n+1) // the last one is nil
		for i := range n {
			pointers[i] = &next()[0]
		}
		return &pointers[0]
	}
	b.flags = uintptr(number())
	b.uid, b.gid = uintptr(number()), uintptr(number())
	s := tempDir{word(), word()}
	b.dir = &next()[0]
	if t := next(); len(t) > 1 {
		b.path = &t[0]
	}
	b.argv, b.env = list(), list()
	for range min(number(), 64) {
		port := uint16(number())
		b.sockets = append(b.sockets, unix.RawSockaddrInet4{
			Family: unix.AF_INET, Port: port>>8 | port<<8, Addr: [4]byte{127, 0, 0, 1},
		})
	}
	b.ops = make([]op, min(number(), maxRequest))
	for i := range b.ops {
		o := &b.ops[i]
		o.kind = uint8(number())
		o.deep, o.optional = word() == "true", word() == "true"
		o.flags = uintptr(number())
		a := next()
		o.a, o.length = &a[0], uintptr(len(a)-1)
		o.b, o.c, o.d = &next()[0], &next()[0], &next()[0]
	}
	if bad {
		return tempDir{}, unix.EBADMSG
	}
	return s, nil
}
