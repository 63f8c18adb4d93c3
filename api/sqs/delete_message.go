package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// deleteMessage deletes a received message; one that is already gone is no error. Source: SQS API Reference,
// DeleteMessage.
func (h *Handler) deleteMessage(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	handle, err := p.text("ReceiptHandle")
	if err != nil {
		return nil, err
	}
	return nil, h.queues.Delete(ctx, name, handle)
}
