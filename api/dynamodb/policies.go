package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

type revisionAnswer struct {
	RevisionId string `json:",omitempty"`
}

// putResourcePolicy replaces the policy of a table. The owner can always change it, so that there is nothing to confirm
// by ConfirmRemoveSelfResourceAccess. Source: DynamoDB API Reference, PutResourcePolicy.
func (h *Handler) putResourcePolicy(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name, text, expected := in.resource(c), in.text("Policy"), in.text("ExpectedRevisionId")
	in.need("Policy")
	in.boolean("ConfirmRemoveSelfResourceAccess")
	if in.has("Policy") && text == "" {
		in.fail(invalid("The policy is not valid: the policy is not JSON."))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	revision, err := h.tables.SetPolicy(ctx, name, text, expected)
	if err != nil {
		return nil, err
	}
	return revisionAnswer{revision}, nil
}

// getResourcePolicy answers the policy of a table. Source: DynamoDB API Reference, GetResourcePolicy.
func (h *Handler) getResourcePolicy(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.resource(c)
	if err := in.err(); err != nil {
		return nil, err
	}
	text, revision, err := h.tables.Policy(ctx, name)
	if err != nil {
		return nil, err
	}
	return struct{ Policy, RevisionId string }{text, revision}, nil
}

// deleteResourcePolicy takes the policy of a table away; without one that is harmless. Source: DynamoDB API Reference,
// DeleteResourcePolicy.
func (h *Handler) deleteResourcePolicy(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name, expected := in.resource(c), in.text("ExpectedRevisionId")
	if err := in.err(); err != nil {
		return nil, err
	}
	revision, err := h.tables.SetPolicy(ctx, name, "", expected)
	if err != nil {
		return nil, err
	}
	return revisionAnswer{revision}, nil
}
