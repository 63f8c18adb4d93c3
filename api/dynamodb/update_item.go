package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

var updates = parameters{
	[]string{"UpdateExpression", "ConditionExpression"}, []string{"AttributeUpdates", "Expected"},
}

// updateItem changes an item, or makes it. Source: DynamoDB API Reference, UpdateItem.
func (h *Handler) updateItem(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	in.need("Key")
	updates.keepApart(in)
	return h.write(ctx, in, name, table.Write{Kind: table.Update, Key: in.item("Key")}, updates)
}
