package sandbox

import "math"

// vCPU is the memory in MB for which AWS gives a function one whole processor; other sizes get a proportional share.
// Source: Lambda Developer Guide, "Configure Lambda function memory".
const vCPU = 1769

// How processors may be shared.
const (
	CPUOff    = "off"
	CPUWeight = "weight"
)

// How they are really shared, as ShareCPU returns.
const (
	CPUByCgroup = "weight by cgroup"
	CPUByNice   = "weight by nice (no writable cgroup)"
)

// cpuWeight returns the cpu.weight of a control group, 100 for one vCPU.
func cpuWeight(memoryMB int) int {
	return min(max(1, (memoryMB*100+vCPU/2)/vCPU), 10000)
}

// niceness returns how many levels below the daemon a process runs. Each level is worth a quarter more or less time.
// From one vCPU on there is no difference: no function may run above the daemon, and a nice level weighs threads, of
// which a larger function can use more.
func niceness(memoryMB int) int {
	if memoryMB <= 0 {
		return 0
	}
	levels := math.Round(math.Log(vCPU/float64(memoryMB)) / math.Log(1.25))
	return int(min(max(0, levels), 19))
}
