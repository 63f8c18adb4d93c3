package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// deleteQueue deletes a queue with its messages. AWS keeps the name blocked for 60 seconds; here it can be used again
// at once. Source: SQS API Reference, DeleteQueue.
func (h *Handler) deleteQueue(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return nil, h.queues.DeleteQueue(ctx, name)
}
