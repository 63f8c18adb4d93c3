//go:build !linux && !darwin

package ram

// Bytes returns 0, unknown, so that only an explicit limit applies.
func Bytes() int64 { return 0 }
