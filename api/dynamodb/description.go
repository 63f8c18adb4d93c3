package dynamodb

import (
	"time"

	"github.com/shardmill/shardmill/companion/table"
)

// The shapes of the DynamoDB API Reference: TableDescription and its parts.
type (
	attributeDefinition struct{ AttributeName, AttributeType string }
	keyElement          struct{ AttributeName, KeyType string }
	projection          struct {
		ProjectionType   string
		NonKeyAttributes []string `json:",omitempty"`
	}
	throughput struct {
		NumberOfDecreasesToday int64
		ReadCapacityUnits      int64
		WriteCapacityUnits     int64
	}
	billingSummary struct {
		BillingMode                       string
		LastUpdateToPayPerRequestDateTime float64
	}
	indexDescription struct {
		IndexName  string
		KeySchema  []keyElement
		Projection projection
		// of global indexes, as Backfilling and ProvisionedThroughput
		IndexStatus           string      `json:",omitempty"`
		Backfilling           *bool       `json:",omitempty"`
		ProvisionedThroughput *throughput `json:",omitempty"`
		IndexSizeBytes        int64
		ItemCount             int64
		IndexArn              string
	}
	tableDescription struct {
		AttributeDefinitions      []attributeDefinition
		TableName                 string
		KeySchema                 []keyElement
		TableStatus               string
		CreationDateTime          float64
		ProvisionedThroughput     throughput
		TableSizeBytes            int64
		ItemCount                 int64
		TableArn                  string
		TableID                   string             `json:"TableId"`
		BillingModeSummary        *billingSummary    `json:",omitempty"`
		LocalSecondaryIndexes     []indexDescription `json:",omitempty"`
		GlobalSecondaryIndexes    []indexDescription `json:",omitempty"`
		SSEDescription            *sseDescription    `json:",omitempty"`
		DeletionProtectionEnabled bool
	}
)

// States of tables and indexes. A table is in one of the others only in the answer of the operation that brought it
// there; the next request finds it ACTIVE, or gone.
const (
	creating = "CREATING"
	updating = "UPDATING"
	deleting = "DELETING"
	active   = "ACTIVE"
)

// seconds returns a time as JSON carries it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// described is d in the given state.
func described(d table.Description, status string) *tableDescription {
	def := d.Definition
	out := &tableDescription{
		TableName: d.Name.Table, KeySchema: keySchema(def.Key), TableStatus: status,
		CreationDateTime:      seconds(d.Created),
		ProvisionedThroughput: throughputOf(def.Throughput), TableSizeBytes: d.Bytes, ItemCount: d.Items,
		TableArn: d.Name.ARN(), TableID: d.ID,
		DeletionProtectionEnabled: def.Protected,
	}
	for _, a := range def.Attributes {
		out.AttributeDefinitions = append(out.AttributeDefinitions, attributeDefinition{a.Name, a.Type})
	}
	if def.Billing == table.OnDemand {
		out.BillingModeSummary = &billingSummary{def.Billing, seconds(d.Created)}
	}
	if key := def.EncryptionKey; key != "" {
		out.SSEDescription = &sseDescription{"ENABLED", "KMS", key}
	}
	for _, x := range def.Local {
		out.LocalSecondaryIndexes = append(out.LocalSecondaryIndexes, indexOf(d, x))
	}
	for _, x := range def.Global {
		i := indexOf(d, x)
		i.IndexStatus = active
		if status == creating {
			i.IndexStatus = creating
		}
		i.ProvisionedThroughput = new(throughputOf(x.Throughput))
		out.GlobalSecondaryIndexes = append(out.GlobalSecondaryIndexes, i)
	}
	return out
}

func indexOf(d table.Description, x table.Index) indexDescription {
	size := d.Indexes[x.Name]
	return indexDescription{
		IndexName: x.Name, KeySchema: keySchema(x.Key), Projection: projection{x.Projection, x.Attributes},
		IndexSizeBytes: size.Bytes, ItemCount: size.Items, IndexArn: d.Name.ARN() + "/index/" + x.Name,
	}
}

func keySchema(key []table.KeyElement) []keyElement {
	var out []keyElement
	for _, k := range key {
		out = append(out, keyElement{k.Name, k.Type})
	}
	return out
}

func throughputOf(t *table.Throughput) throughput {
	if t == nil {
		return throughput{}
	}
	return throughput{0, t.Read, t.Write}
}
