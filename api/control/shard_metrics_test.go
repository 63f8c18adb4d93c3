package control

import (
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// Prometheus is told how each shard stands: what it waits for, how old its oldest unsettled record is, how many records
// it holds, which attempt its batch has, and since when its window is open. A shard that no machine runs has its phase
// alone.
func TestShardsShowHowTheyStand(t *testing.T) {
	t.Parallel()
	w := newWorld()
	arrived := record.MillisOf(w.clock.Now().Add(-time.Minute))
	w.statuses = []engine.MappingStatus{{UUID: "u", Shards: []engine.ShardStatus{
		{
			ShardState: esm.ShardState{Shard: 0, Phase: esm.PhaseRuns},
			Machine: &esm.ShardStatus{
				Records: 7, Window: esm.Window{Start: 60_000, End: 120_000},
				Lanes: []esm.LaneState{
					{Wait: esm.WaitRecords}, {Wait: esm.WaitRetry, Batch: 4, Attempt: 3, FirstArrival: arrived},
				},
			},
		},
		{ShardState: esm.ShardState{Shard: 1, Phase: esm.PhaseParents}},
		{ShardState: esm.ShardState{Shard: 2, Phase: esm.PhaseRuns}, Problem: "PROBLEM: its checkpoint is corrupt"},
		{ShardState: esm.ShardState{Shard: 3, Phase: esm.PhaseRuns}, Parked: "lane 1 is lost"},
	}}, {UUID: "v", Problem: "PROBLEM: no stream", Shards: []engine.ShardStatus{
		{ShardState: esm.ShardState{Shard: 0, Phase: esm.PhaseOff}},
	}}}

	_, page := do(w.handler(true), "GET", PathMetrics, "")

	const first = `{mapping="u",shard="shardId-000000000000"`
	for _, line := range []string{
		"shardmill_mapping_shard_phase" + first + `,phase="runs"} 1`,
		`shardmill_mapping_shard_phase{mapping="u",shard="shardId-000000000001",phase="parents"} 1`,
		"shardmill_mapping_shard_problem" + first + "} 0",
		`shardmill_mapping_shard_problem{mapping="u",shard="shardId-000000000001"} 0`,
		`shardmill_mapping_shard_problem{mapping="u",shard="shardId-000000000002"} 1`,
		`shardmill_mapping_shard_problem{mapping="u",shard="shardId-000000000003"} 1`,
		`shardmill_mapping_shard_problem{mapping="v",shard="shardId-000000000000"} 1`,
		"shardmill_mapping_buffered_records" + first + "} 7",
		"shardmill_mapping_batch_attempt" + first + `,lane="1"} 3`,
		"shardmill_mapping_lane_state" + first + `,lane="0",reason="records"} 1`,
		"shardmill_mapping_lane_state" + first + `,lane="1",reason="retry"} 1`,
		"shardmill_mapping_window_start_seconds" + first + "} 60",
		"shardmill_mapping_checkpoint_lag_seconds" + first + "} 6",
	} {
		if !strings.Contains(page, line) {
			t.Errorf("%s is not in\n%s", line, page)
		}
	}
	if strings.Contains(page, `buffered_records{mapping="u",shard="shardId-000000000001"`) {
		t.Error("a shard that does not run holds records")
	}
}
