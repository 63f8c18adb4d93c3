//go:build !linux && !windows

package sandbox

// SharesCPU says whether ShareCPU does anything here.
const SharesCPU = false

type cpuShare struct{}

// ShareCPU changes nothing on this system.
func (s *Sandbox) ShareCPU() string { return CPUOff }
