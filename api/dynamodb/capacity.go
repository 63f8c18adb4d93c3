package dynamodb

import "github.com/shardmill/shardmill/companion/table"

// units is Capacity on the wire.
type units struct {
	CapacityUnits float64
}

// consumed is ConsumedCapacity on the wire.
type consumed struct {
	TableName              string
	CapacityUnits          float64
	Table                  *units           `json:",omitempty"`
	GlobalSecondaryIndexes map[string]units `json:",omitempty"`
	LocalSecondaryIndexes  map[string]units `json:",omitempty"`
}

// returnCapacity reads ReturnConsumedCapacity.
func (in *input) returnCapacity() string {
	return in.enum("ReturnConsumedCapacity", "INDEXES", "TOTAL", "NONE")
}

// consumedOf returns what an answer says of capacity; nil when the request did not ask.
func consumedOf(wanted, table string, c table.Capacity) *consumed {
	switch wanted {
	case "TOTAL":
		return &consumed{TableName: table, CapacityUnits: c.Total().Float()}
	case "INDEXES":
		return &consumed{table, c.Total().Float(), &units{c.Table.Float()}, wireUnits(c.Global), wireUnits(c.Local)}
	}
	return nil
}

func wireUnits(m map[string]table.Units) map[string]units {
	out := make(map[string]units, len(m))
	for name, u := range m {
		out[name] = units{u.Float()}
	}
	return out
}

// returnMetrics reads ReturnItemCollectionMetrics; sizes of item collections are not kept.
func (in *input) returnMetrics() {
	if in.enum("ReturnItemCollectionMetrics", "SIZE", "NONE") == "SIZE" {
		in.fail(unsupported("ReturnItemCollectionMetrics SIZE"))
	}
}
