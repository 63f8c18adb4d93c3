package sandbox

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// SharesCPU says whether ShareCPU has an effect on this system.
const SharesCPU = true

// cpuShare gives processes their share of the processors.
type cpuShare struct {
	groups *cgroups // nil: by nice levels
}

// ShareCPU makes processes started from now on share processors by Spec.MemoryMB when they compete, and returns how:
// CPUByCgroup or CPUByNice. Nothing is held back while a processor is idle. Call it before the first Start.
func (s *Sandbox) ShareCPU() string {
	if groups, err := ownCgroups(); err == nil {
		s.cpu = &cpuShare{groups}
		return CPUByCgroup
	}
	s.cpu = &cpuShare{}
	return CPUByNice
}

// ownCgroups returns the control groups that this process may make.
func ownCgroups() (*cgroups, error) {
	mount, err := cgroupMount()
	if err != nil {
		return nil, err
	}
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(self)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return openCgroups(mount, path, os.Getpid())
		}
	}
	return nil, errors.New("this process is in no version 2 control group")
}

// cgroupMount returns the mount point of version 2 control groups with a cpu controller. If version 1 holds the
// controllers, there is none.
func cgroupMount() (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &fs); err != nil {
		return "", err
	}
	if fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return "", errors.New("/sys/fs/cgroup is not of version 2")
	}
	return "/sys/fs/cgroup", nil
}

// enter puts a process that is about to start others into a control group for its share, if there are control groups.
// remove removes the group once all of them have ended. The process enters the group after the fork, because being
// forked into it takes clone3, which some container runtimes refuse.
func (c *cpuShare) enter(pid, memoryMB int) (remove func(), err error) {
	if c == nil || c.groups == nil {
		return func() {}, nil
	}
	dir, err := c.groups.create(pid, memoryMB)
	if err != nil {
		return func() {}, err
	}
	return func() { removeCgroup(dir) }, nil
}

// nice gives a process that has just started, and all that it will start, its share by a nice level, if there are no
// control groups.
func (c *cpuShare) nice(p *Process, memoryMB int) {
	if c == nil || c.groups != nil || p.Pid == 0 {
		return
	}
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return
	}
	nice := min(20-own+niceness(memoryMB), 19)        // the system call returns 20 minus the level
	_ = unix.Setpriority(unix.PRIO_PGRP, p.Pid, nice) // fails if it has already ended
	go autogroup(p, nice)
}

// autogroup gives the level to the session of p: if the kernel groups processes by session, levels count only within a
// session. All users together may write there ten times a second.
func autogroup(p *Process, nice int) {
	for {
		err := os.WriteFile("/proc/"+strconv.Itoa(p.Pid)+"/autogroup", []byte(strconv.Itoa(nice)), 0)
		if !errors.Is(err, syscall.EAGAIN) {
			return
		}
		select {
		case <-p.done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
