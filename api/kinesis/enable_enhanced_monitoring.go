package kinesis

import (
	"context"
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/stream"
)

// enableEnhancedMonitoring serves EnableEnhancedMonitoring.
func (h *handler) enableEnhancedMonitoring(ctx context.Context, c *call) error {
	target, metrics, err := c.monitoring()
	if err != nil {
		return err
	}
	before, after, err := h.streams.Monitor(ctx, target, metrics, 0)
	if err != nil {
		return err
	}
	return c.answerMonitoring(target, before, after)
}

// monitoring returns the parameters that both operations on shard-level metrics have.
func (c *call) monitoring() (target stream.Name, metrics stream.ShardMetrics, err error) {
	f := c.request("StreamName", "ShardLevelMetrics", "StreamARN")
	name := f.str("StreamName")
	listed, present := f.strings("ShardLevelMetrics")
	arn := f.str("StreamARN")
	if *f.err != nil {
		return stream.Name{}, 0, *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	metrics = v.shardMetrics(listed, present)
	target, err = c.target(&v, name, arn)
	return target, metrics, err
}

// shardMetrics checks a list of shard-level metrics, and returns which they are.
func (v *constraints) shardMetrics(listed []string, present bool) (all stream.ShardMetrics) {
	const path, most = "shardLevelMetrics", 7
	if !present {
		v.Null(path)
		return 0
	}
	shown := clip("[" + strings.Join(listed, ", ") + "]")
	if len(listed) < 1 {
		v.Add(path, shown, "Member must have length greater than or equal to 1")
	}
	if len(listed) > most {
		v.Add(path, shown, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	known := true
	for _, name := range listed {
		one, ok := stream.ShardMetricNamed(name)
		known = known && ok
		all |= one
	}
	if !known {
		v.Add(path, shown, "Member must satisfy constraint: [Member must satisfy enum value set: ["+
			strings.Join(stream.AllShardMetrics.Names(), ", ")+", ALL]]")
	}
	return all
}

// answerMonitoring answers with what was measured for each shard of a stream, and what is from now on.
func (c *call) answerMonitoring(target stream.Name, before, after stream.ShardMetrics) error {
	return c.answer(struct {
		CurrentShardLevelMetrics []string
		DesiredShardLevelMetrics []string
		StreamARN                string
		StreamName               string
	}{before.Names(), after.Names(), target.ARN(), target.Name})
}
