package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// updateAccountSettings serves UpdateAccountSettings.
func (h *handler) updateAccountSettings(ctx context.Context, c *call) error {
	f := c.request("MinimumThroughputBillingCommitment")
	var status *string
	commitment := f.structure("MinimumThroughputBillingCommitment", "Status")
	if commitment != nil {
		status = commitment.str("Status")
	}
	if *f.err != nil {
		return *f.err
	}

	const path = "minimumThroughputBillingCommitment"
	var v constraints
	if commitment == nil {
		v.Null(path)
	}
	v.enum(path+".status", status, commitment != nil,
		string(stream.CommitmentEnabled), string(stream.CommitmentDisabled))
	if err := v.Err(); err != nil {
		return err
	}
	if err := c.admit(); err != nil {
		return err
	}
	now, err := h.streams.SetCommitment(
		ctx, c.caller.Account, c.caller.Region, *status == string(stream.CommitmentEnabled),
	)
	if err != nil {
		return err
	}
	return c.answerCommitment(now)
}
