package dynamodb

import (
	"context"
	"encoding/json"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/companion/table/expr"
)

// Limits of BatchGetItem. Source: DynamoDB API Reference, BatchGetItem.
const (
	maxBatchKeys      = 100
	maxBatchReadBytes = 16 << 20
)

type batchGetAnswer struct {
	Responses        map[string][]json.RawMessage
	UnprocessedKeys  map[string]any
	ConsumedCapacity []*consumed `json:",omitempty"`
}

// tableKeys is the part of a BatchGetItem for one table.
type tableKeys struct {
	given      string // as the caller names the table
	request    map[string]any
	name       table.Name
	keys       []expr.Item
	consistent bool
	projection expr.Projection
}

// batchGetItem reads up to 100 items. What would make the answer too large is left for the caller to ask again. Source:
// DynamoDB API Reference, BatchGetItem.
func (h *Handler) batchGetItem(ctx context.Context, c wire.Caller, in *input) (any, error) {
	in.need("RequestItems")
	in.sized("RequestItems", 1, maxBatchKeys)
	wanted := in.returnCapacity()
	var asked []tableKeys
	count := 0
	if items := in.byTable("RequestItems"); items != nil {
		for _, given := range items.sortedMembers() {
			k := items.tableKeys(given, c)
			count += len(k.keys)
			asked = append(asked, k)
		}
	}
	if count > maxBatchKeys {
		in.fail(invalid("Too many items requested for the BatchGetItem call"))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	answer := batchGetAnswer{Responses: map[string][]json.RawMessage{}, UnprocessedKeys: map[string]any{}}
	budget := h.batchBytes
	for _, k := range asked {
		found := []json.RawMessage{}
		var capacity table.Capacity
		read, err := h.tables.GetAll(ctx, k.name, k.keys, k.consistent, budget, func(g table.Got) {
			budget -= g.Bytes
			capacity = capacity.Plus(g.Capacity)
			if g.Item != nil {
				found = append(found, wireItem(projected(k.projection, g.Item)))
			}
		})
		if err != nil {
			return nil, err
		}
		answer.Responses[k.given] = found
		if left := k.keys[read:]; len(left) > 0 {
			k.request["Keys"] = wireItems(left)
			answer.UnprocessedKeys[k.given] = k.request
		}
		if used := consumedOf(wanted, k.name.Table, capacity); used != nil {
			answer.ConsumedCapacity = append(answer.ConsumedCapacity, used)
		}
	}
	return answer, nil
}

func (in *input) tableKeys(given string, c wire.Caller) tableKeys {
	k := tableKeys{given: given, name: in.tableNamed(given, given, c)}
	one := in.structure(given)
	if one == nil {
		in.need(given)
		return k
	}
	projections.keepApart(one)
	one.need("Keys")
	one.sized("Keys", 1, maxBatchKeys)
	keys, _ := member[[]any](one, "Keys", "list")
	for _, raw := range keys {
		m, ok := raw.(map[string]any)
		if !ok {
			one.mismatch(raw, "map")
			continue
		}
		k.keys = append(k.keys, one.itemOf(m))
	}
	k.request, k.consistent = one.members, one.boolean("ConsistentRead")
	k.projection = projections.read(one).projection
	return k
}
