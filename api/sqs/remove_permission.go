package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// removePermission takes a statement out of the policy of a queue. Source: SQS API Reference, RemovePermission.
func (h *Handler) removePermission(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	label, err := p.text("Label")
	if err != nil {
		return nil, err
	}
	return nil, h.queues.RemovePermission(ctx, name, label)
}
