package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

// createStream serves CreateStream. A stream without ShardCount and mode is on-demand; WarmThroughputMiBps needs an
// account commitment that no account has here, so it is refused.
func (h *handler) createStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "ShardCount", "StreamModeDetails", "Tags", "WarmThroughputMiBps", "MaxRecordSizeInKiB")
	name, shards := f.str("StreamName"), f.integer("ShardCount")
	var mode *string
	details := f.structure("StreamModeDetails", "StreamMode")
	if details != nil {
		mode = details.str("StreamMode")
	}
	tags, warm, size := f.texts("Tags"), f.integer("WarmThroughputMiBps"), f.integer("MaxRecordSizeInKiB")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, required)
	v.number("shardCount", shards, optional, 1, maxInteger)
	v.mode(mode, details != nil)
	v.tags(tags, optional)
	v.number("warmThroughputMiBps", warm, optional, 0, maxInteger)
	v.recordSize(size, optional)
	if err := v.Err(); err != nil {
		return err
	}
	if warm != nil {
		return c.refuseWarmThroughput()
	}
	in := stream.CreateInput{Mode: stream.Mode(or(mode)), Shards: int(or(shards)), RecordBytes: int(or(size)) * 1024}
	if tags != nil {
		in.Tags = tags.values
	}
	return h.streams.Create(ctx, stream.Name{Account: c.caller.Account, Region: c.caller.Region, Name: *name}, in)
}

// refuseWarmThroughput is the answer to WarmThroughputMiBps.
func (c *call) refuseWarmThroughput() error {
	return fault.New(
		codeInvalid,
		"WarmThroughputMiBps needs an account whose MinimumThroughputBillingCommitment is enabled; account %s has it disabled.",
		c.caller.Account,
	)
}

// maxInteger is the largest Integer of the model; larger numbers arrive as this one.
const maxInteger = 1<<31 - 1
