package kinesis

import "context"

// updateShardCount serves UpdateShardCount. The answer says how many shards were open before.
func (h *handler) updateShardCount(ctx context.Context, c *call) error {
	f := c.request("StreamName", "TargetShardCount", "ScalingType", "StreamARN")
	name, count, scaling := f.str("StreamName"), f.integer("TargetShardCount"), f.str("ScalingType")
	arn := f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.number("targetShardCount", count, required, 1, maxInteger)
	v.enum("scalingType", scaling, required, "UNIFORM_SCALING")
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	before, err := h.streams.UpdateShardCount(ctx, target, int(*count))
	if err != nil {
		return err
	}
	return c.answer(struct {
		CurrentShardCount int
		StreamARN         string
		StreamName        string
		TargetShardCount  int64
	}{before, target.ARN(), target.Name, *count})
}
