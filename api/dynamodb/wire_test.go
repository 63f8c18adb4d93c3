package dynamodb

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
)

// post sends a body as it is.
func (b *bench) post(operation, body string) (status int, header http.Header, answer string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.server.URL, strings.NewReader(body))
	b.must(err)
	r.Header.Set("X-Amz-Target", Target+"."+operation)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set(
		"Authorization", "AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-central-1/dynamodb/aws4_request",
	)
	resp, err := http.DefaultClient.Do(r)
	b.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	b.must(err)
	return resp.StatusCode, resp.Header, string(text)
}

// refuses checks that a body is answered with a ValidationException of this message.
func (b *bench) refuses(operation, body, message string) {
	b.t.Helper()
	status, _, answer := b.post(operation, body)
	var f struct{ Type, Message string }
	_ = json.Unmarshal([]byte(strings.Replace(answer, `"__type"`, `"type"`, 1)), &f)
	if status != 400 || f.Type != "com.amazon.coral.validate#ValidationException" || f.Message != message {
		b.t.Errorf("%s %.200s:\n%d %s\nwant %s", operation, body, status, answer, message)
	}
}

// The texts are AWS's where AWS has one.
func TestRequestsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	const key = `"Key":{"user":{"S":"a"},"game":{"S":"b"}}`
	const put = `"Item":{"user":{"S":"a"},"game":{"S":"b"},`
	for _, c := range []struct{ operation, members, message string }{
		{
			"GetItem", key,
			"1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null",
		},
		{
			"GetItem", `"TableName":"ab",` + key,
			"1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
		},
		{
			"GetItem", `"TableName":"a b;","ReturnConsumedCapacity":"x"`,
			"3 validation errors detected: Value 'a b;' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+; " +
				"Value null at 'key' failed to satisfy constraint: Member must not be null; Value 'x' at 'returnConsumedCapacity' failed to satisfy constraint: Member must satisfy enum value set: [INDEXES, TOTAL, NONE]",
		},
		{
			"Query", `"TableName":"games"`,
			"Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
		},
		{
			"Scan", `"TableName":"games","Segment":1`,
			"The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
		},
		{
			"Scan", `"TableName":"games","Segment":4,"TotalSegments":4`,
			"The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 4 is not less than TotalSegments: 4",
		},
		{
			"Scan", `"TableName":"games","Limit":0`,
			"1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
		},
		{
			"Scan", `"TableName":"games","Select":"SPECIFIC_ATTRIBUTES"`,
			"Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
		},
		{
			"Scan", `"TableName":"games","Select":"ALL_PROJECTED_ATTRIBUTES"`,
			"One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
		},
		{
			"Scan", `"TableName":"games","Select":"COUNT","ProjectionExpression":"a"`,
			"Cannot specify the ProjectionExpression when choosing to get only the Count",
		},
		{
			"PutItem", `"TableName":"games","ReturnValues":"ALL_NEW",` + put + `"x":{"S":"y"}}`,
			"ReturnValues can only be ALL_OLD or NONE",
		},
		{
			"PutItem", `"TableName":"games","ReturnItemCollectionMetrics":"SIZE",` + put + `"x":{"S":"y"}}`,
			"shardmill does not support ReturnItemCollectionMetrics SIZE yet; see docs/compat/dynamodb.md.",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{}}`,
			"Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{"S":"a","N":"1"}}`,
			"Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{"N":"1x"}}`,
			"The parameter cannot be converted to a numeric value: 1x",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{"NULL":false}}`,
			"One or more parameter values were invalid: Null attribute value types must have the value of true",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{"SS":[]}}`,
			"One or more parameter values were invalid: An string set  may not be empty",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{"NS":[]}}`,
			"One or more parameter values were invalid: An number set  may not be empty",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{"BS":[]}}`,
			"One or more parameter values were invalid: Binary sets should not be empty",
		},
		{
			"PutItem", `"TableName":"games",` + put + `"x":{"SS":["a","b","a"]}}`,
			"One or more parameter values were invalid: Input collection [a, b, a] contains duplicates.",
		},
		{"PutItem", `"TableName":"games",` + put + `"x":{"NS":["1","1.0"]}}`, "Input collection contains duplicates"},
		{
			"PutItem",
			`"TableName":"games",` + put + `"x":` + strings.Repeat(`{"L":[`, 33) + strings.Repeat(`]}`, 33) + `}`,
			"Nesting Levels have exceeded supported limits: Attributes of an item may be nested up to 32 levels.",
		},
		{
			"GetItem", `"TableName":"games","ExpressionAttributeNames":{"#a":"a"},` + key,
			"ExpressionAttributeNames can only be specified when using expressions",
		},
		{
			"GetItem", `"TableName":"games","ProjectionExpression":"b","ExpressionAttributeNames":{},` + key,
			"ExpressionAttributeNames must not be empty",
		},
		{
			"GetItem", `"TableName":"games","ProjectionExpression":"b","ExpressionAttributeNames":{"a":"a"},` + key,
			`ExpressionAttributeNames contains invalid key: Syntax error; key: "a"`,
		},
		{
			"GetItem",
			`"TableName":"games","ProjectionExpression":"b","ExpressionAttributeNames":{"#a":"a","#b":"b"},` + key,
			"Value provided in ExpressionAttributeNames unused in expressions: keys: {#a, #b}",
		},
		{
			"PutItem", `"TableName":"games","ExpressionAttributeValues":{":a":{"S":"a"}},` + put + `"x":{"S":"y"}}`,
			"ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null",
		},
		{
			"UpdateItem", `"TableName":"games","ExpressionAttributeValues":{":a":{"S":"a"}},` + key,
			"ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and ConditionExpression are null",
		},
		{
			"UpdateItem",
			`"TableName":"games","UpdateExpression":"SET a = :a","ExpressionAttributeValues":{":a":{}},` + key,
			"ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :a",
		},
		{
			"UpdateItem",
			`"TableName":"games","UpdateExpression":"SET a = :a","ExpressionAttributeValues":{":a":{"S":"a"},":b":{"S":"a"}},` +
				key,
			"Value provided in ExpressionAttributeValues unused in expressions: keys: {:b}",
		},
		{
			"UpdateItem",
			`"TableName":"games","UpdateExpression":"SET game = :a","ExpressionAttributeValues":{":a":{"S":"a"}},` +
				key,
			"One or more parameter values were invalid: Cannot update attribute game. This attribute is part of the key",
		},
		{
			"UpdateTable", `"TableName":"games"`,
			"At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
		},
		{
			"UpdateTable", `"TableName":"games","ReplicaUpdates":[]`,
			"shardmill does not support the parameter ReplicaUpdates yet; see docs/compat/dynamodb.md.",
		},
		{
			"UpdateTable", `"TableName":"games","VectorIndexUpdates":[]`,
			"shardmill does not support the parameter VectorIndexUpdates yet; see docs/compat/dynamodb.md.",
		},
		{
			"UpdateTable", `"TableName":"games","DisassociationProtectionEnabled":true`,
			"shardmill does not support the parameter DisassociationProtectionEnabled yet; see docs/compat/dynamodb.md.",
		},
		{
			"CreateTable",
			`"TableName":"new","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],"VectorIndexes":[]`,
			"shardmill does not support the parameter VectorIndexes yet; see docs/compat/dynamodb.md.",
		},
		{
			"CreateTable",
			`"TableName":"new","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"a","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"S"}],"StreamSpecification":{"StreamEnabled":true}`,
			"shardmill does not support the parameter StreamSpecification yet; see docs/compat/dynamodb.md.",
		},
		{
			"CreateTable",
			`"TableName":"new","KeySchema":[],"AttributeDefinitions":[{"AttributeName":"a","AttributeType":"BOOL"}]`,
			"2 validation errors detected: Value 'BOOL' at 'attributeDefinitions.1.member.attributeType' failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]; Value at 'keySchema' failed to satisfy constraint: Member must have length greater than or equal to 1",
		},
		{
			"BatchWriteItem", `"RequestItems":{}`,
			"1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1",
		},
		{
			"BatchWriteItem", `"RequestItems":{"Games":[]}`,
			"1 validation error detected: Value at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: " +
				"[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
		},
		{
			"BatchWriteItem", `"RequestItems":{"Games":[{"PutRequest":{}}]}`,
			"1 validation error detected: Value null at 'requestItems.Games.member.1.member.putRequest.item' failed to satisfy constraint: Member must not be null",
		},
		{
			"BatchGetItem", `"RequestItems":{"Games":{"Keys":[]}}`,
			"1 validation error detected: Value at 'requestItems.Games.member.keys' failed to satisfy constraint: Member must have length greater than or equal to 1",
		},
	} {
		b.refuses(c.operation, "{"+c.members+"}", c.message)
	}
}

// What has the wrong JSON type, or would change on its way, is refused before anything else.
func TestRequestsAreReadStrictly(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	for body, want := range map[string]string{
		"":                                "not a JSON object",
		"[]":                              "not a JSON object",
		"{} {}":                           "more than a JSON object",
		"{}}":                             "more than a JSON object",
		`{"TableName":1}`:                 "NUMBER_VALUE cannot be converted to String",
		`{"TableName":true}`:              "TRUE_VALUE cannot be converted to String",
		`{"TableName":[]}`:                "Start of list found where not expected",
		`{"TableName":{}}`:                "Start of structure or map found where not expected.",
		`{"TableName":"games","Key":"x"}`: "STRING_VALUE cannot be converted to map",
		`{"TableName":"games","Key":{"user":{"S":1}}}`:              "NUMBER_VALUE cannot be converted to String",
		`{"TableName":"games","Key":{"user":{"B":"?"}}}`:            "'?' can not be converted to a Blob",
		`{"TableName":"games","Key":{"user":{"BOOL":"true"}}}`:      "STRING_VALUE cannot be converted to Boolean",
		"{\"TableName\":\"\xff\"}":                                  "not valid Unicode",
		`{"TableName":"games","Key":{"user":{"S":"\ud800"}}}`:       "not valid Unicode",
		`{"TableName":"games","Key":{"user":{"S":"\ud800\u0041"}}}`: "not valid Unicode",
		`{"TableName":"games","Key":{"user":{"S":"\udc00"}}}`:       "not valid Unicode",
	} {
		status, _, answer := b.post("GetItem", body)
		if status != 400 || !strings.Contains(answer, "com.amazon.coral.service#SerializationException") ||
			!strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %s", body, status, answer, want)
		}
	}
	if status, _, answer := b.post(
		"GetItem", `{"TableName":"games","Key":{"user":{"S":"\ud83d\ude00\\ud800"},"game":{"S":"\n"}}}`,
	); status != 200 ||
		answer != "{}" {
		t.Errorf("a whole pair: %d %s", status, answer)
	}
}

// SDKs verify x-amz-crc32; errors carry it too.
func TestAnswersCarryTheirCheckSum(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, operation := range []string{"ListTables", "GetItem"} {
		_, header, answer := b.post(operation, "{}")
		if got, want := header.Get("X-Amz-Crc32"), fmt.Sprint(crc32.ChecksumIEEE([]byte(answer))); got != want ||
			header.Get("X-Amzn-Requestid") == "" || header.Get("Content-Type") != contentType {
			t.Errorf("%s: check sum %s, want %s; %v", operation, got, want, header)
		}
	}
}

func TestTheCompatPageListsWhatIsServedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	wiretest.Listed(t, "dynamodb", slices.Collect(maps.Keys(model.Served)), strings.Fields(model.Others))
}

// F-79's rule for this service: what is not implemented is named, and SDKs do not retry it.
func TestWhatIsAbsentIsNamed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.c.ListBackups(t.Context(), &client.ListBackupsInput{}, func(o *client.Options) {
		o.RetryMaxAttempts = 3
	})
	var f smithy.APIError
	if !errors.As(err, &f) || f.ErrorCode() != "NotImplementedException" ||
		f.ErrorMessage() != "shardmill does not implement dynamodb ListBackups yet; see docs/compat/dynamodb.md." {
		t.Errorf("got %v", err)
	}
	for operation := range strings.FieldsSeq(model.Others) {
		if status, _, answer := b.post(operation, "{}"); status != 501 || !strings.Contains(answer, operation) {
			t.Errorf("%s: %d %s", operation, status, answer)
		}
	}
	if status, _, answer := b.post("Nonsense", "{}"); status != 400 ||
		!strings.Contains(answer, "com.amazon.coral.service#UnknownOperationException") {
		t.Errorf("got %d %s", status, answer)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if status, _, answer := b.post("ListTables", strings.Repeat(" ", maxRequestBytes+1)); status != 413 ||
		!strings.Contains(answer, fault.CodeTooLarge) {
		t.Errorf("got %d %s", status, answer)
	}
}

// A request that comes while the tables stop can be tried again.
func TestStoppedTablesAreUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.h.tables.Stop()
	if status, _, answer := b.post("ListTables", "{}"); status != 503 ||
		!strings.Contains(answer, "#ServiceUnavailable") {
		t.Errorf("%d %s", status, answer)
	}
}

// An item is written without anything in between: a list of many small elements must not take a hundred times its
// memory on its way out.
func TestItemsAreWrittenWithoutATree(t *testing.T) {
	list := expr.Value{Kind: expr.L, List: make([]expr.Value, 10_000)}
	for i := range list.List {
		list.List[i] = expr.Text("")
	}
	if n := testing.AllocsPerRun(5, func() { wireItem(expr.Item{"l": list}) }); n > 1000 {
		t.Errorf("%.0f allocations for an item of 10,000 small texts", n)
	}
	odd := expr.Item{
		"<&>\u2028\"": {Kind: expr.M, Map: expr.Item{}}, "b": {Kind: expr.B, Text: "\x00\xff"}, "é": {Kind: expr.L},
		"s": expr.Text("\x7f\n/"),
	}
	b, err := json.Marshal(wireItem(odd))
	const want = `{"\u003c\u0026\u003e\u2028\"":{"M":{}},"b":{"B":"AP8="},"s":{"S":"` + "\x7f" + `\n/"},"é":{"L":[]}}`
	if err != nil || string(b) != want {
		t.Errorf("got %s, want %s: %v", b, want, err)
	}
}

func FuzzAttributeValues(f *testing.F) {
	for _, text := range []string{
		`{"a":{"S":"x"}}`, `{"a":{"M":{"b":{"L":[{"N":"1e5"},{"NULL":true}]}}}}`,
		`{"a":{"SS":["x","y"]},"b":{"BS":["AA=="]}}`, `{"a":{"N":"-0"},"b":{"BOOL":false}}`, `{"a":null}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := parse(body)
		if err != nil {
			return
		}
		item := in.itemOf(in.members)
		if in.err() != nil {
			if fault.CodeOf(in.err()) == "" {
				t.Errorf("no fault: %v", in.err())
			}
			return
		}
		b, err := json.Marshal(wireItem(item))
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(item, again.itemOf(again.members), cmp.AllowUnexported(expr.Number{})); d != "" ||
			again.err() != nil {
			t.Errorf("%s: %v %s", b, again.err(), d)
		}
	})
}
