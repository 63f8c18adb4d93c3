package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// purgeQueue empties a queue. AWS takes up to 60 seconds and refuses a second call meanwhile (PurgeQueueInProgress);
// here the queue is empty before the answer, so that cannot happen. Source: SQS API Reference, PurgeQueue.
func (h *Handler) purgeQueue(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	return nil, h.queues.Purge(ctx, name)
}
