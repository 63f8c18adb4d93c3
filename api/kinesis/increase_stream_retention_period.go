package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// increaseStreamRetentionPeriod serves IncreaseStreamRetentionPeriod.
func (h *handler) increaseStreamRetentionPeriod(ctx context.Context, c *call) error {
	name, hours, err := c.retention()
	if err != nil {
		return err
	}
	return h.streams.IncreaseRetention(ctx, name, hours)
}

// retention returns the parameters that both operations on the retention period have.
func (c *call) retention() (target stream.Name, hours int, err error) {
	f := c.request("StreamName", "RetentionPeriodHours", "StreamARN")
	name, period, arn := f.str("StreamName"), f.integer("RetentionPeriodHours"), f.str("StreamARN")
	if *f.err != nil {
		return stream.Name{}, 0, *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.number("retentionPeriodHours", period, required, 1, maxInteger)
	if target, err = c.target(&v, name, arn); err != nil {
		return stream.Name{}, 0, err
	}
	return target, int(*period), nil
}
