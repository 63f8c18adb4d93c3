package sim_test

import (
	"flag"
	"testing"

	"github.com/shardmill/shardmill/sim"
)

var pairs = flag.Int("sim.pairs", 550, "how many pairs of mappings that must agree are compared")

// TestMappingsThatMustAgreeDo processes the same records twice: with another batch size, batching window, tumbling
// window or factor, with a filter and by hand, with and without failures, crashes, short memory or an update on the
// way. What gets through and what is given up is the same, each key's records in the same order.
func TestMappingsThatMustAgreeDo(t *testing.T) {
	t.Parallel()
	laws := map[string]int{}
	for s := *seed; s < *seed+uint64(*pairs); s++ {
		law, complaints := sim.Agree(s)
		if laws[law]++; len(complaints) > 0 {
			t.Fatalf("seed %d: %s: %q", s, law, complaints)
		}
	}
	t.Log(laws)
}
