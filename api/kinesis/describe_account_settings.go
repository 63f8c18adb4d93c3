package kinesis

import (
	"context"
	"time"

	"github.com/shardmill/shardmill/stream"
)

type commitmentShape struct {
	EarliestAllowedEndAt *seconds `json:",omitempty"`
	EndedAt              *seconds `json:",omitempty"`
	StartedAt            *seconds `json:",omitempty"`
	Status               stream.CommitmentStatus
}

// describeAccountSettings serves DescribeAccountSettings.
func (h *handler) describeAccountSettings(ctx context.Context, c *call) error {
	if f := c.request(); *f.err != nil {
		return *f.err
	}
	if err := c.admit(); err != nil {
		return err
	}
	commitment, err := h.streams.Commitment(ctx, c.caller.Account, c.caller.Region)
	if err != nil {
		return err
	}
	return c.answerCommitment(commitment)
}

// answerCommitment answers with the settings of an account.
func (c *call) answerCommitment(commitment stream.Commitment) error {
	at := func(t time.Time) *seconds {
		if t.IsZero() {
			return nil
		}
		s := secondsOf(t)
		return &s
	}
	return c.answer(struct{ MinimumThroughputBillingCommitment commitmentShape }{commitmentShape{
		EarliestAllowedEndAt: at(commitment.EarliestEnd), EndedAt: at(commitment.Ended),
		StartedAt: at(commitment.Started), Status: commitment.Status,
	}})
}
