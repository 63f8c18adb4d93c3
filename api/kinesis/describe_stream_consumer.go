package kinesis

import "context"

// describeStreamConsumer serves DescribeStreamConsumer.
func (h *handler) describeStreamConsumer(ctx context.Context, c *call) error {
	id, err := c.consumer()
	if err != nil {
		return err
	}
	found, err := h.streams.Consumer(ctx, id)
	if err != nil {
		return err
	}
	shape := consumerOf(&found)
	shape.StreamARN = found.ID.Stream.ARN()
	return c.answer(struct{ ConsumerDescription consumerShape }{shape})
}
