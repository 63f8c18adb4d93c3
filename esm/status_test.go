package esm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// A mapping says how each of its shards stands, and what one that no machine runs waits for.
func TestShardsSayHowTheyStand(t *testing.T) {
	t.Parallel()
	var m esm.Mapping
	for _, c := range []struct {
		ev   esm.MappingEvent
		want string
	}{
		{esm.ShardsListed{Shards: []esm.ListedShard{
			{ID: 1}, {ID: 2, Parents: []record.ShardID{1}}, {ID: 3, Ended: true},
		}}, "1 off, 2 off, 3 ended"},
		{esm.Desired{Enabled: true}, "1 unowned, 2 unowned, 3 ended"},
		{esm.Owned{Shard: 1, Epoch: 5}, "1 runs under 5, 2 unowned, 3 ended"},
		{esm.Owned{Shard: 2, Epoch: 5}, "1 runs under 5, 2 parents under 5 [1], 3 ended"},
		{esm.ShardFinished{Shard: 1, Reason: esm.Fenced}, "1 fenced under 5, 2 parents under 5 [1], 3 ended"},
		{esm.Owned{Shard: 1, Epoch: 6}, "1 runs under 6, 2 parents under 5 [1], 3 ended"},
		{esm.ShardFinished{Shard: 1, Reason: esm.Ended}, "1 ended under 6, 2 runs under 5, 3 ended"},
		{esm.Lost{Shard: 2}, "1 ended under 6, 2 ends, 3 ended"},
		{esm.ShardFinished{Shard: 2, Reason: esm.Released}, "1 ended under 6, 2 unowned, 3 ended"},
		{esm.Desired{}, "1 ended under 6, 2 off, 3 ended"},
	} {
		m.Step(c.ev)
		var parts []string
		for _, s := range m.Shards() {
			part := fmt.Sprintf("%d %s", s.Shard, s.Phase)
			if s.Epoch != 0 {
				part += fmt.Sprintf(" under %d", s.Epoch)
			}
			for _, p := range s.Parents {
				part += fmt.Sprintf(" [%d]", p)
			}
			parts = append(parts, part)
		}
		if got := strings.Join(parts, ", "); got != c.want {
			t.Errorf("after %T%+v: %s, want %s", c.ev, c.ev, got, c.want)
		}
	}
}
