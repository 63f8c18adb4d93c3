package stream

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/record"
)

// even returns the shards of a new stream.
func even(n int) []ShardInfo {
	out := make([]ShardInfo, n)
	for i, keys := range evenRanges(n) {
		out[i] = ShardInfo{ID: record.ShardID(i), Range: keys, Created: 1000}
	}
	return out
}

func (st step) String() string {
	if len(st.parents) == 2 {
		return fmt.Sprintf("merge %d+%d", uint32(st.parents[0]), uint32(st.parents[1]))
	}
	return fmt.Sprintf("split %d", uint32(st.parents[0]))
}

// The table of UpdateShardCount's steps, each row as recorded from AWS or derived by the same rule.
func TestASweepTakesTheKnownSteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to    int
		steps, open string
	}{
		{1, 2, "split 0", "1 2"},
		{2, 1, "merge 0+1", "2"},
		{2, 4, "split 0, split 1", "2 3 4 5"},
		{4, 2, "merge 0+1, merge 2+3", "4 5"},
		{2, 3, "split 0, split 1, merge 3+4", "2 6 5"},
		{3, 2, "split 1, merge 0+3, merge 4+2", "5 6"},
		{4, 3, "split 1, merge 0+4, split 2, merge 5+7, merge 8+3", "6 9 10"},
		{4, 5, "split 0, split 1, merge 5+6, split 2, merge 7+9, split 3, merge 10+12", "4 8 11 14 13"},
		{3, 6, "split 0, split 1, split 2", "3 4 5 6 7 8"},
		{5, 5, "", "0 1 2 3 4"},
	} {
		shards := even(c.from)
		steps := sweep(shards, c.to)

		var texts, open []string
		for _, st := range steps {
			texts = append(texts, st.String())
		}
		for _, p := range openParts(perform(shards, steps, 5000)) {
			open = append(open, fmt.Sprint(uint32(p.id)))
		}
		if got := strings.Join(texts, ", "); got != c.steps || strings.Join(open, " ") != c.open {
			t.Errorf("%d → %d: %s; open %v\nwant %s; open %s", c.from, c.to, got, open, c.steps, c.open)
		}
	}
	// 3 → 6: the starts where rounding has left them
	var starts []string
	for _, p := range openParts(perform(even(3), sweep(even(3), 6), 5000)) {
		starts = append(starts, p.keys.Start.String())
	}
	want := []string{
		"0", "56713727820156410577229101238628035242", "113427455640312821154458202477256070485",
		"170141183460469231731687303715884105726", "226854911280625642308916404954512140970",
		"283568639100782052886145506193140176210",
	}
	if !slices.Equal(starts, want) {
		t.Errorf("the six shards start at %v", starts)
	}
}

// R-17: after any sequence of splits, merges and sweeps, the open ranges sorted: "first starts 0, last ends max, each
// start = previous end + 1; ids unique and growing; every closed shard is some child's parent or adjacent parent".
// Sweeps leave shards of equal size, but for the few keys of rounding; and a child is younger than its parents by a
// second at least.
func TestAnySequenceOfReshardsKeepsTheLineage(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shards := even(rapid.IntRange(1, 9).Draw(t, "shards"))
		now := record.Millis(1000)
		for range rapid.IntRange(1, 8).Draw(t, "reshards") {
			open := openParts(shards)
			i := rapid.IntRange(0, len(open)-1).Draw(t, "shard")
			now += record.Millis(rapid.IntRange(0, 1500).Draw(t, "pause"))
			var steps []step
			target := 0
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				p := open[i]
				at, ok := middle(p.keys)
				if !ok {
					continue
				}
				left, right := cut(p.keys, at)
				steps = []step{split(p.id, left, right)}
			case 1:
				if i+1 == len(open) {
					continue
				}
				steps = []step{merge(open[i].id, open[i+1].id,
					record.HashKeyRange{Start: open[i].keys.Start, End: open[i+1].keys.End})}
			case 2:
				target = rapid.IntRange((len(open)+1)/2, 2*len(open)).Draw(t, "target")
				steps = sweep(shards, target)
				if target == len(open) {
					target = 0
				}
			}
			if err := checkSteps(&Info{Shards: shards}, steps); err != nil {
				t.Fatal(err)
			}
			before := len(open)
			shards = perform(shards, steps, now)
			checkLineage(t, shards)
			if target != 0 {
				checkEven(t, shards, target, max(before, target))
			}
		}
	})
}

func checkLineage(t *rapid.T, shards []ShardInfo) {
	open := openParts(shards)
	if open[0].keys.Start != (record.HashKey{}) || open[len(open)-1].keys.End != record.MaxHashKey {
		t.Fatalf("the open ranges do not cover all keys: %v", open)
	}
	for i := 1; i < len(open); i++ {
		if open[i].keys.Start != successor(open[i-1].keys.End) {
			t.Fatalf("a gap or an overlap between %v and %v", open[i-1], open[i])
		}
	}
	hasChild := map[record.ShardID]bool{}
	for i := range shards {
		s := &shards[i]
		if s.ID != record.ShardID(i) {
			t.Fatalf("shard %d has the id %d", i, s.ID)
		}
		for _, p := range []*record.ShardID{s.Parent, s.AdjacentParent} {
			if p == nil {
				continue
			}
			hasChild[*p] = true
			parent := &shards[*p]
			if *p >= s.ID || parent.Closed < parent.Created || s.Created != parent.Closed+childDelay {
				t.Fatalf("%+v is a child of %+v", s, parent)
			}
		}
	}
	for i := range shards {
		if shards[i].Closed != 0 != hasChild[shards[i].ID] {
			t.Fatalf("%+v has children: %v", shards[i], hasChild[shards[i].ID])
		}
	}
}

func checkEven(t *rapid.T, shards []ShardInfo, target, rounding int) {
	open := openParts(shards)
	if len(open) != target {
		t.Fatalf("%d shards are open, want %d", len(open), target)
	}
	for i, keys := range evenRanges(target) {
		d := new(big.Int).Sub(open[i].keys.Start.Big(), keys.Start.Big())
		if d.CmpAbs(big.NewInt(int64(rounding))) > 0 {
			t.Fatalf("of %d shards, number %d begins %d keys beside an even boundary", target, i, d)
		}
	}
}

// 10,000 shards are planned in no time, whatever the start.
func BenchmarkSweep9999To10000(b *testing.B) {
	shards := even(9999)
	for b.Loop() {
		sweep(shards, 10000)
	}
}
