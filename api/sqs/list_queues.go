package sqs

import (
	"context"
	"encoding/base64"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/fault"
)

// maxListed is how many queues one ListQueues names.
const maxListed = 1000

type listQueuesAnswer struct {
	QueueURLs []string `json:"QueueUrls,omitempty"`
	NextToken string   `json:"NextToken,omitempty"`
}

// listQueues names the caller's queues in its region. As on AWS, there is a NextToken only when MaxResults was given;
// else the list ends at 1,000. Source: SQS API Reference, ListQueues.
func (h *Handler) listQueues(ctx context.Context, c wire.Caller, p params) (any, error) {
	var prefix, token string
	if err := decode(p, "QueueNamePrefix", &prefix); err != nil {
		return nil, err
	}
	if err := decode(p, "NextToken", &token); err != nil {
		return nil, err
	}
	results, err := p.integer("MaxResults")
	if err != nil {
		return nil, err
	}
	n := maxListed
	if results != nil {
		if n = *results; n < 1 || n > maxListed {
			return nil, fault.New(
				queue.CodeInvalidParameter,
				"Value %d for parameter MaxResults is invalid. Reason: Must be between 1 and %d, if provided.", n,
				maxListed,
			)
		}
	}
	after, err := base64.URLEncoding.DecodeString(token)
	if err != nil || token != "" && !queue.ValidQueueName(string(after)) {
		return nil, fault.New(
			queue.CodeInvalidParameter,
			"Value %s for parameter NextToken is invalid. Reason: It was not issued by ListQueues.", clip(token),
		)
	}
	names, err := h.queues.List(ctx, c.Account, c.Region, prefix, string(after), n+1)
	if err != nil {
		return nil, err
	}
	var out listQueuesAnswer
	if len(names) > n {
		names = names[:n]
		if results != nil {
			out.NextToken = base64.URLEncoding.EncodeToString([]byte(names[n-1]))
		}
	}
	for _, name := range names {
		out.QueueURLs = append(out.QueueURLs, queueURL(c, c.Account, name))
	}
	return out, nil
}
