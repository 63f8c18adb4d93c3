package kinesis

import "context"

// getResourcePolicy serves GetResourcePolicy: the policy as it was put.
func (h *handler) getResourcePolicy(ctx context.Context, c *call) error {
	target, err := c.resourceAlone()
	if err != nil {
		return err
	}
	var policy string
	if target.consumer != nil {
		policy, err = h.streams.PolicyOfConsumer(ctx, *target.consumer)
	} else {
		policy, err = h.streams.Policy(ctx, target.stream)
	}
	if err != nil {
		return err
	}
	return c.answer(struct{ Policy string }{policy})
}
