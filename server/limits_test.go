package server

import (
	"strings"
	"testing"
)

// Limits reach the streams: a sixth call in a second is refused, and so is a shard beyond the limit; without them calls
// are not counted. What each limit is, api/kinesis tests.
func TestLimitsReachTheStreams(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg     Config
		refused bool
	}{
		{Config{Dev: true, Limits: LimitsAWS, ShardLimit: 3}, true},
		{Config{Dev: true}, false},
	} {
		b := start(t, c.cfg)
		refusals := 0
		for range 50 {
			status, answer := b.kinesis("DescribeLimits", `{}`)
			if status == 400 && strings.Contains(answer, "Rate exceeded for account 000000000000.") {
				refusals++
			}
		}
		if (refusals > 0) != c.refused {
			t.Errorf("%+v: %d calls are refused", c.cfg, refusals)
		}
		status, answer := b.kinesis("CreateStream", `{"StreamName":"s","ShardCount":4}`)
		if refused := status == 400 && strings.Contains(answer, "Limit: 3."); refused != c.refused {
			t.Errorf("%+v: four shards: %d %s", c.cfg, status, answer)
		}
	}
}
