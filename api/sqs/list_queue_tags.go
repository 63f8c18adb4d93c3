package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

type tagsAnswer struct {
	Tags map[string]string `json:"Tags,omitempty"`
}

// listQueueTags answers the tags of a queue; one without tags has no member Tags. Source: SQS API Reference,
// ListQueueTags.
func (h *Handler) listQueueTags(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	tags, err := h.queues.Tags(ctx, name)
	if err != nil {
		return nil, err
	}
	return tagsAnswer{tags}, nil
}
