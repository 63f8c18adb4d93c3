package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// updateStreamMode serves UpdateStreamMode, which leaves the shards as they are unless WarmThroughputMiBps wants more.
func (h *handler) updateStreamMode(ctx context.Context, c *call) error {
	f := c.request("StreamARN", "StreamModeDetails", "WarmThroughputMiBps")
	arn := f.str("StreamARN")
	var mode *string
	details := f.structure("StreamModeDetails", "StreamMode")
	if details != nil {
		mode = details.str("StreamMode")
	}
	warm := f.integer("WarmThroughputMiBps")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.streamARN(arn, required)
	if details == nil {
		v.Null("streamModeDetails")
	}
	v.mode(mode, details != nil)
	v.warm(warm, optional)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.address(nil, arn)
	if err != nil {
		return err
	}
	if warm == nil {
		return h.streams.SetMode(ctx, target, stream.Mode(*mode), nil)
	}
	n := int(*warm)
	return h.streams.SetMode(ctx, target, stream.Mode(*mode), &n)
}
