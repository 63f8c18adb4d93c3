package sandbox

import (
	"bytes"
	"iter"
	"os"
	"strconv"
	"strings"
)

// MemoryWatch says how memory limits are enforced, for status output.
const MemoryWatch = "watchdog"

var pageSize = int64(os.Getpagesize())

// Resident returns the memory in bytes that the process itself, without children, holds now.
func (p *Process) Resident() int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/statm")
	if err != nil {
		return 0
	}
	return statmResident(b)
}

// Peak returns the most memory in bytes that the process itself has held.
func (p *Process) Peak() int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/status")
	if err != nil {
		return 0
	}
	return kilobytes(b, "VmHWM:")
}

// Memory returns the memory in bytes that each of ps and everything it has started holds now, in any session, in the
// order of ps. Shared pages are counted by share (PSS) if the kernel reports it.
func Memory(ps []*Process) []int64 {
	sums := make([]int64, len(ps))
	index := make(map[int]int, len(ps)) // by our parent process, to which orphans return
	for i, p := range ps {
		index[p.watch.parent] = i
	}
	parents := map[int]int{}
	for pid := range pids() {
		if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil {
			parents[pid] = parentOf(b)
		}
	}
	for pid := range parents {
		i, ok := -1, false
		for at, depth := parents[pid], 0; at > 1 && !ok && depth < 4096; at, depth = parents[at], depth+1 {
			i, ok = index[at]
		}
		if ok {
			sums[i] += memoryOf(pid)
		}
	}
	return sums
}

func memoryOf(pid int) int64 {
	dir := "/proc/" + strconv.Itoa(pid)
	if b, err := os.ReadFile(dir + "/smaps_rollup"); err == nil {
		return kilobytes(b, "Pss:")
	}
	b, err := os.ReadFile(dir + "/statm")
	if err != nil {
		return 0
	}
	return statmResident(b)
}

// pids returns the processes of this machine.
func pids() iter.Seq[int] {
	return func(yield func(int) bool) {
		d, err := os.Open("/proc")
		if err != nil {
			return
		}
		names, _ := d.Readdirnames(-1)
		_ = d.Close()
		for _, name := range names {
			if pid, err := strconv.Atoi(name); err == nil && !yield(pid) {
				return
			}
		}
	}
}

// parentOf reads field 4 of /proc/PID/stat; the command before it may contain blanks and parentheses.
func parentOf(stat []byte) int {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

func statmResident(statm []byte) int64 {
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * pageSize
}

// kilobytes finds "Name:   123 kB" and returns bytes.
func kilobytes(b []byte, name string) int64 {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			fields := bytes.Fields(rest)
			if len(fields) > 0 {
				n, _ := strconv.ParseInt(string(fields[0]), 10, 64)
				return n << 10
			}
		}
	}
	return 0
}
