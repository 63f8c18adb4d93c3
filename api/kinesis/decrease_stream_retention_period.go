package kinesis

import "context"

// decreaseStreamRetentionPeriod serves DecreaseStreamRetentionPeriod.
func (h *handler) decreaseStreamRetentionPeriod(ctx context.Context, c *call) error {
	name, hours, err := c.retention()
	if err != nil {
		return err
	}
	return h.streams.DecreaseRetention(ctx, name, hours)
}
