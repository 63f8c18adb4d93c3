package kinesis

import "context"

// splitShard serves SplitShard.
func (h *handler) splitShard(ctx context.Context, c *call) error {
	f := c.request("StreamName", "ShardToSplit", "NewStartingHashKey", "StreamARN")
	name, shard, start := f.str("StreamName"), f.str("ShardToSplit"), f.str("NewStartingHashKey")
	arn := f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.name("shardToSplit", shard, required)
	v.text("newStartingHashKey", start, required, hashPattern, 0, 0)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	return h.streams.Split(ctx, target, *shard, *start)
}
