package dynamodb

import (
	"slices"
	"strings"

	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/companion/table/expr"
)

// The parameters that expressions have replaced. Clients that are older than expressions (the lease tables of the
// Kinesis Client Library in all its versions, DynamoDBMapper) still send them, and become what an expression would have
// said. Source: DynamoDB Developer Guide, "Legacy conditional parameters".

// parameters are the expressions of an operation, and the legacy parameters that say the same. A request may not mix
// them. Both are in the order in which AWS lists them.
type parameters struct{ expressions, legacy []string }

// read returns what a request says in either way, and records the first error.
func (p parameters) read(in *input) expressions {
	x := in.expressions(p.expressions...)
	for _, name := range p.legacy {
		var err error
		switch name {
		case "Expected":
			if c := in.expected(); in.several(len(c)) {
				x.condition, err = expr.LegacyConditions(c, in.anyOf())
			}
		case "QueryFilter", "ScanFilter":
			if c := in.legacyConditions(name); in.several(len(c)) {
				x.filter, err = expr.LegacyConditions(c, in.anyOf())
			}
		case "AttributeUpdates":
			if in.has(name) {
				x.update, err = expr.LegacyUpdate(in.attributeUpdates())
			}
		case "KeyConditions":
			if in.has(name) && x.key == nil {
				x.key, err = expr.LegacyKey(in.legacyConditions(name))
			}
		case "AttributesToGet":
			if in.has(name) {
				in.sized(name, 1, maxLegacyNames)
				x.projection, err = expr.LegacyProjection(in.texts(name))
			}
		}
		if err != nil {
			in.fail(err)
		}
	}
	return x
}

// maxLegacyNames bounds AttributesToGet. Source: DynamoDB API Reference, GetItem.
const maxLegacyNames = 255

// keepApart refuses a request that mixes them. KeyConditions may stand beside expressions other than
// KeyConditionExpression.
func (p parameters) keepApart(in *input) {
	present := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !in.has(name) })
	}
	with, without := present(p.expressions), present(append(slices.Clone(p.legacy), "ConditionalOperator"))
	if !in.has("KeyConditionExpression") {
		without = slices.DeleteFunc(without, func(name string) bool { return name == "KeyConditions" })
	}
	if len(with) == 0 || len(without) == 0 {
		return
	}
	in.fail(invalid(
		"Can not use both expression and non-expression parameters in the same request: "+
			"Non-expression parameters: {%s} Expression parameters: {%s}",
		strings.Join(without, ", "), strings.Join(with, ", "),
	))
}

// several reports whether there are conditions, and refuses a ConditionalOperator that has fewer than two to join.
func (in *input) several(conditions int) bool {
	switch given := in.has("ConditionalOperator"); {
	case given && conditions == 0:
		in.fail(invalid("ConditionalOperator cannot be used without Filter or Expected"))
	case given && conditions == 1:
		in.fail(invalid("ConditionalOperator can only be used when Filter or Expected has two or more elements"))
	}
	return conditions > 0
}

// anyOf reads ConditionalOperator.
func (in *input) anyOf() bool { return in.enum("ConditionalOperator", "OR", "AND") == "OR" }

// byAttribute reads a map from names of attributes to structures, in the order of the names.
func (in *input) byAttribute(name string, visit func(attribute string, of *input)) {
	all := in.byTable(name)
	if all == nil {
		return
	}
	for _, attribute := range all.sortedMembers() {
		if len(attribute) > maxNameBytes || attribute == "" {
			in.fail(invalid(
				"One or more parameter values were invalid: Size of an attribute name must be from 1 to %d bytes",
				maxNameBytes,
			))
		}
		if of := all.structure(attribute); of != nil {
			visit(attribute, of)
		}
	}
}

// legacyConditions reads KeyConditions, QueryFilter or ScanFilter.
func (in *input) legacyConditions(name string) (conditions []expr.LegacyCondition) {
	in.byAttribute(name, func(attribute string, of *input) {
		of.need("ComparisonOperator")
		conditions = append(conditions, expr.LegacyCondition{
			Attribute: attribute, Operator: of.enum("ComparisonOperator", expr.LegacyOperators...),
			Values: of.valueList(),
		})
	})
	return conditions
}

// expected reads Expected, whose conditions are older still: a Value that the attribute has, or with Exists false that
// there is no attribute; ComparisonOperator came later.
func (in *input) expected() (conditions []expr.LegacyCondition) {
	in.byAttribute("Expected", func(attribute string, of *input) {
		c := expr.LegacyCondition{
			Attribute: attribute, Operator: of.enum("ComparisonOperator", expr.LegacyOperators...),
			Values: of.valueList(),
		}
		exists := !of.has("Exists") || of.boolean("Exists")
		if of.has("Value") {
			c.Values = append(c.Values, of.value("Value"))
		}
		if problem := of.expectedProblem(exists); problem != "" {
			in.fail(invalid("One or more parameter values were invalid: "+problem+" for Attribute: %s", clip(attribute)))
			return
		}
		switch {
		case c.Operator != "" || of.has("ComparisonOperator"):
		case exists:
			c.Operator = "EQ"
		default:
			c.Operator = "NULL"
		}
		conditions = append(conditions, c)
	})
	return conditions
}

// expectedProblem says which members of an expected attribute do not go together; "": none.
func (in *input) expectedProblem(exists bool) string {
	operator, list, value := in.has("ComparisonOperator"), in.has("AttributeValueList"), in.has("Value")
	shown := "null"
	if in.has("Exists") {
		shown = "true"
	}
	switch {
	case list && value:
		return "Value and AttributeValueList cannot be used together"
	case operator && in.has("Exists"):
		return "Exists and ComparisonOperator cannot be used together"
	case operator && !list && !value && !strings.HasSuffix(in.text("ComparisonOperator"), "NULL"):
		return "Value or AttributeValueList must be used with ComparisonOperator: " + clip(in.text("ComparisonOperator"))
	case operator:
		return ""
	case list:
		return "AttributeValueList can only be used with a ComparisonOperator"
	case exists && !value:
		return "Value must be provided when Exists is " + shown
	case !exists && value:
		return "Value cannot be used when Exists is false"
	}
	return ""
}

// attributeUpdates reads AttributeUpdates.
func (in *input) attributeUpdates() (actions []expr.LegacyAction) {
	in.byAttribute("AttributeUpdates", func(attribute string, of *input) {
		a := expr.LegacyAction{Attribute: attribute, Action: of.enum("Action", "ADD", "PUT", "DELETE")}
		if !of.has("Action") {
			a.Action = "PUT"
		}
		if of.has("Value") {
			a.Value = new(of.value("Value"))
		}
		actions = append(actions, a)
	})
	return actions
}

// value reads an attribute value, and records its error.
func (in *input) value(name string) expr.Value {
	v, err := decodeValue(in.members[name], table.MaxDepth)
	if err != nil {
		in.failValue(err)
	}
	return v
}

// valueList reads AttributeValueList.
func (in *input) valueList() (values []expr.Value) {
	list, _ := member[[]any](in, "AttributeValueList", "list")
	for _, raw := range list {
		v, err := decodeValue(raw, table.MaxDepth)
		if err != nil {
			in.failValue(err)
			return nil
		}
		values = append(values, v)
	}
	return values
}
