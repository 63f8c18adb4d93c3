package kinesis

import "context"

// deleteStream serves DeleteStream. EnforceConsumerDeletion is read and makes no difference: there are no consumers yet that it could protect.
func (h *handler) deleteStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "EnforceConsumerDeletion", "StreamARN")
	name := f.str("StreamName")
	f.boolean("EnforceConsumerDeletion")
	arn := f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.streamARN(arn)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.address(name, arn)
	if err != nil {
		return err
	}
	return h.streams.Delete(ctx, target)
}
