package destination

import (
	"context"

	"github.com/shardmill/shardmill/internal/arn"
)

// Queues is what the SQS kind needs from a queue service.
type Queues interface {
	SendNotice(ctx context.Context, account, region, queue, id string, body []byte) error
}

// SQS returns the kind of queue destinations: the message body is the notice.
func SQS(q Queues) Kind {
	return Kind{Service: "sqs", Open: func(a arn.ARN) Sender { return sqsSender{q, a} }}
}

type sqsSender struct {
	queues Queues
	arn    arn.ARN
}

func (s sqsSender) Send(ctx context.Context, n Sending) error {
	return s.queues.SendNotice(ctx, s.arn.Account, s.arn.Region, s.arn.Resource, n.ID, n.Body)
}

func (sqsSender) Payload() bool { return false }
