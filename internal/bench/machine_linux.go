package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// realDisk refuses file systems in memory, where a sync costs nothing.
func realDisk(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return err
	}
	if s.Type == unix.TMPFS_MAGIC || s.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf(
			"%s is a file system in memory, where a sync costs nothing; choose another place with -dir", dir,
		)
	}
	return nil
}

var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
}

func diskName(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return "an unknown file system"
	}
	if name, ok := fileSystems[int64(s.Type)]; ok { //nolint:unconvert // 32 bits on some machines
		return name
	}
	return fmt.Sprintf("a file system of type %#x", s.Type)
}

func cpuName() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(b) {
		if name, ok := bytes.CutPrefix(line, []byte("model name")); ok {
			return string(bytes.Trim(name, "\t :\n"))
		}
	}
	return ""
}

// syncData writes a file's data, and the metadata needed to find it, to the disk.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// pause sleeps with the kernel's precision; Go's timers are rounded up to a millisecond when nothing else runs.
func pause(d time.Duration) {
	if d > 0 {
		t := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&t, nil)
	}
}

// resident returns the resident memory of a process in MiB: all of it, and the part not backed by files.
func resident(pid int) (rss, anonymous float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	read := func(name string) float64 {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				kib, _ := strconv.Atoi(strings.Fields(rest)[0])
				return float64(kib) / 1024
			}
		}
		return 0
	}
	return read("VmRSS"), read("RssAnon"), nil
}

// familyTime returns how much time of the processors a process and its descendants have taken, as far as they live.
func familyTime(pid int) (sum time.Duration, err error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	for _, task := range tasks {
		dir := fmt.Sprintf("/proc/%d/task/%s/", pid, task.Name())
		stat, err := os.ReadFile(dir + "schedstat")
		if err != nil {
			continue // it has ended
		}
		ran, _, _ := strings.Cut(string(stat), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
		children, err := os.ReadFile(dir + "children")
		if err != nil {
			return 0, err
		}
		for _, child := range strings.Fields(string(children)) {
			id, err := strconv.Atoi(child)
			if err != nil {
				return 0, err
			}
			if took, err := familyTime(id); err == nil {
				sum += took
			}
		}
	}
	return sum, nil
}

// writtenBytes returns how many bytes this process has caused to be written to disks so far.
func writtenBytes() (int64, error) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			return strconv.ParseInt(strings.TrimSpace(n), 10, 64)
		}
	}
	return 0, errors.New("/proc/self/io does not tell write_bytes")
}

// diskQueue returns how many requests the disk of dir has completed so far, and how many are under way.
func diskQueue(dir string) (done, open int64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, 0, err
	}
	dev := uint64(st.Dev) //nolint:unconvert // 32 bits on some machines
	device := fmt.Sprintf("%d %d ", unix.Major(dev), unix.Minor(dev))
	text, err := os.ReadFile("/proc/diskstats")
	if err != nil {
		return 0, 0, err
	}
	// name, then reads, merged, sectors, ms, writes, merged, sectors, ms, under way (Documentation/admin-guide/iostats)
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(strings.Join(strings.Fields(line), " "), device)
		fields := strings.Fields(rest)
		if !ok || len(fields) < 10 {
			continue
		}
		number := func(i int) int64 {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			return n
		}
		return number(1) + number(5), number(9), nil
	}
	return 0, 0, fmt.Errorf("/proc/diskstats does not have the disk of %s", dir)
}

// processTime returns how much time of the processors this process has taken.
func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime))
}
