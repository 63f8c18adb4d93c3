package kinesis

import "context"

// deleteResourcePolicy serves DeleteResourcePolicy.
func (h *handler) deleteResourcePolicy(ctx context.Context, c *call) error {
	target, err := c.resourceAlone()
	if err != nil {
		return err
	}
	if target.consumer != nil {
		return h.streams.DeletePolicyOfConsumer(ctx, *target.consumer)
	}
	return h.streams.DeletePolicy(ctx, target.stream)
}
