//go:build !linux && !windows

package sandbox

// SharesCPU says whether ShareCPU has an effect on this system.
const SharesCPU = false

type cpuShare struct{}

// ShareCPU has no effect on this system.
func (s *Sandbox) ShareCPU() string { return CPUOff }
