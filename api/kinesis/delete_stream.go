package kinesis

import "context"

// deleteStream serves DeleteStream. Consumers keep their stream, unless EnforceConsumerDeletion gives them up with it.
func (h *handler) deleteStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "EnforceConsumerDeletion", "StreamARN")
	enforce := or(f.boolean("EnforceConsumerDeletion"))
	target, err := c.named(f)
	if err != nil {
		return err
	}
	if enforce {
		return h.streams.DeleteWithConsumers(ctx, target)
	}
	return h.streams.Delete(ctx, target)
}
