package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
)

// addPermission adds a statement to the policy of a queue. Source: SQS API Reference, AddPermission.
func (h *Handler) addPermission(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	var in queue.Permission
	if in.Label, err = p.text("Label"); err != nil {
		return nil, err
	}
	if err := decode(p, "AWSAccountIds", &in.Accounts); err != nil {
		return nil, err
	}
	if err := decode(p, "Actions", &in.Actions); err != nil {
		return nil, err
	}
	return nil, h.queues.AddPermission(ctx, name, in)
}
