package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// untagQueue removes tags of a queue. Source: SQS API Reference, UntagQueue.
func (h *Handler) untagQueue(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	var keys []string
	if err := decode(p, "TagKeys", &keys); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, missing("TagKeys")
	}
	return nil, h.queues.Untag(ctx, name, keys)
}
