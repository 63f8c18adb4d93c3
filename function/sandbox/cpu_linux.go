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

// SharesCPU says whether ShareCPU does anything here.
const SharesCPU = true

// cpuShare gives processes their share of the processors.
type cpuShare struct {
	groups *cgroups // nil: by nice levels
}

// ShareCPU makes processes started from now on share processors by Spec.MemoryMB where they compete for them, and
// returns how that is held: CPUByCgroup or CPUByNice. Nothing is held back while a processor is idle. It must come
// before the first Start.
func (s *Sandbox) ShareCPU() string {
	if groups, err := ownCgroups(); err == nil {
		s.cpu = &cpuShare{groups}
		return CPUByCgroup
	}
	s.cpu = &cpuShare{}
	return CPUByNice
}

// ownCgroups are those that this process may make.
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

// cgroupMount returns where version 2 control groups with processor time are to be found. Where version 1 holds the
// controllers, there are none.
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

// enter puts a process that is about to start others into a control group for its share, where there are control
// groups. remove ends that when all of them have ended. The group is entered after the birth because being born in it
// takes clone3, which container run times refuse at times.
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

// nice gives a process that has just started, and all that it will start, its share by a nice level, where there are no
// control groups.
func (c *cpuShare) nice(p *Process, memoryMB int) {
	if c == nil || c.groups != nil || p.Pid == 0 {
		return
	}
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return
	}
	nice := min(20-own+niceness(memoryMB), 19)        // the system call answers 20 less the level
	_ = unix.Setpriority(unix.PRIO_PGRP, p.Pid, nice) // fails when it has ended already
	go autogroup(p, nice)
}

// autogroup gives the level to the session of p: where the kernel groups processes by session, levels count only inside
// one. Users may write there ten times a second, all together.
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
