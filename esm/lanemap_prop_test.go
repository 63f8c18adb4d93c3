package esm_test

import (
	"math/big"
	"testing"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"pgregory.net/rapid"
)

func hashKey(t *rapid.T, name string) (h record.HashKey) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name))
	return h
}

// Lane i holds the hash keys p with ⌊(p−start)·factor/width⌋ = i: lanes partition the range, in order, and a key has
// one lane.
func TestLanesPartitionTheHashKeyRange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := record.HashKeyRange{Start: hashKey(t, "start"), End: hashKey(t, "end")}
		switch rapid.IntRange(0, 4).Draw(t, "shape") {
		case 0:
			r = record.HashKeyRange{End: record.MaxHashKey}
		case 1: // narrower than the factor
			r.End = r.Start
			r.End[15] = max(r.End[15], byte(rapid.IntRange(0, 255).Draw(t, "width")))
		case 2: // and at the top of the space, where some lanes would begin beyond it
			r = record.HashKeyRange{Start: record.MaxHashKey, End: record.MaxHashKey}
			r.Start[15] -= byte(rapid.IntRange(0, 12).Draw(t, "width"))
		}
		if r.Start.Compare(r.End) > 0 {
			r.Start, r.End = r.End, r.Start
		}
		factor := rapid.IntRange(1, 10).Draw(t, "factor")
		lanes := esm.NewLaneMap(r, factor)

		width := new(big.Int).Sub(r.End.Big(), r.Start.Big())
		width.Add(width, big.NewInt(1))
		naive := func(h record.HashKey) int {
			n := new(big.Int).Sub(h.Big(), r.Start.Big())
			return int(n.Mul(n, big.NewInt(int64(factor))).Div(n, width).Int64())
		}
		inside := func(name string) (h record.HashKey) {
			n := new(big.Int).Mod(hashKey(t, name).Big(), width)
			n.Add(n, r.Start.Big()).FillBytes(h[:])
			return h
		}
		a, b := inside("a"), inside("b")
		if a.Compare(b) > 0 {
			a, b = b, a
		}
		for _, h := range []record.HashKey{r.Start, a, b, r.End} {
			if got := int(lanes.Of(h)); got != naive(h) {
				t.Fatalf("%s of %v is in lane %d of %d, by the formula %d", h, r, got, factor, naive(h))
			}
		}
		if lanes.Of(a) > lanes.Of(b) {
			t.Fatalf("%s is in a later lane than %s", a, b)
		}
	})
}
