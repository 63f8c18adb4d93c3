package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// tagQueue adds tags to a queue or changes their values. Source: SQS API Reference, TagQueue.
func (h *Handler) tagQueue(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	if err := decode(p, "Tags", &tags); err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, missing("Tags")
	}
	return nil, h.queues.Tag(ctx, name, tags)
}
