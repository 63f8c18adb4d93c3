package dynamodb

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/storage/memory"
)

// Whatever a request says, in expressions or in the parameters that they have replaced, it is carried out or refused in
// AWS's shape, and is never our own fault.
func FuzzRequests(f *testing.F) {
	operations := []string{
		"CreateTable", "PutItem", "UpdateItem", "DeleteItem", "GetItem", "BatchGetItem", "BatchWriteItem", "Query", "Scan",
		"UpdateTable", "DescribeTable",
	}
	const place = `"TableName":"games","Key":{"user":{"S":"a"},"game":{"S":"b"}}`
	for _, s := range []struct{ operation, body string }{
		{"CreateTable", `{"TableName":"games","BillingMode":"PAY_PER_REQUEST","SSESpecification":{"Enabled":true},"AttributeDefinitions":[{"AttributeName":"user","AttributeType":"S"},{"AttributeName":"game","AttributeType":"S"}],"KeySchema":[{"AttributeName":"user","KeyType":"HASH"},{"AttributeName":"game","KeyType":"RANGE"}]}`},
		{"PutItem", `{"TableName":"games","Item":{"user":{"S":"a"},"game":{"S":"b"},"n":{"N":"1"}},"Expected":{"n":{"Exists":false}}}`},
		{"UpdateItem", `{` + place + `,"AttributeUpdates":{"n":{"Action":"ADD","Value":{"N":"1"}},"s":{"Action":"DELETE","Value":{"SS":["x"]}}},"ConditionalOperator":"OR","Expected":{"a":{"Value":{"S":"x"}},"b":{"ComparisonOperator":"IN","AttributeValueList":[{"N":"1"},{"N":"2"}]}}}`},
		{"UpdateItem", `{` + place + `,"UpdateExpression":"SET #a.b[1] = if_not_exists(c, :c)","ExpressionAttributeNames":{"#a":"a"},"ExpressionAttributeValues":{":c":{"L":[]}}}`},
		{"DeleteItem", `{` + place + `,"Expected":{"n":{"ComparisonOperator":"BETWEEN","AttributeValueList":[{"N":"1"},{"N":"9e125"}]}}}`},
		{"GetItem", `{` + place + `,"AttributesToGet":["n","m.x"]}`},
		{"Query", `{"TableName":"games","KeyConditions":{"user":{"ComparisonOperator":"EQ","AttributeValueList":[{"S":"a"}]},"game":{"ComparisonOperator":"BEGINS_WITH","AttributeValueList":[{"S":""}]}},"QueryFilter":{"n":{"ComparisonOperator":"NOT_CONTAINS","AttributeValueList":[{"S":"x"}]}}}`},
		{"Scan", `{"TableName":"games","ScanFilter":{"n":{"ComparisonOperator":"NE","AttributeValueList":[{"M":{}}]}},"Limit":1}`},
		{"BatchGetItem", `{"RequestItems":{"games":{"Keys":[{"user":{"S":"a"},"game":{"S":"b"}}],"AttributesToGet":["n"]}}}`},
	} {
		f.Add(uint(slices.Index(operations, s.operation)), s.body)
	}
	tables, err := table.New(table.Options{Local: memory.New(memory.Options{}).Local()})
	if err == nil {
		err = tables.Start(f.Context())
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(tables.Stop)
	router := &wire.Router{Services: []wire.Service{Service(New(Options{Tables: tables}))}}
	f.Fuzz(func(t *testing.T, which uint, body string) {
		operation := operations[which%uint(len(operations))]
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", Target+"."+operation)
		r.Header.Set("Content-Type", contentType)
		r.Header.Set(
			"Authorization", "AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-central-1/dynamodb/aws4_request",
		)
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 && w.Code != 400 {
			t.Fatalf("%s %s: %d %s (%v)", operation, body, w.Code, w.Body, err)
		}
		if _, refused := answer["__type"]; refused != (w.Code == 400) {
			t.Errorf("%s %s: %d %s", operation, body, w.Code, w.Body)
		}
	})
}
