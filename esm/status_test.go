package esm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// A mapping reports the state of each of its shards, and what one that no machine runs waits for.
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

// A shard that has expired while it ends is waited for, over any number of lists, and then forgotten.
func TestAnExpiredShardIsWaitedFor(t *testing.T) {
	t.Parallel()
	var m esm.Mapping
	m.Step(esm.ShardsListed{Shards: []esm.ListedShard{{ID: 1}, {ID: 2, Parents: []record.ShardID{1}}}})
	m.Step(esm.Desired{Enabled: true})
	m.Step(esm.Owned{Shard: 1, Epoch: 5})
	m.Step(esm.Owned{Shard: 2, Epoch: 5})
	now := esm.ShardsListed{Shards: []esm.ListedShard{{ID: 2, Parents: []record.ShardID{1}}}, Kept: []record.ShardID{1}}
	m.Step(now)
	m.Step(now)
	got := fmt.Sprintf("%T %[1]v", m.Step(esm.ShardFinished{Shard: 1, Reason: esm.Released}))
	want := fmt.Sprintf("%T %[1]v", []esm.MappingCommand{esm.ForgetShard{Shard: 1}, esm.StartShard{Shard: 2, Epoch: 5}})
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Saved is what the last completed save held, however far the machine is by then.
func TestStatusSaysWhatIsSaved(t *testing.T) {
	t.Parallel()
	s := esm.NewShard(esm.Config{BatchSize: 1, Factor: 1, MaxRetries: esm.Unlimited}, esm.Checkpoint{Low: 7}, 1)
	is := func(when string, saved, low record.Position) {
		t.Helper()
		if st := s.Status(); st.Saved != saved || st.Low != low {
			t.Errorf("%s: saved up to %d, settled up to %d, want %d and %d", when, st.Saved, st.Low, saved, low)
		}
	}
	success := esm.Outcome{Kind: esm.Success, StatusCode: 200}
	s.Step(epoch, esm.Tick{})
	is("at the beginning", 7, 7)
	records := []esm.Rec{{Pos: 8, Bytes: 1, Match: true}, {Pos: 9, Bytes: 1, Match: true}}
	first := batchOf(t, s.Step(epoch, esm.ReadReturned{Seq: 1, Records: records, Next: 10, End: esm.Tail}))
	second := batchOf(t, s.Step(epoch, esm.Returned{Batch: first.Batch, Outcome: success}))
	is("while a save is out", 7, 8)
	s.Step(epoch, esm.Returned{Batch: second.Batch, Outcome: success})
	is("while it is behind", 7, 9)
	s.Step(epoch, esm.Saved{Result: esm.SaveDone})
	is("when it has ended", 8, 9)
	s.Step(epoch, esm.Saved{Result: esm.SaveFault})
	is("when the next has failed", 8, 9)
}
