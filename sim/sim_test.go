package sim_test

import (
	"flag"
	"slices"
	"testing"

	"github.com/shardmill/shardmill/sim"
)

var (
	seeds = flag.Int("sim.seeds", 400, "how many worlds TestSim plays")
	seed  = flag.Uint64("sim.seed", 1, "the first seed; with -sim.seeds=1 -v the run is printed")
	quiet = flag.Bool("sim.quiet", false, "say which seed is red, and no more")
)

// TestSim plays seeded worlds of faults and has every one judged. The first red seed prints its run, and up to twenty
// are named; -sim.seed=N -sim.seeds=1 plays one again, to the byte.
func TestSim(t *testing.T) {
	t.Logf("seeds %d to %d", *seed, *seed+uint64(*seeds)-1)
	var steps, calls, windows, notices, crashes, records int
	events, reds := map[string]int{}, 0
	for s := *seed; s < *seed+uint64(*seeds); s++ {
		rep := sim.Run(s, sim.Options{})
		steps, calls, windows, notices = steps+rep.Steps, calls+rep.Calls, windows+rep.Windows, notices+rep.Notices
		crashes, records = crashes+rep.Crashes, records+rep.Records
		for what, n := range rep.Events {
			events[what] += n
		}
		if len(rep.Complaints) == 0 && (*seeds != 1 || !testing.Verbose()) {
			continue
		}
		again := sim.Run(s, sim.Options{Trace: true})
		last := 400
		if *seeds == 1 {
			last = len(again.Trace)
		}
		for _, line := range again.Trace[max(0, len(again.Trace)-last):] {
			if !*quiet && reds == 0 {
				t.Log(line)
			}
		}
		if !slices.Equal(rep.Complaints, again.Complaints) {
			t.Errorf("seed %d does not replay: %q, then %q", s, rep.Complaints, again.Complaints)
		}
		if len(rep.Complaints) > 0 {
			t.Errorf("seed %d: %q", s, rep.Complaints)
		}
		if reds++; reds == 20 {
			t.FailNow()
		}
	}
	t.Logf(
		"%d records, %d invocations, %d windows, %d notices, %d crashes, %d steps; %v", records, calls, windows, notices,
		crashes, steps, events,
	)
	for what, least := range map[string]int{ // in 400 worlds
		"reshard": 200, "rescale": 75, "split of a child": 75, "merge of parents that are not equally far": 75,
		"shard expires": 75, "shard expires before its end is reached": 20, "child waits for a shard that expires": 20,
		"lanes over a part of the keys": 200,
	} {
		if *seeds >= 400 && events[what]*400 < least**seeds {
			t.Errorf("%q came about %d times in %d worlds, want %d in 400", what, events[what], *seeds, least)
		}
	}
}

// TestSameSeedSameRun: a seed decides everything, so a red run can be looked at again.
func TestSameSeedSameRun(t *testing.T) {
	t.Parallel()
	for s := range uint64(5) {
		a, b := sim.Run(s, sim.Options{Trace: true}), sim.Run(s, sim.Options{Trace: true})

		if !slices.Equal(a.Trace, b.Trace) {
			t.Fatalf("seed %d gives two runs", s)
		}
	}
}
