package ram

import "golang.org/x/sys/unix"

// Bytes returns the machine's memory. 0: unknown.
func Bytes() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
