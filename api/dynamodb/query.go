package dynamodb

import (
	"context"
	"encoding/json"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

type pageAnswer struct {
	Items            *[]json.RawMessage `json:",omitempty"` // absent if only the count was requested
	Count            int
	ScannedCount     int
	LastEvaluatedKey json.RawMessage `json:",omitempty"`
	ConsumedCapacity *consumed       `json:",omitempty"`
}

var queries = parameters{
	[]string{"ProjectionExpression", "FilterExpression", "KeyConditionExpression"},
	[]string{"AttributesToGet", "QueryFilter", "KeyConditions"},
}

// query reads the items of one hash key. Source: DynamoDB API Reference, Query.
func (h *Handler) query(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	queries.keepApart(in)
	if !in.has("KeyConditionExpression") && !in.has("KeyConditions") {
		in.fail(invalid(
			"Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
		))
	}
	r := table.Range{Descending: in.has("ScanIndexForward") && !in.boolean("ScanIndexForward")}
	return h.page(ctx, in, name, r, queries)
}

// page returns what Query and Scan have in common.
func (h *Handler) page(ctx context.Context, in *input, name table.Name, r table.Range, p parameters) (any, error) {
	if r.Index = in.text("IndexName"); in.has("IndexName") {
		in.name("IndexName", r.Index)
	}
	limit, _ := in.integer("Limit", 1, 1<<31-1)
	r.Limit, r.Consistent, r.After = int(limit), in.boolean("ConsistentRead"), in.item("ExclusiveStartKey")
	selected := in.selected()
	wanted := in.returnCapacity()
	x := p.read(in)
	if err := in.err(); err != nil {
		return nil, err
	}
	r.Query, r.Filter, r.Everything = x.key, x.filter, selected == "ALL_ATTRIBUTES"
	r.LegacyFilter = in.has("QueryFilter")
	if x.projection != nil {
		r.Attributes = x.projection.Attributes()
	}
	page, err := h.tables.Page(ctx, name, r)
	if err != nil {
		return nil, err
	}
	answer := pageAnswer{
		Count: len(page.Items), ScannedCount: page.Read, LastEvaluatedKey: wireItem(page.Last),
		ConsumedCapacity: consumedOf(wanted, name.Table, page.Capacity),
	}
	if selected != "COUNT" {
		for i, item := range page.Items {
			page.Items[i] = projected(x.projection, item)
		}
		answer.Items = new(wireItems(page.Items))
	}
	return answer, nil
}

// selected reads Select and checks it against the other parameters.
func (in *input) selected() string {
	s := in.enum("Select", "SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")
	name := "ProjectionExpression"
	if in.has("AttributesToGet") {
		name = "AttributesToGet"
	}
	projection := in.has(name)
	switch {
	case s == "SPECIFIC_ATTRIBUTES" && !projection:
		in.fail(invalid(
			"Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
		))
	case s == "ALL_PROJECTED_ATTRIBUTES" && !in.has("IndexName"):
		in.fail(invalid(
			"One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
		))
	case s == "COUNT" && projection:
		in.fail(invalid("Cannot specify the %s when choosing to get only the Count", name))
	case s != "" && s != "SPECIFIC_ATTRIBUTES" && projection:
		in.fail(invalid("Cannot specify the %s when choosing to get %s", name, s))
	}
	return s
}
