package dynamodb

import (
	"context"
	"fmt"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

// maxBatchWrites is how many items one BatchWriteItem may put and delete.
const maxBatchWrites = 25

type batchWriteAnswer struct {
	UnprocessedItems map[string][]any
	ConsumedCapacity []*consumed `json:",omitempty"`
}

// batchWriteItem puts and deletes up to 25 items, side by side. Source: DynamoDB API Reference, BatchWriteItem.
func (h *Handler) batchWriteItem(ctx context.Context, c wire.Caller, in *input) (any, error) {
	in.need("RequestItems")
	in.sized("RequestItems", 1, maxBatchWrites)
	wanted := in.returnCapacity()
	in.returnMetrics()
	var writes []table.Named
	var given []string // the table of each, as the caller names it
	var requests []any // each as it came
	if items := in.byTable("RequestItems"); items != nil {
		for _, name := range items.sortedMembers() {
			to := items.tableNamed(name, name, c)
			if list, ok := items.members[name].([]any); ok && (len(list) == 0 || len(list) > maxBatchWrites) {
				in.report.violations.Hidden("requestItems", fmt.Sprintf("Map value must satisfy constraint: "+
					"[Member must have length less than or equal to %d, Member must have length greater than or equal to 1]",
					maxBatchWrites))
			}
			for _, one := range items.structures(name) {
				writes = append(writes, table.Named{Table: to, Write: one.writeRequest()})
				given, requests = append(given, name), append(requests, one.members)
			}
		}
	}
	if len(writes) > maxBatchWrites {
		in.fail(invalid("Too many items requested for the BatchWriteItem call"))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	done, capacity, err := h.tables.WriteAll(ctx, writes)
	if err != nil {
		return nil, err
	}
	answer := batchWriteAnswer{UnprocessedItems: map[string][]any{}}
	for i, ok := range done {
		if !ok {
			answer.UnprocessedItems[given[i]] = append(answer.UnprocessedItems[given[i]], requests[i])
		}
		if used := capacity[writes[i].Table]; i == 0 || writes[i].Table != writes[i-1].Table {
			if shown := consumedOf(wanted, writes[i].Table.Table, used); shown != nil {
				answer.ConsumedCapacity = append(answer.ConsumedCapacity, shown)
			}
		}
	}
	return answer, nil
}

// writeRequest reads one PutRequest or DeleteRequest.
func (in *input) writeRequest() table.Write {
	put, del := in.structure("PutRequest"), in.structure("DeleteRequest")
	switch {
	case put != nil && del == nil:
		put.need("Item")
		return table.Write{Kind: table.Put, Item: put.item("Item")}
	case del != nil && put == nil:
		del.need("Key")
		return table.Write{Kind: table.Delete, Key: del.item("Key")}
	case put != nil:
		in.fail(invalid(
			"Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
		))
	default:
		in.fail(invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"))
	}
	return table.Write{}
}
