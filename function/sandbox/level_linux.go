package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// how says how processes are confined on this machine.
type how struct {
	mode     string
	uid, gid int // with modeDrop: the user of functions
}

func (h how) insideUID() int {
	if h.mode == modeUserns {
		return sandboxUser
	}
	return h.uid
}

func (h how) insideGID() int {
	if h.mode == modeUserns {
		return sandboxGroup
	}
	return h.gid
}

// Users for functions of a root server. The first is from the range that systemd leaves to containers, so that no file
// or process of the machine is theirs; inside a container with fewer ids it is the user nobody.
const (
	strangerID = 1834754048
	nobodyID   = 65534
)

// ways returns the ways to confine, to be tried in order.
func ways() []how {
	userns := how{mode: modeUserns}
	if os.Geteuid() != 0 {
		return []how{userns}
	}
	return []how{{modeDrop, strangerID, strangerID}, {modeDrop, nobodyID, nobodyID}, userns}
}

// probe finds out, by starting a trial process, how far processes can be confined here.
func (s *Sandbox) probe() (level, why string) {
	s.how = how{mode: modeNone}
	if s.opt.Isolation == None {
		return None, "it was asked for"
	}
	var first error
	for _, w := range ways() {
		s.how = w
		err := s.trial()
		if err == nil {
			return Confined, ""
		}
		if first == nil || !errors.Is(err, unix.EINVAL) {
			first = err
		}
	}
	s.how = how{mode: modeNone}
	return None, reason(first)
}

// trial starts a process that sees what functions see, and ends instead of executing a program.
func (s *Sandbox) trial() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	spec := Spec{Dir: TaskRoot, Output: null}
	if s.opt.PrivateNetwork {
		spec.Ports = []uint16{9001}
	}
	p, err := s.start(spec)
	if err != nil {
		return err
	}
	<-p.done
	for _, l := range p.Listeners {
		_ = l.Close()
	}
	if !p.exit.Clean() {
		return errors.New("the trial process ended with " + p.exit.String())
	}
	return nil
}

// reason returns why level sandbox is not available, and what would help.
func reason(err error) string {
	text := err.Error()
	var step *stepError
	if errors.As(err, &step) && step.err == unix.ENOSYS {
		return text + "; it needs Linux 5.12"
	}
	for _, s := range []struct{ file, bad string }{
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0"},
		{"/proc/sys/user/max_user_namespaces", "0"},
	} {
		if b, err := os.ReadFile(s.file); err == nil && strings.TrimSpace(string(b)) == s.bad && os.Geteuid() != 0 {
			name := strings.ReplaceAll(strings.TrimPrefix(s.file, "/proc/sys/"), "/", ".")
			return fmt.Sprintf("%s; this machine gives users no namespaces (%s = %s)", text, name, s.bad)
		}
	}
	if errors.Is(err, syscall.EPERM) || step != nil && (step.err == unix.EPERM || step.err == unix.EACCES) {
		return text + "; inside a container it takes one that may make namespaces and mount"
	}
	return text
}

// UserID returns the user id of functions as the rest of the machine sees it.
func (s *Sandbox) UserID() int {
	s.Level()
	if s.how.mode == modeDrop {
		return s.how.uid
	}
	return os.Geteuid()
}

// SealDescriptors keeps inherited descriptors from this process's children: the program that started the server may
// have left files open that functions must not read.
func SealDescriptors() {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, n := range names {
		fd := 0
		if _, err := fmt.Sscan(n.Name(), &fd); err == nil && fd > 2 {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		}
	}
}

// HideServer keeps other processes of this user from reading this one's memory and variables. Use it only without
// confinement: a hidden server can no longer make user namespaces.
func HideServer() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
