package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shardmill/shardmill/internal/eventually"
)

// busy starts a process that never rests, on one processor.
func busy(t *testing.T, s *Sandbox, memoryMB, processor int) *Process {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := s.Start(Spec{
		Path: "/bin/sh", Args: []string{"sh", "-c", "while :; do :; done"}, Dir: "/", Output: null, MemoryMB: memoryMB,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done() })
	var only unix.CPUSet
	only.Set(processor)
	if err := unix.SchedSetaffinity(p.Pid, &only); err != nil {
		t.Fatal(err)
	}
	return p
}

// used returns the processor time of p in clock ticks.
func used(t *testing.T, p *Process) int {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return user + system
}

// Where two functions compete for one processor, the one with seven times the memory gets several times the time. The
// bound is generous: it only matters that one gets far more.
func TestMoreMemoryGetsMoreOfAProcessor(t *testing.T) {
	t.Parallel()
	s := New(Options{Isolation: None})
	defer s.Close()
	s.cpu = &cpuShare{} // not ShareCPU, which might move this test into a control group
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	processor := 0
	for i := range 1024 {
		if allowed.IsSet(i) {
			processor = i
		}
	}
	large, small := busy(t, s, vCPU, processor), busy(t, s, 256, processor)

	// Session levels may take a moment to apply, so several windows are measured; without shares none of them ends like
	// this.
	l, m := used(t, large), used(t, small)
	eventually.Reaches(t, "a window in which 1,769 MB has three times as much as 256 MB", func() (bool, string) {
		dl, dm := used(t, large)-l, used(t, small)-m
		if dl < 20 && dm < 20 {
			return false, "the processor is not to be had"
		}
		l, m = l+dl, m+dm
		return dl > 3*dm, fmt.Sprintf("%d ticks and %d", dl, dm)
	})
}

// A process has the priority of its memory as soon as it exists.
func TestPriorityIsThatOfTheMemory(t *testing.T) {
	t.Parallel()
	own, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Isolation: None})
	defer s.Close()
	s.cpu = &cpuShare{}
	for memory, levels := range map[int]int{128: 12, 256: 9, 1769: 0} {
		p, err := s.Start(Spec{
			Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 600"}, Dir: "/", Output: os.Stderr, MemoryMB: memory,
		})
		if err != nil {
			t.Fatal(err)
		}

		got, err := unix.Getpriority(unix.PRIO_PROCESS, p.Pid)

		if err != nil || got != max(own-levels, 1) { // the system call returns 20 minus the level
			t.Errorf("%d MB: priority %d, %v; ours is %d", memory, got, err, own)
		}
		p.Kill()
		<-p.Done()
	}
}

// delegated returns a directory that looks like a control group.
func delegated(t *testing.T, controllers string) string {
	t.Helper()
	mount := t.TempDir()
	if err := os.Mkdir(filepath.Join(mount, "unit"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mount, "unit", "cgroup.controllers"), []byte(controllers), 0o600); err != nil {
		t.Fatal(err)
	}
	return mount
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// In a delegated control group the daemon moves into a leaf, functions get a branch, and every process a leaf of it
// with its weight. Doing so again, as after a reset, changes nothing.
func TestControlGroupsOfADelegatedUnit(t *testing.T) {
	t.Parallel()
	mount := delegated(t, "cpuset cpu memory pids\n")
	for _, self := range []string{"/unit", "/unit/" + serverGroup} {
		g, err := openCgroups(mount, self, 4711)
		if err != nil {
			t.Fatal(err)
		}

		dir, err := g.create(1234, 512)
		if err != nil {
			t.Fatal(err)
		}

		if filepath.Dir(dir) != filepath.Join(mount, "unit", functionsGroup) || content(t, dir, "cpu.weight") != "29" ||
			content(t, dir, "cgroup.procs") != "1234" {
			t.Errorf(
				"group %s, weight %s, process %s", dir, content(t, dir, "cpu.weight"), content(t, dir, "cgroup.procs"),
			)
		}
		if got := content(t, mount, "unit", serverGroup, "cgroup.procs"); got != "4711" {
			t.Errorf("in the daemon's group: %s", got)
		}
		for _, at := range []string{"unit", "unit/" + functionsGroup} {
			if got := content(t, mount, at, "cgroup.subtree_control"); got != "+cpu" {
				t.Errorf("controllers below %s: %s", at, got)
			}
		}
	}
}

// Without the controller, or with other processes in the group, nothing is left behind, and the daemon is back where it
// was.
func TestControlGroupsThatAreNotOurs(t *testing.T) {
	t.Parallel()
	if _, err := openCgroups(delegated(t, "memory pids"), "/unit", 4711); err == nil {
		t.Error("a group without processor time was taken")
	}
	mount := delegated(t, "cpu")
	// cannot be written
	if err := os.Mkdir(filepath.Join(mount, "unit", "cgroup.subtree_control"), 0o755); err != nil {
		t.Fatal(err)
	}

	_, err := openCgroups(mount, "/unit", 4711)

	if err == nil || content(t, mount, "unit", "cgroup.procs") != "4711" {
		t.Errorf("got %v, back in the group: %s", err, content(t, mount, "unit", "cgroup.procs"))
	}
	if _, err := openCgroups(t.TempDir(), "/gone", 4711); err == nil {
		t.Error("a group that is not there was taken")
	}
}
