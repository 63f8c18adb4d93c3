package ram

import (
	"math"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bytes returns how much memory this process may use: the machine's, or its container's limit if that is less. 0:
// unknown.
func Bytes() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	//nolint:unconvert // 32 bits on some machines
	ram := int64(min(uint64(info.Totalram)*uint64(info.Unit), math.MaxInt64))
	if text, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		// "max" when there is no limit
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			ram = min(ram, n)
		}
	}
	return ram
}
