package dynamodb

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A lease table goes through its life in the forms that every Kinesis Client Library sends, whatever its user sets: the
// lease is made if there is none, taken if its counter is still what the taker has seen, renewed, and given up.
func TestLeasesAreTakenInTheLegacyForms(t *testing.T) {
	t.Parallel()
	b := setup(t).table("leases", "leaseKey:S")
	key, name := item{"leaseKey": s("shardId-0")}, aws.String("leases")
	made := func() error {
		_, err := b.c.PutItem(t.Context(), &client.PutItemInput{
			TableName: name, Item: item{"leaseKey": s("shardId-0"), "leaseCounter": n("0"), "parentShardId": s("none")},
			Expected: map[string]types.ExpectedAttributeValue{"leaseKey": {Exists: aws.Bool(false)}},
		})
		return err
	}
	take := func(owner, seen, next string) error {
		_, err := b.c.UpdateItem(t.Context(), &client.UpdateItemInput{
			TableName: name, Key: key,
			Expected: map[string]types.ExpectedAttributeValue{"leaseCounter": {Value: n(seen)}},
			AttributeUpdates: map[string]types.AttributeValueUpdate{
				"leaseOwner": {Value: s(owner), Action: types.AttributeActionPut}, "leaseCounter": {Value: n(next)},
				"ownerSwitchesSinceCheckpoint": {Value: n("1"), Action: types.AttributeActionAdd},
				"parentShardId":                {Action: types.AttributeActionDelete},
			},
		})
		return err
	}

	b.must(made())
	refused(t, made(), "ConditionalCheckFailedException", "The conditional request failed")
	b.must(take("one", "0", "1"))
	refused(t, take("two", "0", "1"), "ConditionalCheckFailedException", "The conditional request failed")
	same(t, b.get("leases", key), item{
		"leaseKey": s("shardId-0"), "leaseOwner": s("one"), "leaseCounter": n("1"), "ownerSwitchesSinceCheckpoint": n("1"),
	})

	given, err := b.c.UpdateItem(t.Context(), &client.UpdateItemInput{
		TableName: name, Key: key, ReturnValues: types.ReturnValueUpdatedNew,
		Expected: map[string]types.ExpectedAttributeValue{
			"leaseOwner": {
				ComparisonOperator: types.ComparisonOperatorEq, AttributeValueList: []types.AttributeValue{s("one")},
			},
			"leaseCounter": {ComparisonOperator: types.ComparisonOperatorEq, Value: n("1")},
		},
		AttributeUpdates: map[string]types.AttributeValueUpdate{
			"leaseOwner": {Action: types.AttributeActionDelete}, "leaseCounter": {Value: n("1"), Action: "ADD"},
		},
	})
	b.must(err)
	same(t, given.Attributes, item{"leaseCounter": n("2")})

	_, err = b.c.DeleteItem(t.Context(), &client.DeleteItemInput{ // without a word between them, all must hold
		TableName: name, Key: key,
		Expected: map[string]types.ExpectedAttributeValue{
			"leaseCounter": {Value: n("77")}, "leaseOwner": {Exists: aws.Bool(false)},
		},
	})
	refused(t, err, "ConditionalCheckFailedException", "The conditional request failed")
	_, err = b.c.DeleteItem(t.Context(), &client.DeleteItemInput{
		TableName: name, Key: key, ConditionalOperator: types.ConditionalOperatorOr,
		Expected: map[string]types.ExpectedAttributeValue{
			"leaseCounter": {Value: n("77")},
			"leaseOwner":   {ComparisonOperator: types.ComparisonOperatorNull},
		},
	})
	b.must(err)
	if left := b.get("leases", key); left != nil {
		t.Errorf("left %v", left)
	}
}

// What removes attributes creates no item, and no attribute values at all create one that has only its key, as with
// expressions.
func TestLegacyUpdatesMakeItemsAsExpressionsDo(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	update := func(id string, u map[string]types.AttributeValueUpdate) {
		_, err := b.c.UpdateItem(t.Context(), &client.UpdateItemInput{
			TableName: aws.String("events"), Key: item{"eventId": s(id)}, AttributeUpdates: u,
		})
		b.must(err)
	}

	update("none", map[string]types.AttributeValueUpdate{"x": {Action: types.AttributeActionDelete}})
	update("bare", map[string]types.AttributeValueUpdate{})
	update("full", map[string]types.AttributeValueUpdate{"x": {Value: s("1")}})

	same(t, b.get("events", item{"eventId": s("none")}), item(nil))
	same(t, b.get("events", item{"eventId": s("bare")}), item{"eventId": s("bare")})
	same(t, b.get("events", item{"eventId": s("full")}), item{"eventId": s("full"), "x": s("1")})
}

func TestLegacyReadsShowWhatExpressionsShow(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	condition := func(operator types.ComparisonOperator, values ...types.AttributeValue) types.Condition {
		return types.Condition{ComparisonOperator: operator, AttributeValueList: values}
	}
	name := aws.String("games")

	got, err := b.c.GetItem(t.Context(), &client.GetItemInput{
		TableName: name, Key: item{"user": s("ann"), "game": s("go")}, AttributesToGet: []string{"top", "gone"},
	})
	b.must(err)
	same(t, got.Item, item{"top": n("0")})
	batch, err := b.c.BatchGetItem(t.Context(), &client.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{
			"games": {Keys: []item{{"user": s("bob"), "game": s("go")}}, AttributesToGet: []string{"user"}},
		},
	})
	b.must(err)
	same(t, batch.Responses["games"], []item{{"user": s("bob")}})

	page, err := b.c.Query(t.Context(), &client.QueryInput{
		TableName: name, AttributesToGet: []string{"game"},
		KeyConditions: map[string]types.Condition{
			"user": condition("EQ", s("ann")), "game": condition("BEGINS_WITH", s("c")),
		},
		QueryFilter: map[string]types.Condition{"top": condition("GE", n("1"))},
	})
	b.must(err)
	same(t, page.Items, []item{{"game": s("chess")}})
	page, err = b.c.Query(t.Context(), &client.QueryInput{ // KeyConditions may stand beside other expressions
		TableName: name, KeyConditions: map[string]types.Condition{"user": condition("EQ", s("ann"))},
		FilterExpression: aws.String("top = :t"), ExpressionAttributeValues: item{":t": n("0")},
		ProjectionExpression: aws.String("game"),
	})
	b.must(err)
	same(t, page.Items, []item{{"game": s("go")}})

	scan, err := b.c.Scan(t.Context(), &client.ScanInput{
		TableName: name, Select: types.SelectCount, ConditionalOperator: types.ConditionalOperatorOr,
		ScanFilter: map[string]types.Condition{"user": condition("EQ", s("ann")), "game": condition("EQ", s("go"))},
	})
	b.must(err)
	if scan.Count != 4 {
		t.Errorf("%d items are ann's or of go, want 4", scan.Count)
	}
}

// The texts are AWS's, as its users' tests have recorded them.
func TestLegacyRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	const key = `"Key":{"user":{"S":"a"},"game":{"S":"b"}}`
	const values = "One or more parameter values were invalid: "
	const mixed = "Can not use both expression and non-expression parameters in the same request: "
	const operators = "Member must satisfy enum value set: " +
		"[IN, NULL, BETWEEN, LT, NOT_CONTAINS, EQ, GT, NOT_NULL, NE, LE, BEGINS_WITH, GE, CONTAINS]"
	for _, c := range []struct{ operation, members, message string }{
		{
			"UpdateItem", key + `,"UpdateExpression":"SET x = :x","AttributeUpdates":{},"Expected":{},"ConditionalOperator":"OR"`,
			mixed + "Non-expression parameters: {AttributeUpdates, Expected, ConditionalOperator} " +
				"Expression parameters: {UpdateExpression}",
		},
		{
			"Query", `"KeyConditions":{},"QueryFilter":{},"FilterExpression":"a = :a"`,
			mixed + "Non-expression parameters: {QueryFilter} Expression parameters: {FilterExpression}",
		},
		{
			"Query", `"KeyConditions":{},"KeyConditionExpression":"a = :a"`,
			mixed + "Non-expression parameters: {KeyConditions} Expression parameters: {KeyConditionExpression}",
		},
		{
			"GetItem", key + `,"AttributesToGet":["a"],"ProjectionExpression":"a"`,
			mixed + "Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}",
		},
		{"GetItem", key + `,"AttributesToGet":["a","a"]`, values + "Duplicate value in attribute name: a"},
		{
			"GetItem", key + `,"AttributesToGet":[]`,
			"1 validation error detected: Value at 'attributesToGet' failed to satisfy constraint: " +
				"Member must have length greater than or equal to 1",
		},
		{
			"GetItem", key + `,"AttributesToGet":["` + strings.Repeat(`a","`, 255) + `a"]`,
			"1 validation error detected: Value at 'attributesToGet' failed to satisfy constraint: " +
				"Member must have length less than or equal to 255",
		},
		{
			"UpdateItem", key + `,"AttributeUpdates":{"":{"Value":{"S":"x"}}}`,
			values + "Size of an attribute name must be from 1 to 65535 bytes",
		},
		{
			"DeleteItem", key + `,"Expected":{"` + strings.Repeat("a", 65536) + `":{"Exists":false}}`,
			values + "Size of an attribute name must be from 1 to 65535 bytes",
		},
		{
			"Scan", `"ScanFilter":{"a":{"ComparisonOperator":"IN","AttributeValueList":[{"S":"x"},{}]}}`,
			"Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
		},
		{
			"Query", `"KeyConditions":{"a":{"ComparisonOperator":"NULL"},"b":{"ComparisonOperator":"NULL"},"c":{"ComparisonOperator":"NULL"}}`,
			"Conditions can be of length 1 or 2 only",
		},
		{"DeleteItem", key + `,"ConditionalOperator":"OR"`, "ConditionalOperator cannot be used without Filter or Expected"},
		{
			"DeleteItem", key + `,"ConditionalOperator":"OR","Expected":{"a":{"Exists":false}}`,
			"ConditionalOperator can only be used when Filter or Expected has two or more elements",
		},
		{
			"Scan", `"ConditionalOperator":"AND","ScanFilter":{"a":{"ComparisonOperator":"NULL"}}`,
			"ConditionalOperator can only be used when Filter or Expected has two or more elements",
		},
		{
			"DeleteItem", key + `,"ConditionalOperator":"XOR","Expected":{"a":{"Exists":false},"b":{"Exists":false}}`,
			"1 validation error detected: Value 'XOR' at 'conditionalOperator' failed to satisfy constraint: " +
				"Member must satisfy enum value set: [OR, AND]",
		},
		{
			"DeleteItem", key + `,"Expected":{"a":{"ComparisonOperator":"LIKE","Value":{"S":"x"}}}`,
			"1 validation error detected: Value 'LIKE' at 'expected.a.member.comparisonOperator' failed to satisfy constraint: " + operators,
		},
		{
			"Scan", `"ScanFilter":{"a":{"AttributeValueList":[]}}`,
			"1 validation error detected: Value null at 'scanFilter.a.member.comparisonOperator' failed to satisfy constraint: Member must not be null",
		},
		{"DeleteItem", key + `,"Expected":{"a":{}}`, values + "Value must be provided when Exists is null for Attribute: a"},
		{
			"DeleteItem", key + `,"Expected":{"a":{"Exists":true}}`,
			values + "Value must be provided when Exists is true for Attribute: a",
		},
		{
			"DeleteItem", key + `,"Expected":{"a":{"Exists":false,"Value":{"S":"x"}}}`,
			values + "Value cannot be used when Exists is false for Attribute: a",
		},
		{
			"DeleteItem", key + `,"Expected":{"a":{"AttributeValueList":[],"Value":{"S":"x"}}}`,
			values + "Value and AttributeValueList cannot be used together for Attribute: a",
		},
		{
			"DeleteItem", key + `,"Expected":{"a":{"AttributeValueList":[{"S":"x"}]}}`,
			values + "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
		},
		{
			"DeleteItem", key + `,"Expected":{"a":{"ComparisonOperator":"EQ","Exists":true,"Value":{"S":"x"}}}`,
			values + "Exists and ComparisonOperator cannot be used together for Attribute: a",
		},
		{
			"DeleteItem", key + `,"Expected":{"a":{"ComparisonOperator":"EQ"}}`,
			values + "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
		},
		{
			"DeleteItem", key + `,"Expected":{"a":{"Value":{}}}`,
			"Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
		},
		{
			"UpdateItem", key + `,"AttributeUpdates":{"a":{"Action":"SET","Value":{"S":"x"}}}`,
			"1 validation error detected: Value 'SET' at 'attributeUpdates.a.member.action' failed to satisfy constraint: " +
				"Member must satisfy enum value set: [ADD, PUT, DELETE]",
		},
		{
			"UpdateItem", key + `,"AttributeUpdates":{"user":{"Value":{"S":"x"}}}`,
			values + "Cannot update attribute user. This attribute is part of the key",
		},
		{"UpdateItem", key + `,"AttributeUpdates":{"a":{}}`, values + "Only DELETE action is allowed when no attribute value is specified"},
		{"Query", `"KeyConditions":{}`, "Conditions can be of length 1 or 2 only"},
		{
			"Query", `"KeyConditions":{"game":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"x"}]}}`,
			"Query condition missed key schema element: user",
		},
		{
			"Query", `"KeyConditions":{"user":{"ComparisonOperator":"GT","AttributeValueList":[{"S":"x"}]}}`,
			"Query key condition not supported",
		},
		{
			"Query", `"KeyConditions":{"user":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"x"}]}},` +
				`"QueryFilter":{"game":{"ComparisonOperator":"NOT_NULL"}}`,
			"QueryFilter can only contain non-primary key attributes: Primary key attribute: game",
		},
		{
			"Scan", `"Select":"COUNT","AttributesToGet":["a"]`,
			"Cannot specify the AttributesToGet when choosing to get only the Count",
		},
	} {
		b.refuses(c.operation, `{"TableName":"games",`+c.members+`}`, c.message)
	}
}
