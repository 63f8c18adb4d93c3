package memory

import "golang.org/x/sys/unix"

// ramBytes is the machine's memory. 0: unknown.
func ramBytes() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
