package kinesis

import "context"

// deleteStream serves DeleteStream. EnforceConsumerDeletion is read but makes no difference: there are no consumers yet
// that it could protect.
func (h *handler) deleteStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "EnforceConsumerDeletion", "StreamARN")
	f.boolean("EnforceConsumerDeletion")
	target, err := c.named(f)
	if err != nil {
		return err
	}
	return h.streams.Delete(ctx, target)
}
