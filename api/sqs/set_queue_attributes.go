package sqs

import (
	"context"
	"maps"
	"slices"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

// setQueueAttributes changes a queue's policy; "" takes it away. The other attributes are refused by name. Source: SQS
// API Reference, SetQueueAttributes.
func (h *Handler) setQueueAttributes(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := h.queue(ctx, c, p)
	if err != nil {
		return nil, err
	}
	var attributes map[string]string
	if err := decode(p, "Attributes", &attributes); err != nil {
		return nil, err
	}
	if len(attributes) == 0 {
		return nil, missing("Attribute.Name")
	}
	for _, attribute := range slices.Sorted(maps.Keys(attributes)) {
		switch {
		case attribute == "Policy":
		case slices.Contains(settable, attribute):
			return nil, unsupported("a change of the attribute " + attribute)
		default:
			return nil, fault.New(queue.CodeUnknownAttribute, "Unknown Attribute %s.", clip(attribute))
		}
	}
	return nil, h.queues.SetPolicy(ctx, name, attributes["Policy"])
}

// settable are the attributes that AWS changes and this room does not.
var settable = []string{
	"DelaySeconds", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MaximumMessageSize", "MessageRetentionPeriod",
	"ReceiveMessageWaitTimeSeconds", "RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled", "VisibilityTimeout",
}
