//go:build !linux

package function

// machineMemory returns a guess, since we do not ask this system.
func machineMemory() uint64 { return 8 << 30 }
