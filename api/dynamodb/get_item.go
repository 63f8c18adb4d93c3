package dynamodb

import (
	"context"
	"encoding/json"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table/expr"
)

type getItemAnswer struct {
	// absent: there is no item; an item without projected attributes is still present
	Item             json.RawMessage `json:",omitempty"`
	ConsumedCapacity *consumed       `json:",omitempty"`
}

// projections are what GetItem takes, and each table of a BatchGetItem.
var projections = parameters{[]string{"ProjectionExpression"}, []string{"AttributesToGet"}}

// getItem reads one item. Source: DynamoDB API Reference, GetItem.
func (h *Handler) getItem(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	in.need("Key")
	projections.keepApart(in)
	key, consistent, wanted := in.item("Key"), in.boolean("ConsistentRead"), in.returnCapacity()
	x := projections.read(in)
	if err := in.err(); err != nil {
		return nil, err
	}
	got, err := h.tables.Get(ctx, name, key, consistent)
	if err != nil {
		return nil, err
	}
	answer := getItemAnswer{ConsumedCapacity: consumedOf(wanted, name.Table, got.Capacity)}
	if got.Item != nil {
		answer.Item = wireItem(projected(x.projection, got.Item))
	}
	return answer, nil
}

// projected returns what a projection shows of an item; without one, all.
func projected(p expr.Projection, item expr.Item) expr.Item {
	if p == nil {
		return item
	}
	return p.Of(item)
}
