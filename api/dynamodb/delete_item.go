package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

// deleteItem deletes an item; one that does not exist does no harm. Source: DynamoDB API Reference, DeleteItem.
func (h *Handler) deleteItem(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	in.need("Key")
	conditions.keepApart(in)
	return h.write(ctx, in, name, table.Write{Kind: table.Delete, Key: in.item("Key")}, conditions)
}
