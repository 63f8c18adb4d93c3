package main

import (
	"slices"
	"testing"
)

// UpdateShardCount: at most twice, and at least half, of the open shards (R-15 refuses more). Source: Kinesis API
// Reference, UpdateShardCount.
func TestAScaleTakesStepsThatAreAllowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to int
		want     []int
	}{
		{1, 1, nil},
		{1, 7, []int{2, 4, 7}},
		{4, 8, []int{8}},
		{7, 1, []int{4, 2, 1}},
		{5, 3, []int{3}},
		{5, 2, []int{3, 2}},
		{3, 10000, []int{6, 12, 24, 48, 96, 192, 384, 768, 1536, 3072, 6144, 10000}},
	} {
		if got := scaleSteps(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("from %d to %d: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}
