package kinesis

import "context"

// deregisterStreamConsumer serves DeregisterStreamConsumer, which has no output.
func (h *handler) deregisterStreamConsumer(ctx context.Context, c *call) error {
	id, err := c.consumer()
	if err != nil {
		return err
	}
	return h.streams.DeregisterConsumer(ctx, id)
}
