//go:build !linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// realDisk accepts every directory: only on Linux can we find out the file system.
func realDisk(string) error { return nil }

func diskName(string) string { return "the file system of " + runtime.GOOS }

func cpuName() string { return runtime.GOARCH }

// syncData is Sync: on macOS it flushes the drive's cache, as fdatasync does on Linux.
func syncData(f *os.File) error { return f.Sync() }

func pause(d time.Duration) { time.Sleep(d) }

// resident returns the resident memory of a process in MiB, twice: the part not backed by files is not known here.
func resident(pid int) (rss, anonymous float64, err error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, 0, fmt.Errorf("ps: %w", err)
	}
	kib, err := strconv.Atoi(strings.TrimSpace(string(out)))
	return float64(kib) / 1024, float64(kib) / 1024, err
}

// familyTime fails: only Linux tells it to the nanosecond.
func familyTime(int) (time.Duration, error) {
	return 0, fmt.Errorf("%s does not tell how much time a process and its descendants have taken", runtime.GOOS)
}

// writtenBytes fails: only Linux counts them.
func writtenBytes() (int64, error) {
	return 0, fmt.Errorf("%s does not tell how many bytes a process writes to disks", runtime.GOOS)
}

// diskQueue fails: only Linux tells what a disk does.
func diskQueue(string) (done, open int64, err error) {
	return 0, 0, fmt.Errorf("%s does not tell what its disk does", runtime.GOOS)
}

// processTime returns 0: stalls of the processors are then all taken to be others' doing.
func processTime() time.Duration { return 0 }
