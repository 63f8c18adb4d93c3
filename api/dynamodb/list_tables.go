package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
)

type listTablesAnswer struct {
	TableNames             []string
	LastEvaluatedTableName string `json:",omitempty"`
}

// listTables answers names in byte order. Source: DynamoDB API Reference, ListTables.
func (h *Handler) listTables(ctx context.Context, c wire.Caller, in *input) (any, error) {
	limit, given := in.integer("Limit", 1, 100)
	if !given {
		limit = 100
	}
	after := in.text("ExclusiveStartTableName")
	if in.has("ExclusiveStartTableName") {
		in.name("ExclusiveStartTableName", after)
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	names, more, err := h.tables.List(ctx, c.Account, c.Region, after, int(limit))
	if err != nil {
		return nil, err
	}
	answer := listTablesAnswer{TableNames: append([]string{}, names...)}
	if more {
		answer.LastEvaluatedTableName = names[len(names)-1]
	}
	return answer, nil
}
