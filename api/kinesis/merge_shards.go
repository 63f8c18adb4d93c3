package kinesis

import "context"

// mergeShards serves MergeShards: the shard with the lower hash key range is ShardToMerge.
func (h *handler) mergeShards(ctx context.Context, c *call) error {
	f := c.request("StreamName", "ShardToMerge", "AdjacentShardToMerge", "StreamARN")
	name, shard, adjacent := f.str("StreamName"), f.str("ShardToMerge"), f.str("AdjacentShardToMerge")
	arn := f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.name("shardToMerge", shard, required)
	v.name("adjacentShardToMerge", adjacent, required)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	return h.streams.Merge(ctx, target, *shard, *adjacent)
}
