package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// offlineMark makes this test binary a wrapper: it brings up the loopback of its new network and becomes the command in
// its arguments.
const offlineMark = "SHARDMILL_E2E_OFFLINE"

func init() {
	if os.Getenv(offlineMark) == "" {
		return
	}
	_ = os.Unsetenv(offlineMark) // it has had its effect
	err := loopbackUp()
	if err == nil {
		path, lookErr := exec.LookPath(os.Args[1])
		if lookErr == nil {
			lookErr = syscall.Exec(path, os.Args[1:], os.Environ())
		}
		err = lookErr
	}
	fmt.Fprintln(os.Stderr, "offline:", err)
	os.Exit(1)
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// offline changes a command so that it runs in a network of its own, which has nothing but loopback. Where the machine
// forbids that, clients are pointed at a proxy that is not there, and the log says so.
func offline(t *testing.T) func(*exec.Cmd) {
	t.Helper()
	wrap := func(cmd *exec.Cmd) {
		cmd.Path, cmd.Args = "/proc/self/exe", append([]string{"offline"}, cmd.Args...)
		cmd.Env = append(cmd.Env, offlineMark+"=1")
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	probe := exec.Command("true")
	probe.Env, probe.SysProcAttr = os.Environ(), &syscall.SysProcAttr{}
	wrap(probe)
	if out, err := probe.CombinedOutput(); err != nil {
		t.Logf(
			"no network of its own on this machine (%v %s): proxies that are not there keep clients from the network instead",
			err, out,
		)
		return noProxy
	}
	return wrap
}
