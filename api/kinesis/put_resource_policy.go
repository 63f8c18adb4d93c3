package kinesis

import "context"

// putResourcePolicy serves PutResourcePolicy.
func (h *handler) putResourcePolicy(ctx context.Context, c *call) error {
	f := c.request("ResourceARN", "Policy")
	arn, policy := f.str("ResourceARN"), f.str("Policy")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.resourceARN(arn)
	v.text("policy", policy, required, nil, 0, 0)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.resource(*arn)
	if err != nil {
		return err
	}
	if target.consumer != nil {
		return h.streams.SetPolicyOfConsumer(ctx, *target.consumer, *policy)
	}
	return h.streams.SetPolicy(ctx, target.stream, *policy)
}
