package stream

import (
	"math/big"
	"slices"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// step is one split or merge of a reshard. Its children get the next free shard ids, in order.
type step struct {
	parents  []record.ShardID      // one, or two adjacent ones, the lower range first
	children []record.HashKeyRange // two, or one; they cover exactly what the parents covered
}

func split(parent record.ShardID, left, right record.HashKeyRange) step {
	return step{parents: []record.ShardID{parent}, children: []record.HashKeyRange{left, right}}
}

func merge(low, high record.ShardID, whole record.HashKeyRange) step {
	return step{parents: []record.ShardID{low, high}, children: []record.HashKeyRange{whole}}
}

// cut divides r in front of at, which lies inside r and is not its start.
func cut(r record.HashKeyRange, at record.HashKey) (left, right record.HashKeyRange) {
	return record.HashKeyRange{Start: r.Start, End: predecessor(at)}, record.HashKeyRange{Start: at, End: r.End}
}

// middle returns the first key of the right half of r. ok is false if a half would have less than the two keys that
// SplitShard leaves it.
func middle(r record.HashKeyRange) (at record.HashKey, ok bool) {
	one := big.NewInt(1)
	size := new(big.Int).Sub(r.End.Big(), r.Start.Big())
	size.Add(size, one)
	if size.Cmp(big.NewInt(4)) < 0 {
		return at, false
	}
	size.Rsh(size, 1).Add(size, r.Start.Big()).FillBytes(at[:])
	return at, true
}

// perform returns all shards after steps that begin at now: parents are closed, and their children follow. A shard that
// one step opens and a later one closes never holds records.
//
// No shard closes before it counts as created, and a child is created one second later: so the sequence numbers of a
// hash key ascend over any number of reshards, however quickly they follow each other.
func perform(shards []ShardInfo, steps []step, now record.Millis) []ShardInfo {
	out := slices.Clone(shards)
	for _, st := range steps {
		closed := now
		for _, id := range st.parents {
			closed = max(closed, out[id].Created)
		}
		parents := slices.Clone(st.parents) // the children keep pointing at them
		for _, id := range parents {
			out[id].Closed = closed
		}
		for _, r := range st.children {
			child := ShardInfo{
				ID: record.ShardID(len(out)), Range: r, Created: closed + childDelay, Parent: &parents[0],
			}
			if len(parents) == 2 {
				child.AdjacentParent = &parents[1]
			}
			out = append(out, child)
		}
	}
	return out
}

// peak returns by how many the open shards exceed their number at the start when steps have opened most.
func peak(steps []step) int {
	most, now := 0, 0
	for _, st := range steps {
		now += len(st.children) - len(st.parents)
		most = max(most, now)
	}
	return most
}

// checkSteps reports steps whose shards are not open, or whose ranges do not cover the same keys before and after.
func checkSteps(info *Info, steps []step) error {
	after := slices.Clone(info.Shards)
	for _, st := range steps {
		if len(st.parents)+len(st.children) != 3 || len(st.parents) == 0 || len(st.children) == 0 {
			return fault.New(codeInvalid, "A reshard turns one shard into two or two into one.")
		}
		before := make([]record.HashKeyRange, 0, 2)
		for _, id := range st.parents {
			if int64(id) >= int64(len(after)) {
				return malformedShard(info.Name, id.String())
			}
			if after[id].Closed != 0 {
				return alreadyResharded(info.Name, id)
			}
			after[id].Closed = 1 // any time will do
			before = append(before, after[id].Range)
		}
		if !contiguous(before) || !contiguous(st.children) || before[0].Start != st.children[0].Start ||
			before[len(before)-1].End != st.children[len(st.children)-1].End {
			return fault.New(codeInvalid, "The hash key ranges of the children do not cover those of their parents.")
		}
		for _, r := range st.children {
			after = append(after, ShardInfo{ID: record.ShardID(len(after)), Range: r})
		}
	}
	return nil
}

// contiguous reports whether each range is in order and begins where the previous one ends.
func contiguous(ranges []record.HashKeyRange) bool {
	for i, r := range ranges {
		if r.Start.Compare(r.End) > 0 || i > 0 && successor(ranges[i-1].End) != r.Start {
			return false
		}
	}
	return true
}

// part is an open shard during a sweep.
type part struct {
	id   record.ShardID
	keys record.HashKeyRange
}

// openParts returns the open shards by the start of their ranges.
func openParts(shards []ShardInfo) []part {
	var open []part
	for i := range shards {
		if shards[i].Closed == 0 {
			open = append(open, part{shards[i].ID, shards[i].Range})
		}
	}
	slices.SortFunc(open, func(a, b part) int { return a.keys.Start.Compare(b.keys.Start) })
	return open
}

// sweep returns the steps that turn the open shards of shards, which are all shards of a stream by id, into target
// shards of equal size, as UpdateShardCount does. It goes over the open shards from left to right: what reaches beyond
// the next boundary is split there, what ends before it is merged with what follows. A boundary that almost exists, as
// rounding leaves it, is used where it is, so that no sliver of a shard appears.
func sweep(shards []ShardInfo, target int) []step {
	open := openParts(shards)
	if len(open) == target {
		return nil
	}
	next := record.ShardID(len(shards))
	ends := sweepEnds(open, target)
	var steps []step
	// upTo takes the next part, and leaves what lies beyond end for later.
	upTo := func(end record.HashKey) part {
		p := open[0]
		if p.keys.End.Compare(end) <= 0 {
			open = open[1:]
			return p
		}
		left, right := cut(p.keys, successor(end))
		steps = append(steps, split(p.id, left, right))
		p = part{next, left}
		open[0] = part{next + 1, right}
		next += 2
		return p
	}
	for _, end := range ends {
		p := upTo(end)
		for p.keys.End != end {
			q := upTo(end)
			whole := record.HashKeyRange{Start: p.keys.Start, End: q.keys.End}
			steps = append(steps, merge(p.id, q.id, whole))
			p = part{next, whole}
			next++
		}
	}
	return steps
}

// sweepEnds returns the last key of each of target ranges of equal size: where an open shard begins within a few keys
// of an even boundary, the boundary is there.
func sweepEnds(open []part, target int) []record.HashKey {
	ends := make([]record.HashKey, 0, target)
	near := big.NewInt(int64(max(len(open), target)))
	for _, r := range evenRanges(target)[1:] {
		at := r.Start
		i, exact := slices.BinarySearchFunc(open, at, func(p part, at record.HashKey) int {
			return p.keys.Start.Compare(at)
		})
		for _, j := range []int{i - 1, i} {
			if exact || j < 1 || j >= len(open) {
				continue
			}
			if d := new(big.Int).Sub(open[j].keys.Start.Big(), r.Start.Big()); d.CmpAbs(near) <= 0 {
				at = open[j].keys.Start
			}
		}
		ends = append(ends, predecessor(at))
	}
	return append(ends, record.MaxHashKey)
}

func successor(h record.HashKey) record.HashKey {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i]++; h[i] != 0 {
			break
		}
	}
	return h
}

func predecessor(h record.HashKey) record.HashKey {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i]--; h[i] != 0xff {
			break
		}
	}
	return h
}
