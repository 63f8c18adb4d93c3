package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Names of our two groups below the delegated one. Processes may only be in leaves, so the daemon moves into one, and
// all functions together have another: whatever they do, the daemon can have half of the time. Source: Linux kernel
// documentation, "Control Group v2"; systemd, "Control Group APIs and Delegation".
const (
	serverGroup    = "shardmill.server"
	functionsGroup = "shardmill.functions"
)

// cgroups makes a control group for each process.
type cgroups struct {
	dir string // of the functions
}

// openCgroups moves process pid out of the group self below mount into a leaf, and makes a group for functions. On
// error everything is as before.
func openCgroups(mount, self string, pid int) (*cgroups, error) {
	base := filepath.Join(mount, self)
	if filepath.Base(base) == serverGroup { // we have done this before
		base = filepath.Dir(base)
	}
	controllers, err := os.ReadFile(filepath.Join(base, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(strings.Fields(string(controllers)), "cpu") {
		return nil, errors.New("processor time is not delegated to this control group")
	}
	server, functions := filepath.Join(base, serverGroup), filepath.Join(base, functionsGroup)
	undo := func() {
		_ = writeControl(base, "cgroup.procs", strconv.Itoa(pid))
		_ = os.Remove(functions)
		_ = os.Remove(server)
	}
	for _, dir := range []string{server, functions} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			undo()
			return nil, err
		}
	}
	for _, step := range []struct{ dir, file, value string }{
		{server, "cgroup.procs", strconv.Itoa(pid)},
		{base, "cgroup.subtree_control", "+cpu"}, // refused if other processes are in this group
		{functions, "cgroup.subtree_control", "+cpu"},
	} {
		if err := writeControl(step.dir, step.file, step.value); err != nil {
			undo()
			return nil, err
		}
	}
	old, _ := filepath.Glob(filepath.Join(functions, "*", "cgroup.procs"))
	for _, file := range old { // of a daemon that was killed; groups with processes stay
		_ = os.Remove(filepath.Dir(file))
	}
	return &cgroups{dir: functions}, nil
}

// create makes the group of one process and moves the process there; the caller removes it when the process has ended.
// On error there is no group.
func (c *cgroups) create(pid, memoryMB int) (dir string, err error) {
	if dir, err = os.MkdirTemp(c.dir, "env-"); err != nil {
		return "", err
	}
	if err = writeControl(dir, "cpu.weight", strconv.Itoa(cpuWeight(memoryMB))); err == nil {
		err = writeControl(dir, "cgroup.procs", strconv.Itoa(pid))
	}
	if errors.Is(err, unix.ESRCH) { // it has already ended
		err = nil
	}
	if err != nil {
		removeCgroup(dir)
		return "", err
	}
	return dir, nil
}

// removeCgroup kills the processes left in a group and removes it. The kernel takes a moment to release killed
// processes.
func removeCgroup(dir string) {
	_ = writeControl(dir, "cgroup.kill", "1") // since Linux 5.14; processes outside the group are killed elsewhere
	for range 20 {
		if err := unix.Rmdir(dir); err != unix.EBUSY {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// writeControl sets a value. Files cannot be created in these directories: a missing one is an error.
func writeControl(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
