package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// byPartitionKey is the one way in which records find their shard here.
const byPartitionKey = "USER_PARTITION_KEY"

// createStream serves CreateStream. A stream without ShardCount and mode is on-demand.
func (h *handler) createStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "ShardCount", "StreamModeDetails", "Tags", "WarmThroughputMiBps", "MaxRecordSizeInKiB",
		"RecordDistributionStrategy")
	name, shards := f.str("StreamName"), f.integer("ShardCount")
	var mode *string
	details := f.structure("StreamModeDetails", "StreamMode")
	if details != nil {
		mode = details.str("StreamMode")
	}
	tags, warm, size := f.texts("Tags"), f.integer("WarmThroughputMiBps"), f.integer("MaxRecordSizeInKiB")
	distribution := f.str("RecordDistributionStrategy")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, required)
	v.number("shardCount", shards, optional, 1, maxInteger)
	v.mode(mode, details != nil)
	v.tags(tags, optional)
	v.warm(warm, optional)
	v.recordSize(size, optional)
	v.enum("recordDistributionStrategy", distribution, optional, "AUTO", byPartitionKey)
	if err := v.Err(); err != nil {
		return err
	}
	if distribution != nil && *distribution != byPartitionKey {
		return absent.Parameter(codeInvalid, "RecordDistributionStrategy "+*distribution)
	}
	in := stream.CreateInput{Mode: stream.Mode(or(mode)), Shards: int(or(shards)), RecordBytes: int(or(size)) * 1024}
	if tags != nil {
		in.Tags = tags.values
	}
	if warm != nil {
		n := int(*warm)
		in.Warm = &n
	}
	made := stream.Name{Account: c.caller.Account, Region: c.caller.Region, Name: *name}
	if err := c.caller.PermitStream(made.Name, made.ARN()); err != nil {
		return err
	}
	if err := h.streams.Admit(made, c.operation); err != nil {
		return err
	}
	return h.streams.Create(ctx, made, in)
}

// maxInteger is the largest Integer of the model; larger numbers arrive as this one.
const maxInteger = 1<<31 - 1
