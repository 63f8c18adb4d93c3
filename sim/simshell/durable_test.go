package simshell

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/storage"
)

// While a mapping is deleted, an engine that has not heard of it may claim a shard whose checkpoint is forgotten. The
// judge takes that for what it is, and for nothing else: no claim has batches, comes under an epoch that was there
// before, or at another time, and nothing follows it.
func TestTheJudgeAllowsALateClaimAndNoMore(t *testing.T) {
	t.Parallel()
	type saved struct {
		cp    esm.Checkpoint
		epoch uint64
	}
	claim := saved{epoch: 3}
	batches := saved{esm.Checkpoint{Batches: 1, Lanes: []esm.LaneMark{{Plan: []esm.SegmentMark{{Last: 1}}}}}, 3}
	leaving := func(w *world) { w.leaving = true }
	gone := func(w *world) { w.leaving, w.absent = true, true }
	for name, c := range map[string]struct {
		state func(*world)
		saves []saved
		want  string // in the complaint; "": there is none
	}{
		"an empty claim":             {leaving, []saved{claim}, ""},
		"a claim over a claim":       {leaving, []saved{claim, {epoch: 4}}, ""},
		"the old owner, to its end":  {leaving, []saved{{esm.Checkpoint{Low: 640, Batches: 12}, 2}}, ""},
		"a claim of what is there":   {leaving, []saved{{esm.Checkpoint{Low: 634, Batches: 9}, 3}}, ""},
		"with batches":               {leaving, []saved{batches}, "goes back from 634 to 0"},
		"with the number of a batch": {leaving, []saved{{esm.Checkpoint{Batches: 1}, 3}}, "goes back from 634 to 0"},
		"with lanes": {
			leaving, []saved{{esm.Checkpoint{Lanes: []esm.LaneMark{{Settled: 7}}}, 3}}, "goes back from 634 to 0",
		},
		"under the same epoch":                {leaving, []saved{{epoch: 2}}, "goes back from 634 to 0"},
		"under an older epoch":                {leaving, []saved{{epoch: 1}}, "goes back from 634 to 0"},
		"a second one under the same epoch":   {leaving, []saved{claim, claim}, "begun anew and saved at 0"},
		"and the shard is begun":              {leaving, []saved{claim, batches}, "begun anew and saved at 0"},
		"and the shard goes on":               {leaving, []saved{claim, {esm.Checkpoint{Low: 700}, 3}}, "saved at 700"},
		"of a mapping that stands":            {func(*world) {}, []saved{claim}, "goes back from 634 to 0"},
		"after the mapping is gone":           {gone, []saved{claim}, "there is no mapping"},
		"of a shard that nobody had, then":    {gone, []saved{{esm.Checkpoint{Low: 634}, 3}}, "there is no mapping"},
		"a save of the old owner, after that": {gone, []saved{{esm.Checkpoint{Low: 640}, 2}}, "there is no mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, Options{})
			sh := &shard{durable: &esm.Checkpoint{Low: 634, Batches: 9}, epoch: 2, revision: 10}
			w.shards[0] = sh
			c.state(w)
			for i := range c.saves {
				s := &c.saves[i]
				w.judgeDurable(&process{w: w}, 0, &s.cp, s.epoch, sh.revision+storage.Revision(1+i))
			}
			switch {
			case c.want == "" && len(w.complaints) > 0:
				t.Errorf("the judge complains: %q", w.complaints)
			case c.want != "" && (len(w.complaints) == 0 || !strings.Contains(w.complaints[0], c.want)):
				t.Errorf("the judge says %q, want %q", w.complaints, c.want)
			}
		})
	}
}

// A mapping that is made again begins afresh: what was claimed late of the one before counts no more, and what is saved
// must not go back.
func TestTheJudgeForgetsALateClaimWithItsMapping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, Options{})
	sh := &shard{durable: &esm.Checkpoint{Low: 634}, epoch: 2, revision: 10}
	w.shards[0], w.leaving = sh, true
	w.judgeDurable(&process{w: w}, 0, &esm.Checkpoint{}, 3, 11)
	w.anew(begins{})

	w.judgeDurable(&process{w: w}, 0, &esm.Checkpoint{Low: 5, Batches: 1}, 3, 12)
	if len(w.complaints) > 0 {
		t.Errorf("the judge complains: %q", w.complaints)
	}
	w.judgeDurable(&process{w: w}, 0, &esm.Checkpoint{Low: 4, Batches: 2}, 3, 13)
	if len(w.complaints) != 1 {
		t.Errorf("a checkpoint goes back, and the judge says %q", w.complaints)
	}
}
