package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

// describeTable answers a table's definition and size. Source: DynamoDB API Reference, DescribeTable.
func (h *Handler) describeTable(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	if err := in.err(); err != nil {
		return nil, err
	}
	d, err := h.tables.Describe(ctx, name)
	if err != nil {
		return nil, err
	}
	return struct{ Table *tableDescription }{described(d, active)}, nil
}
