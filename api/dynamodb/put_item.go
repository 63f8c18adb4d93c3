package dynamodb

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/companion/table/expr"
)

type writeResult struct {
	Attributes       json.RawMessage `json:",omitempty"`
	ConsumedCapacity *consumed       `json:",omitempty"`
}

var returnValues = []string{"ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"}

// conditions are what PutItem and DeleteItem take.
var conditions = parameters{[]string{"ConditionExpression"}, []string{"Expected"}}

// putItem stores an item in the place of the one with its key. Source: DynamoDB API Reference, PutItem.
func (h *Handler) putItem(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	in.need("Item")
	conditions.keepApart(in)
	w := table.Write{Kind: table.Put, Item: in.item("Item")}
	return h.write(ctx, in, name, w, conditions)
}

// write returns what PutItem, UpdateItem and DeleteItem have in common.
func (h *Handler) write(ctx context.Context, in *input, name table.Name, w table.Write, p parameters) (any, error) {
	values := in.enum("ReturnValues", returnValues...)
	onFailure := in.enum("ReturnValuesOnConditionCheckFailure", "ALL_OLD", "NONE")
	wanted := in.returnCapacity()
	in.returnMetrics()
	if w.Kind != table.Update && values != "" && values != "NONE" && values != "ALL_OLD" {
		in.fail(invalid("ReturnValues can only be ALL_OLD or NONE"))
	}
	x := p.read(in)
	if err := in.err(); err != nil {
		return nil, err
	}
	w.Condition, w.Update = x.condition, x.update
	out, err := h.tables.Write(ctx, name, w)
	if failed := (*table.ConditionFailed)(nil); errors.As(err, &failed) && onFailure == "ALL_OLD" {
		return nil, shownFault{err, wireItem(failed.Item)}
	}
	if err != nil {
		return nil, err
	}
	result := writeResult{ConsumedCapacity: consumedOf(wanted, name.Table, out.Capacity)}
	if item := returned(values, w.Update, out); len(item) > 0 {
		result.Attributes = wireItem(item)
	}
	return result, nil
}

// returned returns the attributes that ReturnValues asks for; nil: none.
func returned(values string, u *expr.Update, out table.Written) expr.Item {
	item := out.Old
	switch values {
	case "ALL_OLD":
		return out.Old
	case "ALL_NEW":
		return out.New
	case "UPDATED_NEW":
		item = out.New
	case "UPDATED_OLD":
	default:
		return nil
	}
	if u == nil {
		return nil
	}
	return u.Paths().Of(item)
}
