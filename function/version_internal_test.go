package function

import (
	"math/rand/v2"
	"testing"
)

// F-47: a weight of .5 over 1,000 invocations gives each version 400 to 600; a weight is the extra version's share.
func TestWeightsAreKept(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(47, 0))
	e := &entry{versions: map[string]version{}}
	for _, n := range []string{"1", "2"} {
		e.versions[n] = version{live: live{conf: &Configuration{Version: n}}}
	}
	for weight, most := range map[float64][2]int{.5: {400, 600}, .1: {60, 140}, 0: {0, 0}, 1: {1000, 1000}} {
		e.aliases = map[string]Alias{"live": {Name: "live", Version: "1", Weights: map[string]float64{"2": weight}}}
		got := map[string]int{}
		for range 1000 {
			v, ok := e.resolve("live", rng.Float64())
			if !ok {
				t.Fatal("it is not there")
			}
			got[v.conf.Version]++
		}
		if got["2"] < most[0] || got["2"] > most[1] || got["1"]+got["2"] != 1000 {
			t.Errorf("with a weight of %v: %v", weight, got)
		}
	}
	if v, _ := e.resolve("live", 1); v.conf.Version != "1" {
		t.Error("what an alias stands for is not its main version")
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	t.Parallel()
	order := []string{"", Latest, "1", "2", "9", "10", "11", "100"}
	for i, a := range order {
		for j, b := range order {
			if got := CompareVersions(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%q and %q compare as %d", a, b, got)
			}
		}
	}
}
