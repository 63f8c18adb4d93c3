package table

import (
	"slices"
	"strings"

	"github.com/shardmill/shardmill/companion/table/expr"
)

// Limits of a table's definition. Source: DynamoDB Developer Guide, "Quotas".
const (
	MaxGlobalIndexes = 20
	MaxLocalIndexes  = 5
	MaxTags          = 50
)

// Billing modes.
const (
	Provisioned = "PROVISIONED"
	OnDemand    = "PAY_PER_REQUEST"
)

// Projection types.
const (
	KeysOnly = "KEYS_ONLY"
	Include  = "INCLUDE"
	All      = "ALL"
)

// Definition is what CreateTable says about a table. It is stored as it is.
type Definition struct {
	Attributes []Attribute
	Key        []KeyElement
	Global     []Index     `json:",omitempty"`
	Local      []Index     `json:",omitempty"`
	Billing    string      // Provisioned or OnDemand
	Throughput *Throughput `json:",omitempty"` // with Provisioned; stored and returned, but nothing is throttled
	Protected  bool        `json:",omitempty"` // DeleteTable is refused
	// what the table says it is encrypted with; "": AWS's own key, of which AWS shows nothing. Stored and returned only
	EncryptionKey string `json:",omitempty"`
	Tags          map[string]string
}

// Attribute names an attribute that is part of a key, and its type: S, N or B.
type Attribute struct{ Name, Type string }

// KeyElement is a part of a key: HASH, then perhaps RANGE.
type KeyElement struct{ Name, Type string }

// Throughput are capacity units per second.
type Throughput struct{ Read, Write int64 }

// Index is a secondary index.
type Index struct {
	Name       string
	Key        []KeyElement
	Projection string      // KeysOnly, Include or All
	Attributes []string    `json:",omitempty"` // with Include
	Throughput *Throughput `json:",omitempty"`
	Number     uint32      // assigned by us, from 1, and never reused within the table
}

// Validate checks a definition as CreateTable does, and returns the first thing that is wrong.
func (d *Definition) Validate() error {
	if err := d.checkBilling(); err != nil {
		return err
	}
	if err := d.checkKey(d.Key); err != nil {
		return err
	}
	if len(d.Global)+len(d.Local) == 0 && len(d.Key) != len(d.Attributes) {
		return invalid(
			prefixInvalid +
				"Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions",
		)
	}
	names := map[string]bool{}
	for i := range d.Local {
		if err := d.checkLocal(&d.Local[i], names); err != nil {
			return err
		}
	}
	if len(d.Local) > MaxLocalIndexes {
		return invalid(prefixInvalid+"Number of LocalSecondaryIndexes exceeds per-table limit of %d", MaxLocalIndexes)
	}
	for i := range d.Global {
		if err := d.checkIndex(&d.Global[i], false, names); err != nil {
			return err
		}
	}
	if len(d.Global) > MaxGlobalIndexes {
		return invalid(prefixInvalid+"GlobalSecondaryIndex count exceeds the per-table limit of %d", MaxGlobalIndexes)
	}
	if len(d.Tags) > MaxTags {
		return invalid(
			"1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to %d",
			MaxTags,
		)
	}
	return d.checkUsed()
}

func (d *Definition) checkBilling() error {
	switch {
	case d.Billing == OnDemand && d.Throughput != nil:
		return invalid(
			prefixInvalid +
				"Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
		)
	case d.Billing == Provisioned && d.Throughput == nil:
		return invalid(
			prefixInvalid +
				"ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
		)
	}
	return nil
}

// checkKey checks a key schema against the defined attributes.
func (d *Definition) checkKey(key []KeyElement) error {
	var keys []string
	for _, k := range key {
		keys = append(keys, k.Name)
	}
	var defined []string
	for i, a := range d.Attributes {
		if slices.Contains(defined, a.Name) {
			return invalid(prefixInvalid+"Duplicate AttributeName in AttributeDefinitions: %s", d.Attributes[i].Name)
		}
		defined = append(defined, a.Name)
	}
	for _, k := range keys {
		if !slices.Contains(defined, k) {
			return invalid(prefixInvalid+
				"Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]",
				strings.Join(keys, ", "), strings.Join(defined, ", "))
		}
	}
	switch {
	case len(key) == 2 && key[0].Name == key[1].Name:
		return invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	case key[0].Type != "HASH":
		return invalid("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")
	case len(key) == 2 && key[1].Type != "RANGE":
		return invalid("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")
	}
	return nil
}

// checkIndex checks what both kinds of index have in common, and adds the name to names.
func (d *Definition) checkIndex(x *Index, local bool, names map[string]bool) error {
	if err := d.checkKey(x.Key); err != nil {
		return err
	}
	switch {
	case x.Projection == "":
		return invalid(prefixInvalid + "Unknown ProjectionType: null")
	case len(x.Attributes) > 0 && x.Projection != Include:
		return invalid(prefixInvalid+"ProjectionType is %s, but NonKeyAttributes is specified", x.Projection)
	case x.Projection == Include && len(x.Attributes) == 0:
		return invalid(prefixInvalid + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
	case d.Billing == OnDemand && x.Throughput != nil:
		return invalid(
			prefixInvalid+
				"ProvisionedThroughput should not be specified for index: %s when BillingMode is PAY_PER_REQUEST",
			x.Name,
		)
	case d.Billing == Provisioned && x.Throughput == nil && !local:
		return invalid(
			prefixInvalid+"ReadCapacityUnits and WriteCapacityUnits must both be specified for index: %s", x.Name,
		)
	case names[x.Name]:
		return invalid(prefixInvalid+"Duplicate index name: %s", x.Name)
	}
	names[x.Name] = true
	return nil
}

func (d *Definition) checkLocal(x *Index, names map[string]bool) error {
	if len(d.Key) != 2 {
		return invalid(
			prefixInvalid +
				"Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
		)
	}
	if err := d.checkIndex(x, true, names); err != nil {
		return err
	}
	if len(x.Key) != 2 {
		return invalid(prefixInvalid+"Index KeySchema does not have a range key for index: %s", x.Name)
	}
	if x.Key[0].Name != d.Key[0].Name {
		return invalid(prefixInvalid+
			"Index KeySchema does not have the same leading hash key as table KeySchema for index: %s. index hash key: %s, table hash key: %s",
			x.Name, x.Key[0].Name, d.Key[0].Name)
	}
	return nil
}

// checkUsed refuses attributes that are part of no key.
func (d *Definition) checkUsed() error {
	var used, defined []string
	note := func(key []KeyElement) {
		for _, k := range key {
			if !slices.Contains(used, k.Name) {
				used = append(used, k.Name)
			}
		}
	}
	note(d.Key)
	for _, x := range slices.Concat(d.Local, d.Global) {
		note(x.Key)
	}
	for _, a := range d.Attributes {
		defined = append(defined, a.Name)
	}
	for _, name := range defined {
		if !slices.Contains(used, name) {
			return invalid(prefixInvalid+
				"Some AttributeDefinitions are not used. AttributeDefinitions: [%s], keys used: [%s]",
				strings.Join(defined, ", "), strings.Join(used, ", "))
		}
	}
	return nil
}

// kindOf returns the type of a key attribute.
func (d *Definition) kindOf(name string) expr.Kind {
	for _, a := range d.Attributes {
		if a.Name == name {
			k, _ := expr.KindOf(a.Type)
			return k
		}
	}
	return 0
}
