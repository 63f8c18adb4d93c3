//go:build !race

package nonblock

import (
	"syscall"
	"unsafe"
)

func read(fd uintptr, b []byte) (int, error) {
	n, _, err := syscall.RawSyscall(
		syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
	)
	return result(n, err)
}

func write(fd uintptr, b []byte) (int, error) {
	n, _, err := syscall.RawSyscall(
		syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
	)
	return result(n, err)
}

func writev(fd uintptr, v *[2]syscall.Iovec) (int, error) {
	n, _, err := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(v)), uintptr(len(v)))
	return result(n, err)
}

func result(n uintptr, err syscall.Errno) (int, error) {
	if err != 0 {
		return 0, err
	}
	return int(n), nil
}
