package sandbox

import (
	"bytes"
	"iter"
	"os"
	"strconv"
	"strings"
)

// MemoryWatch says how memory limits are held, for status output.
const MemoryWatch = "watchdog"

var pageSize = int64(os.Getpagesize())

// Resident is the memory in bytes that the process itself, without children, holds now.
func (p *Process) Resident() int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/statm")
	if err != nil {
		return 0
	}
	return statmResident(b)
}

// Peak is the most memory in bytes that the process itself has held.
func (p *Process) Peak() int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/status")
	if err != nil {
		return 0
	}
	return kilobytes(b, "VmHWM:")
}

// SessionMemory is the memory in bytes that the sessions of the processes hold now, children included, in the order of ps. Pages that processes
// share are counted by their share (PSS), where the kernel tells. A process that made a session of its own is not seen.
func SessionMemory(ps []*Process) []int64 {
	sums := make([]int64, len(ps))
	index := make(map[int]int, len(ps))
	for i, p := range ps {
		index[p.Pid] = i
	}
	for pid := range pids() {
		dir := "/proc/" + strconv.Itoa(pid)
		b, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue
		}
		i, ok := index[sessionOf(b)]
		if !ok {
			continue
		}
		if b, err := os.ReadFile(dir + "/smaps_rollup"); err == nil {
			sums[i] += kilobytes(b, "Pss:")
		} else if b, err := os.ReadFile(dir + "/statm"); err == nil {
			sums[i] += statmResident(b)
		}
	}
	return sums
}

// pids are the processes of this machine.
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

// sessionOf reads field 6 of /proc/PID/stat; the command before it may contain blanks and parentheses.
func sessionOf(stat []byte) int {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 4 {
		return 0
	}
	session, _ := strconv.Atoi(fields[3])
	return session
}

func statmResident(statm []byte) int64 {
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * pageSize
}

// kilobytes finds "Name:   123 kB" and answers bytes.
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
