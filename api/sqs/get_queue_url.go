package sqs

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

// getQueueURL answers the URL of an existing queue. Source: SQS API Reference, GetQueueUrl.
func (h *Handler) getQueueURL(ctx context.Context, c wire.Caller, p params) (any, error) {
	name, err := p.text("QueueName")
	if err != nil {
		return nil, err
	}
	account := c.Account
	if err := decode(p, "QueueOwnerAWSAccountId", &account); err != nil {
		return nil, err
	}
	of := queue.Name{Account: account, Region: c.Region, Name: name}
	err = h.authorize(ctx, c, of)
	if fault.CodeOf(err) == fault.CodeAccessDenied && account != c.Account {
		return nil, fault.New(
			queue.CodeNoSuchQueue, "The specified queue does not exist or you do not have access to it.",
		)
	}
	if err != nil {
		return nil, err
	}
	if err := h.queues.Find(ctx, of); err != nil {
		return nil, err
	}
	return urlAnswer{queueURL(c, account, name)}, nil
}
