package esm_test

import (
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
)

// pauses returns how long a machine waits after each of n failures in a row.
func pauses(cfg esm.Config, seed uint64, n int) (out []time.Duration) {
	s, now := esm.NewShard(cfg, esm.Checkpoint{}, seed), epoch
	s.Step(now, esm.Tick{})
	s.Step(now, esm.ReadReturned{
		Seq: 1, Next: 2, End: esm.Tail, Records: []esm.Rec{{Pos: 1, Arrival: 1, Bytes: 100, Match: true}},
	})
	for range n {
		s.Step(now, esm.Returned{Batch: 1, Outcome: esm.Outcome{Kind: esm.FunctionError}})
		until := s.Lanes()[0].Until
		out = append(out, until.Sub(now))
		now = until
		s.Step(now, esm.Tick{})
	}
	return out
}

// A batch that fails for ever is tried after 1, 2, 4, … 32 s and then each minute, however long that goes on. AWS says
// that it backs off, and not how.
func TestPausesGrowToAMinuteAndStayThere(t *testing.T) {
	t.Parallel()
	cfg := esm.Config{BatchSize: 1, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	cfg.Jitter = 0
	want := time.Second
	for i, got := range pauses(cfg, 1, 200) {
		if got != want {
			t.Fatalf("the pause after failure %d is %s, want %s", i+1, got, want)
		}
		want = min(2*want, time.Minute)
	}
}

// Each pause is up to a fifth shorter or longer, so that lanes that failed together do not try together, and none is
// longer than a minute.
func TestPausesAreSpreadByAFifth(t *testing.T) {
	t.Parallel()
	cfg := esm.Config{BatchSize: 1, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	var shortest, longest [7]float64 // of what the pause would be
	for seed := range uint64(1000) {
		want := time.Second
		for i, got := range pauses(cfg, seed, len(longest)) {
			share := float64(got) / float64(want)
			if shortest[i] == 0 || share < shortest[i] {
				shortest[i] = share
			}
			longest[i] = max(longest[i], share)
			want = min(2*want, time.Minute)
		}
	}
	for i := range longest {
		most := 1.2
		if i == len(longest)-1 {
			most = 1
		}
		if shortest[i] != .8 || longest[i] != most {
			t.Errorf("pauses after failure %d are %.3f to %.3f of it, want .8 to %.1f", i+1, shortest[i], longest[i], most)
		}
	}
}
