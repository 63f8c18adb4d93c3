package dynamodb

import (
	"context"
	"math"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

type descriptionAnswer struct {
	TableDescription *tableDescription
}

// createTable makes a table that can be used at once. Source: DynamoDB API Reference, CreateTable. Streams, replicas,
// other table classes and policies are refused by name.
func (h *Handler) createTable(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	in.need("AttributeDefinitions", "KeySchema")
	in.refuse(
		"OnDemandThroughput", "WarmThroughput", "ResourcePolicy", "GlobalTableSourceArn",
		"GlobalTableSettingsReplicationMode", "VectorIndexes",
	)
	in.refuseOn("StreamSpecification", "StreamEnabled")
	if class := in.enum("TableClass", "STANDARD", "STANDARD_INFREQUENT_ACCESS"); class == "STANDARD_INFREQUENT_ACCESS" {
		in.fail(unsupported("the TableClass STANDARD_INFREQUENT_ACCESS"))
	}
	d := table.Definition{
		Attributes: in.attributes(), Key: in.key(), Billing: in.billing(), Throughput: in.throughput(),
		Protected: in.boolean("DeletionProtectionEnabled"),
		Tags:      in.tags("Tags"), Local: in.indexes("LocalSecondaryIndexes"),
		Global: in.indexes("GlobalSecondaryIndexes"),
	}
	if key := in.encryption(c); key != nil {
		d.EncryptionKey = *key
	}
	if d.Billing == "" {
		d.Billing = table.Provisioned
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	made, err := h.tables.Create(ctx, name, d)
	if err != nil {
		return nil, err
	}
	return descriptionAnswer{described(made, creating)}, nil
}

// refuseOn refuses a structure whose switch is on.
func (in *input) refuseOn(name, toggle string) {
	if s := in.structure(name); s != nil && s.boolean(toggle) {
		in.fail(unsupported("the parameter " + name))
	}
}

func (in *input) attributes() []table.Attribute {
	var out []table.Attribute
	for _, a := range in.structures("AttributeDefinitions") {
		a.need("AttributeName", "AttributeType")
		if name := a.text("AttributeName"); a.has("AttributeName") && (name == "" || len(name) > 255) {
			in.fail(invalid(
				"One or more parameter values were invalid: The name of a key attribute has from 1 to 255 bytes",
			))
		}
		out = append(out, table.Attribute{Name: a.text("AttributeName"), Type: a.enum("AttributeType", "B", "N", "S")})
	}
	return out
}

func (in *input) key() []table.KeyElement {
	in.sized("KeySchema", 1, 2)
	var out []table.KeyElement
	for _, k := range in.structures("KeySchema") {
		k.need("AttributeName", "KeyType")
		out = append(out, table.KeyElement{Name: k.text("AttributeName"), Type: k.enum("KeyType", "HASH", "RANGE")})
	}
	return out
}

func (in *input) billing() string { return in.enum("BillingMode", table.Provisioned, table.OnDemand) }

// throughput reads ProvisionedThroughput; nil when it is absent.
func (in *input) throughput() *table.Throughput {
	t := in.structure("ProvisionedThroughput")
	if t == nil {
		return nil
	}
	t.need("ReadCapacityUnits", "WriteCapacityUnits")
	read, _ := t.integer("ReadCapacityUnits", 1, math.MaxInt64)
	write, _ := t.integer("WriteCapacityUnits", 1, math.MaxInt64)
	return &table.Throughput{Read: read, Write: write}
}

func (in *input) indexes(name string) []table.Index {
	list := in.structures(name)
	if in.has(name) && len(list) == 0 {
		in.fail(invalid("One or more parameter values were invalid: List of %s is empty", name))
	}
	var out []table.Index
	for _, x := range list {
		out = append(out, x.index())
	}
	return out
}

func (in *input) index() table.Index {
	in.need("IndexName", "KeySchema", "Projection")
	in.refuse("OnDemandThroughput", "WarmThroughput")
	x := table.Index{Name: in.text("IndexName"), Key: in.key(), Throughput: in.throughput()}
	if in.has("IndexName") {
		in.name("IndexName", x.Name)
	}
	if p := in.structure("Projection"); p != nil {
		p.sized("NonKeyAttributes", 1, 20)
		x.Projection, x.Attributes = p.enum(
			"ProjectionType", table.All, table.Include, table.KeysOnly,
		), p.texts("NonKeyAttributes")
	}
	return x
}

// tags reads a list of Key and Value.
func (in *input) tags(name string) map[string]string {
	tags := map[string]string{}
	for _, t := range in.structures(name) {
		t.need("Key", "Value")
		k, v := t.text("Key"), t.text("Value")
		if len(k) > 128 || len(v) > 256 {
			in.fail(invalid(
				"One or more parameter values were invalid: Tag keys have up to 128 characters, values up to 256",
			))
		}
		tags[k] = v
	}
	return tags
}
