package main

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// lineage makes a list of shards: "2<0" is the child 2 of 0, "3<1,2" that of a merge; a trailing ! is a closed one.
func lineage(text string) []shard {
	var list []shard
	for _, one := range strings.Fields(text) {
		var s shard
		one, closed := strings.CutSuffix(one, "!")
		if closed {
			s.SequenceNumberRange.EndingSequenceNumber = "1"
		}
		id, parents, _ := strings.Cut(one, "<")
		s.ShardId = id
		s.ParentShardId, s.AdjacentParentShardId, _ = strings.Cut(parents, ",")
		list = append(list, s)
	}
	return list
}

func idsOfChildren(children []child) string {
	var ids []string
	for _, c := range children {
		ids = append(ids, c.ShardId)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// Kinesis Developer Guide, "Resharding a stream": records of a parent come before those of its children.
func TestChildrenBeginWhenAllTheirParentsHaveEnded(t *testing.T) {
	t.Parallel()
	s, first := newSuccession(lineage("1<0! 2<0! 3<1,2 4"), false) // retention has taken 0

	if got := idsOfChildren(first); got != "1 2 4" {
		t.Errorf("it begins with %s, want 1 2 4", got)
	}
	merged := []child{{ShardId: "3", ParentShards: []string{"1", "2"}}}
	if got := s.ended("1", merged); len(got) != 0 {
		t.Errorf("%v begins before the other parent has ended", got)
	}
	if got := idsOfChildren(s.ended("2", merged)); got != "3" {
		t.Errorf("after both parents begins %q, want 3", got)
	}
	// a reshard that nobody knew of when reading began
	if got := idsOfChildren(s.ended("4", []child{{ShardId: "5", ParentShards: []string{"4"}}})); got != "5" {
		t.Errorf("after 4 begins %q, want 5", got)
	}
}

// From now on: closed shards are not read, and nobody waits for them.
func TestFromNowOnOnlyOpenShardsAreRead(t *testing.T) {
	t.Parallel()
	s, first := newSuccession(lineage("0! 1<0 2<0! 3"), true)

	if got := idsOfChildren(first); got != "1 3" {
		t.Errorf("it begins with %s, want 1 3", got)
	}
	if got := idsOfChildren(s.ended("1", []child{{ShardId: "4", ParentShards: []string{"1", "2"}}})); got != "4" {
		t.Errorf("after 1 begins %q, want 4: its other parent is not read", got)
	}
}

// Whatever was split and merged, in whatever order shards end: each is read once, after its parents.
func TestEveryShardIsReadOnceAfterItsParents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list, open := lineage("0 1"), []int{0, 1}
		name := func(i int) string { return string(rune('a' + i)) }
		for i := range list {
			list[i].ShardId = name(i)
		}
		for range rapid.IntRange(0, 10).Draw(t, "reshards") {
			i := rapid.IntRange(0, len(open)-1).Draw(t, "shard")
			parent := open[i]
			children := 2
			if j := (i + 1) % len(open); rapid.Bool().Draw(t, "merge") && j != i {
				children = 1
				list = append(list, shard{
					ShardId: name(len(list)), ParentShardId: name(parent), AdjacentParentShardId: name(open[j]),
				})
				open = slices.DeleteFunc(open, func(n int) bool { return n == parent || n == open[j] })
			} else {
				for range 2 {
					list = append(list, shard{ShardId: name(len(list)), ParentShardId: name(parent)})
				}
				open = slices.Delete(open, i, i+1)
			}
			for n := range children {
				open = append(open, len(list)-children+n)
			}
		}
		known := rapid.IntRange(2, len(list)).Draw(t, "listed") // the rest happens while the stream is read

		s, reading := newSuccession(list[:known], false)
		var ended []string
		for len(reading) > 0 {
			i := rapid.IntRange(0, len(reading)-1).Draw(t, "ends")
			id := reading[i].ShardId
			reading = slices.Delete(reading, i, i+1)
			at := slices.IndexFunc(list, func(sh shard) bool { return sh.ShardId == id })
			for _, p := range list[at].parents() {
				if !slices.Contains(ended, p) {
					t.Fatalf("%s was read before its parent %s", id, p)
				}
			}
			ended = append(ended, id)
			var children []child
			for n := range list {
				if slices.Contains(list[n].parents(), id) {
					children = append(children, list[n].asChild())
				}
			}
			reading = append(reading, s.ended(id, children)...)
		}

		slices.Sort(ended)
		if len(slices.Compact(slices.Clone(ended))) != len(list) || len(ended) != len(list) {
			t.Fatalf("of %d shards were read %v", len(list), ended)
		}
	})
}
