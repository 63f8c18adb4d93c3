package destination

import (
	"context"

	"github.com/shardmill/shardmill/internal/arn"
)

// Topics is what the SNS kind needs from a topic service. A repeat with the same id may reach subscribers again.
type Topics interface {
	PublishNotice(ctx context.Context, account, region, topic, id string, message []byte) error
}

// SNS returns the kind of topic destinations: the message, which subscribers get in the topic's envelope unless they
// want it raw, is the notice.
func SNS(t Topics) Kind {
	return Kind{Service: "sns", Open: func(a arn.ARN) Sender { return snsSender{t, a} }}
}

type snsSender struct {
	topics Topics
	arn    arn.ARN
}

func (s snsSender) Send(ctx context.Context, n Sending) error {
	return s.topics.PublishNotice(ctx, s.arn.Account, s.arn.Region, s.arn.Resource, n.ID, n.Body)
}

func (snsSender) Payload() bool { return false }
