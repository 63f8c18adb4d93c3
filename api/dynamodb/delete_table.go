package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// deleteTable deletes a table; its name can be used again at once. Source: DynamoDB API Reference, DeleteTable.
func (h *Handler) deleteTable(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	if err := in.err(); err != nil {
		return nil, err
	}
	d, err := h.tables.Delete(ctx, name)
	if err != nil {
		return nil, err
	}
	return descriptionAnswer{described(d, deleting)}, nil
}
