// Package streamtest reshards streams for tests of the rooms that read them, as SplitShard and MergeShards do for
// users.
package streamtest

import (
	"math/big"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// Split closes an open shard and puts two halves in its place.
func Split(t testing.TB, s *stream.Streams, name stream.Name, id record.ShardID) {
	t.Helper()
	r := shard(t, s, name, id).Range
	middle := new(big.Int).Add(r.Start.Big(), r.End.Big())
	middle.Rsh(middle, 1)
	low, high := record.HashKeyRange{Start: r.Start}, record.HashKeyRange{End: r.End}
	middle.FillBytes(low.End[:])
	middle.Add(middle, big.NewInt(1)).FillBytes(high.Start[:])
	reshard(t, s, name, []record.ShardID{id}, []record.HashKeyRange{low, high})
}

// Merge closes two adjacent open shards, the lower one first, and puts one in their place.
func Merge(t testing.TB, s *stream.Streams, name stream.Name, low, high record.ShardID) {
	t.Helper()
	r := record.HashKeyRange{Start: shard(t, s, name, low).Range.Start, End: shard(t, s, name, high).Range.End}
	reshard(t, s, name, []record.ShardID{low, high}, []record.HashKeyRange{r})
}

func shard(t testing.TB, s *stream.Streams, name stream.Name, id record.ShardID) *stream.ShardInfo {
	t.Helper()
	info, err := s.Lookup(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	sh, ok := info.Shard(id)
	if !ok {
		t.Fatalf("%s has no %s", name, id)
	}
	return sh
}

func reshard(
	t testing.TB, s *stream.Streams, name stream.Name, parents []record.ShardID, children []record.HashKeyRange,
) {
	t.Helper()
	if err := s.Reshard(t.Context(), name, parents, children); err != nil {
		t.Fatal(err)
	}
}
