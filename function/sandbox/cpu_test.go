package sandbox

import "testing"

// Weights are proportional to memory, 100 for the 1,769 MB that AWS gives one processor; nice levels come as close to
// that as steps of a quarter can.
func TestWeightsAreProportionalToMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ memory, weight, nice int }{
		{128, 7, 12},
		{256, 14, 9},
		{512, 29, 6},
		{1024, 58, 2},
		{1769, 100, 0},
		{3008, 170, 0},
		{10240, 579, 0},
		{0, 1, 0},
		{1, 1, 19},
	} {
		if w, n := cpuWeight(c.memory), niceness(c.memory); w != c.weight || n != c.nice {
			t.Errorf("%d MB: weight %d, nice level %d; want %d, %d", c.memory, w, n, c.weight, c.nice)
		}
	}
}
