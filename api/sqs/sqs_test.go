package sqs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/companion/queue"
	"github.com/shardmill/shardmill/storage/memory"
)

// newHandler returns the service over an empty store.
func newHandler(t testing.TB) http.Handler {
	t.Helper()
	qs, err := queue.New(queue.Options{Local: memory.New(memory.Options{}).Local()})
	if err == nil {
		err = qs.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(qs.Stop)
	return New(Options{Queues: qs})
}

// endpoint is one test's service and its answers as plain JSON.
type endpoint struct {
	t       *testing.T
	handler http.Handler
	header  http.Header // of the next requests
}

func newEndpoint(t *testing.T) *endpoint {
	return &endpoint{t: t, handler: newHandler(t), header: http.Header{"X-Amzn-Query-Mode": {"true"}}}
}

func (e *endpoint) do(op, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header = e.header.Clone()
	r.Header.Set("X-Amz-Target", "AmazonSQS."+op)
	r.Header.Set("Content-Type", contentType)
	r = r.WithContext(wire.WithCaller(e.t.Context(), wire.Caller{
		Account: "111122223333", Region: "eu-west-1", RequestID: "5f0b6f0e-0000-4000-8000-000000000000",
		Endpoint: "http://127.0.0.1:4566",
	}))
	w := httptest.NewRecorder()
	e.handler.ServeHTTP(w, r)
	return w
}

// ok sends a request that must succeed and returns the answer's members.
func (e *endpoint) ok(op, body string) map[string]any {
	e.t.Helper()
	w := e.do(op, body)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
		e.t.Fatalf("%s %s: %d %s", op, body, w.Code, w.Body)
	}
	return out
}

// refused sends a request that must fail as said.
func (e *endpoint) refused(op, body string, status int, kind, query, text string) {
	e.t.Helper()
	w := e.do(op, body)
	var got faultBody
	_ = json.Unmarshal(w.Body.Bytes(), &got)
	if w.Code != status || got.Type != kind || got.Message != text || w.Header().Get("X-Amzn-Query-Error") != query {
		e.t.Errorf(
			"%s %.200s:\n got %d %q %q %q\nwant %d %q %q %q", op, body, w.Code, got.Type,
			w.Header().Get("X-Amzn-Query-Error"), got.Message, status, kind, query, text,
		)
	}
	if got := w.Header().Get("Content-Type"); got != contentType {
		e.t.Errorf("content type %q", got)
	}
}

const ordersURL = "http://127.0.0.1:4566/111122223333/orders"

func withURL(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"QueueUrl":"` + ordersURL + `"` + members + `}`
}

// F-73: the fault of an unknown queue, for SDKs of both generations.
func TestUnknownQueueIsNamedForBothProtocols(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	for op, members := range map[string]string{
		"ReceiveMessage": "", "GetQueueAttributes": "", "PurgeQueue": "", "DeleteQueue": "", "ListQueueTags": "",
		"SendMessage": `"MessageBody":"x"`, "DeleteMessage": `"ReceiptHandle":"x"`, "TagQueue": `"Tags":{"k":"v"}`,
		"UntagQueue": `"TagKeys":["k"]`,
	} {
		e.refused(
			op, withURL(members), 400, "com.amazonaws.sqs#QueueDoesNotExist",
			"AWS.SimpleQueueService.NonExistentQueue;Sender", "The specified queue does not exist.",
		)
	}
	e.refused(
		"GetQueueUrl", `{"QueueName":"orders"}`, 400, "com.amazonaws.sqs#QueueDoesNotExist",
		"AWS.SimpleQueueService.NonExistentQueue;Sender", "The specified queue does not exist.",
	)
	e.header.Del("X-Amzn-Query-Mode")
	e.refused(
		"ReceiveMessage", withURL(""), 400, "com.amazonaws.sqs#QueueDoesNotExist", "",
		"The specified queue does not exist.",
	)
}

// F-74: the check sum of "Test", and AWS's text for a message one byte too long.
func TestBodyCheckSumAndSizeLimit(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders"}`)
	if got := e.ok(
		"SendMessage", withURL(`"MessageBody":"Test"`),
	)["MD5OfMessageBody"]; got != "0cbc6611f5540bd0809a388dc95a615b" {
		t.Errorf("MD5OfMessageBody %v", got)
	}
	e.refused("SendMessage", withURL(`"MessageBody":"`+strings.Repeat("x", 1_048_577)+`"`), 400,
		"com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue;Sender",
		"One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.")
	e.ok("SendMessage", withURL(`"MessageBody":"`+strings.Repeat(`\u0041`, 1_048_576)+`"`))
}

// Recorded check sums of AWS: three text attributes, parts of them, and one binary.
func TestAttributeCheckSums(t *testing.T) {
	t.Parallel()
	text := func(name, value string) queue.Attribute {
		return queue.Attribute{Name: name, Type: "String", Value: []byte(value)}
	}
	hello, help, general := text("Hello", "There"), text("Help.Me", "Me"), text("General", "Kenobi")
	for want, a := range map[string][]queue.Attribute{
		"":                                 nil,
		"4c360f3fdafd970e05fae2f149d997f5": {help, general, hello},
		"fca026605781cb4126a1e9044df24232": {general, hello},
		"83fee93c1bcd8b9a5a923ffacdc636c7": {hello, help},
		"a311262e065454b75da111d535b8dacd": {hello},
		"ae7155c6026991b6d54b11589678bf9c": {text("Foo", "Bar")},
		"8cbe4db156db8a94db8b801b7addb984": {
			{
				Name: "attr1", Type: "Binary",
				Value: []byte("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"),
			},
		},
	} {
		if got := md5OfAttributes(a); got != want {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
	}
}

// AWS's set of attributes for a standard queue, without those that are not set.
func TestGetQueueAttributesAll(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	url := e.ok(
		"CreateQueue",
		`{"QueueName":"orders","Attributes":{"VisibilityTimeout":"20","MessageRetentionPeriod":"604800","ReceiveMessageWaitTimeSeconds":"0","SqsManagedSseEnabled":"false","Policy":""}}`,
	)["QueueUrl"]
	if url != ordersURL {
		t.Errorf("QueueUrl %v", url)
	}
	e.ok("SendMessage", withURL(`"MessageBody":"a"`))
	e.ok("SendMessage", withURL(`"MessageBody":"b","DelaySeconds":900`))
	e.ok("SendMessage", withURL(`"MessageBody":"c"`))
	e.ok("ReceiveMessage", withURL(""))
	got := e.ok("GetQueueAttributes", withURL(`"AttributeNames":["All"]`))["Attributes"].(map[string]any)
	for _, stamp := range []string{"CreatedTimestamp", "LastModifiedTimestamp"} {
		if s, _ := got[stamp].(string); len(s) != 10 {
			t.Errorf("%s %v", stamp, got[stamp])
		}
		delete(got, stamp)
	}
	want := map[string]any{
		"QueueArn":                    "arn:aws:sqs:eu-west-1:111122223333:orders",
		"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "1",
		"ApproximateNumberOfMessagesDelayed": "1",
		"VisibilityTimeout":                  "20", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "604800",
		"DelaySeconds":                  "0",
		"ReceiveMessageWaitTimeSeconds": "0", "SqsManagedSseEnabled": "false",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	some := e.ok("GetQueueAttributes", withURL(`"AttributeNames":["DelaySeconds","RedrivePolicy"]`))["Attributes"]
	if fmt.Sprint(some) != "map[DelaySeconds:0]" {
		t.Errorf("asked for two, got %v", some)
	}
	if none := e.ok("GetQueueAttributes", withURL("")); len(none) != 0 {
		t.Errorf("asked for none, got %v", none)
	}
}

const (
	invalidParameter = "com.amazon.coral.service#InvalidParameterValueException"
	unsupportedType  = "com.amazonaws.sqs#UnsupportedOperation"
	unsupportedQuery = "AWS.SimpleQueueService.UnsupportedOperation;Sender"
)

func TestParametersAreChecked(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders","Attributes":{"DelaySeconds":"1"}}`)
	for _, c := range []struct {
		op, body, kind, query, text string
	}{
		{
			"CreateQueue", `{}`, "com.amazon.coral.service#MissingRequiredParameterException",
			"MissingParameter;Sender", "The request must contain the parameter QueueName.",
		},
		{
			"CreateQueue", `{"QueueName":"a b"}`, invalidParameter, "InvalidParameterValue;Sender",
			"Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
		},
		{
			"CreateQueue", `{"QueueName":"orders","Attributes":{"DelaySeconds":"2"}}`,
			"com.amazonaws.sqs#QueueNameExists", "QueueAlreadyExists;Sender",
			"A queue already exists with the same name and a different value for attribute DelaySeconds",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"DelaySeconds":"901"}}`,
			"com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue;Sender",
			"Invalid value for the parameter DelaySeconds.",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"DelaySeconds":"-1"}}`,
			"com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue;Sender",
			"Invalid value for the parameter DelaySeconds.",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"MaximumMessageSize":"99999999999999999999"}}`,
			"com.amazonaws.sqs#InvalidAttributeValue", "InvalidAttributeValue;Sender",
			"Invalid value for the parameter MaximumMessageSize.",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"FifoQueue":"false"}}`,
			"com.amazonaws.sqs#InvalidAttributeName", "InvalidAttributeName;Sender", "Unknown Attribute FifoQueue.",
		},
		{
			"CreateQueue", `{"QueueName":"a.fifo","Attributes":{"FifoQueue":"true"}}`, unsupportedType,
			unsupportedQuery,
			"shardmill does not support FIFO queues (the name a.fifo ends in .fifo) yet; see docs/compat/sqs.md.",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"RedrivePolicy":"{}"}}`, unsupportedType, unsupportedQuery,
			"shardmill does not support the attribute RedrivePolicy yet; see docs/compat/sqs.md.",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"Policy":"{}"}}`, "com.amazonaws.sqs#InvalidAttributeValue",
			"InvalidAttributeValue;Sender", "The policy is not valid: the policy has no Statement.",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"KmsMasterKeyId":"k"}}`, unsupportedType, unsupportedQuery,
			"shardmill does not support the attribute KmsMasterKeyId yet; see docs/compat/sqs.md.",
		},
		{
			"CreateQueue", `{"QueueName":"a","Attributes":{"SqsManagedSseEnabled":"true"}}`, unsupportedType,
			unsupportedQuery,
			"shardmill does not support the attribute SqsManagedSseEnabled yet; see docs/compat/sqs.md.",
		},
		{
			"GetQueueAttributes", withURL(`"AttributeNames":["Nope"]`), "com.amazonaws.sqs#InvalidAttributeName",
			"InvalidAttributeName;Sender", "Unknown Attribute Nope.",
		},
		{
			"ListQueues", `{"MaxResults":1001}`, invalidParameter, "InvalidParameterValue;Sender",
			"Value 1001 for parameter MaxResults is invalid. Reason: Must be between 1 and 1000, if provided.",
		},
		{
			"ListQueues", `{"NextToken":"!"}`, invalidParameter, "InvalidParameterValue;Sender",
			"Value ! for parameter NextToken is invalid. Reason: It was not issued by ListQueues.",
		},
		{
			"SendMessage", withURL(""), "com.amazon.coral.service#MissingRequiredParameterException",
			"MissingParameter;Sender", "The request must contain the parameter MessageBody.",
		},
		{
			"SendMessage", withURL(`"MessageBody":"\u0000"`), "com.amazonaws.sqs#InvalidMessageContents",
			"InvalidMessageContents;Sender",
			"Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
		},
		{
			"SendMessage", withURL(`"MessageBody":"x","DelaySeconds":901`), invalidParameter,
			"InvalidParameterValue;Sender",
			"Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.",
		},
		{
			"SendMessage", withURL(`"MessageBody":"x","MessageGroupId":"g"`), unsupportedType, unsupportedQuery,
			"shardmill does not support the parameter MessageGroupId yet; see docs/compat/sqs.md.",
		},
		{
			"SendMessage", withURL(`"MessageBody":"x","MessageSystemAttributes":{}`), unsupportedType, unsupportedQuery,
			"shardmill does not support the parameter MessageSystemAttributes yet; see docs/compat/sqs.md.",
		},
		{
			"SendMessage", withURL(`"MessageBody":"x","MessageDeduplicationId":"d"`), invalidParameter,
			"InvalidParameterValue;Sender",
			"Value d for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid for this queue type.",
		},
		{
			"SendMessage",
			withURL(`"MessageBody":"x","MessageAttributes":{"n":{"DataType":"Number","StringValue":"x"}}`),
			invalidParameter, "InvalidParameterValue;Sender",
			"Can't cast the value of message (user) attribute 'n' to a number.",
		},
		{
			"SendMessage",
			withURL(`"MessageBody":"x","MessageAttributes":{"n":{"DataType":"Binary","StringValue":"x"}}`),
			invalidParameter, "InvalidParameterValue;Sender",
			"The message attribute 'n' with type 'Binary' must use field 'Binary'.",
		},
		{
			"SendMessage",
			withURL(`"MessageBody":"x","MessageAttributes":{"n":{"DataType":"String","StringListValues":["x"]}}`),
			unsupportedType, unsupportedQuery,
			"Message attribute list values in SendMessage operation are not supported.",
		},
		{
			"ReceiveMessage", withURL(`"MaxNumberOfMessages":11`), invalidParameter, "InvalidParameterValue;Sender",
			"Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
		},
		{
			"ReceiveMessage", withURL(`"MaxNumberOfMessages":0`), invalidParameter, "InvalidParameterValue;Sender",
			"Value 0 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
		},
		{
			"ReceiveMessage", withURL(`"WaitTimeSeconds":21`), invalidParameter, "InvalidParameterValue;Sender",
			"Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
		},
		{
			"ReceiveMessage", withURL(`"WaitTimeSeconds":-2147483648`), invalidParameter,
			"InvalidParameterValue;Sender",
			"Value -2147483648 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
		},
		{
			"ReceiveMessage", withURL(`"VisibilityTimeout":43201`), invalidParameter, "InvalidParameterValue;Sender",
			"Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.",
		},
		{
			"ReceiveMessage", withURL(`"ReceiveRequestAttemptId":"r"`), unsupportedType, unsupportedQuery,
			"shardmill does not support the parameter ReceiveRequestAttemptId yet; see docs/compat/sqs.md.",
		},
		{
			"ReceiveMessage", withURL(`"AttributeNames":["Nope"]`), "com.amazonaws.sqs#InvalidAttributeName",
			"InvalidAttributeName;Sender", "Unknown Attribute Nope.",
		},
		{
			"DeleteMessage", withURL(""), "com.amazon.coral.service#MissingRequiredParameterException",
			"MissingParameter;Sender", "The request must contain the parameter ReceiptHandle.",
		},
		{
			"DeleteMessage", withURL(`"ReceiptHandle":"garbage"`), "com.amazonaws.sqs#ReceiptHandleIsInvalid",
			"ReceiptHandleIsInvalid;Sender", `The input receipt handle "garbage" is not a valid receipt handle.`,
		},
		{
			"PurgeQueue", `{"QueueUrl":"orders"}`, "com.amazonaws.sqs#InvalidAddress", "InvalidAddress;Sender",
			"The address orders is not valid for this endpoint.",
		},
		{
			"PurgeQueue", `{"QueueUrl":5}`, "com.amazon.coral.service#SerializationException",
			"SerializationException;Sender", "The value of QueueUrl does not have the type that the operation expects.",
		},
		{
			"PurgeQueue", `[]`, "com.amazon.coral.service#SerializationException", "SerializationException;Sender",
			"The request body is not a JSON object.",
		},
		{
			"SendMessage", withURL(`"MessageBody":"\ud83d"`), "com.amazon.coral.service#SerializationException",
			"SerializationException;Sender", "The request body is not valid Unicode.",
		},
		{
			"SendMessage", withURL("\"MessageBody\":\"\xff\""), "com.amazon.coral.service#SerializationException",
			"SerializationException;Sender", "The request body is not valid Unicode.",
		},
	} {
		e.refused(c.op, c.body, 400, c.kind, c.query, c.text)
	}
	if got := e.ok(
		"GetQueueAttributes", withURL(`"AttributeNames":["ApproximateNumberOfMessagesDelayed"]`),
	)["Attributes"]; fmt.Sprint(got) != "map[ApproximateNumberOfMessagesDelayed:0]" {
		t.Errorf("a refused message was stored: %v", got)
	}
}

func TestTheCompatPageListsWhatIsServedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	wiretest.Listed(t, "sqs", slices.Collect(maps.Keys(model.Served)), strings.Fields(model.Others))
}

// Known operations that are not here: 501, which SDKs do not retry, by name. Names that no model has: AWS's answer.
func TestOtherOperationsAreRefusedByName(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	if n := len(model.Served) + len(strings.Fields(model.Others)); n != 23 {
		t.Errorf("%d operations in the table; AWS's model has 23", n)
	}
	for name := range strings.FieldsSeq(model.Others) {
		e.refused(
			name, `{}`, 501, "com.amazon.coral.service#NotImplementedException", "NotImplementedException;Sender",
			"shardmill does not implement sqs "+name+" yet; see docs/compat/sqs.md.",
		)
	}
	e.refused(
		"Nope", `{}`, 400, "com.amazon.coral.service#UnknownOperationException", "UnknownOperationException;Sender", "",
	)
}

// A request is bounded before it is read to its end.
func TestHugeRequestsAreRefused(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.refused("SendMessage", strings.Repeat(" ", maxRequestBytes+1), 413,
		"com.amazon.coral.service#RequestEntityTooLargeException",
		"RequestEntityTooLargeException;Sender", fmt.Sprintf("Request size exceeded %d bytes.", maxRequestBytes))
}

func TestAnyHostIsAcceptedInAQueueURL(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders"}`)
	for _, url := range []string{
		"https://sqs.eu-west-1.amazonaws.com/111122223333/orders", "http://localhost:9/111122223333/orders",
		"/111122223333/orders",
	} {
		e.ok("SendMessage", `{"QueueUrl":"`+url+`","MessageBody":"x"}`)
	}
}

func TestListQueuesPages(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	for _, n := range []string{"a1", "a2", "a3", "b"} {
		e.ok("CreateQueue", `{"QueueName":"`+n+`"}`)
	}
	var names []string
	for token := ""; ; {
		page := e.ok("ListQueues", fmt.Sprintf(`{"QueueNamePrefix":"a","MaxResults":2,"NextToken":%q}`, token))
		for _, u := range page["QueueUrls"].([]any) {
			names = append(names, strings.TrimPrefix(u.(string), "http://127.0.0.1:4566/111122223333/"))
		}
		if token, _ = page["NextToken"].(string); token == "" {
			break
		}
	}
	if fmt.Sprint(names) != "[a1 a2 a3]" {
		t.Errorf("listed %v", names)
	}
	if none := e.ok("ListQueues", `{"QueueNamePrefix":"z"}`); len(none) != 0 {
		t.Errorf("nothing to list, got %v", none)
	}
}

// Recorded: which attributes a receive shows, and the check sum of just those.
func TestReceiveShowsTheAttributesAskedFor(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.ok("CreateQueue", `{"QueueName":"orders","Attributes":{"VisibilityTimeout":"0"}}`)
	sent := e.ok("SendMessage", withURL(`"MessageBody":"msg","MessageAttributes":{"Help.Me":{"DataType":"String","StringValue":"Me"},
		"Hello":{"DataType":"String","StringValue":"There"},"General":{"DataType":"String","StringValue":"Kenobi"}}`))
	if sent["MD5OfMessageAttributes"] != "4c360f3fdafd970e05fae2f149d997f5" {
		t.Errorf("sent %v", sent)
	}
	for names, want := range map[string]string{
		`[]`: "", `["All"]`: "4c360f3fdafd970e05fae2f149d997f5", `["*"]`: "4c360f3fdafd970e05fae2f149d997f5",
		`[".*"]`:  "4c360f3fdafd970e05fae2f149d997f5",
		`["Foo"]`: "", `["Hello","General"]`: "fca026605781cb4126a1e9044df24232",
		`["Hello","Foo"]`: "a311262e065454b75da111d535b8dacd", `["Hel.*"]`: "83fee93c1bcd8b9a5a923ffacdc636c7",
	} {
		m := e.ok("ReceiveMessage", withURL(`"MessageAttributeNames":`+names))["Messages"].([]any)[0].(map[string]any)
		got, _ := m["MD5OfMessageAttributes"].(string)
		if got != want || (m["MessageAttributes"] == nil) != (want == "") || m["Attributes"] != nil ||
			m["MD5OfBody"] != "6e2baaf3b97dbeef01c0043275f9a0e7" {
			t.Errorf("%s: %v", names, m)
		}
	}
	m := e.ok(
		"ReceiveMessage",
		withURL(`"MessageSystemAttributeNames":["SenderId"],"AttributeNames":["ApproximateReceiveCount"]`),
	)["Messages"].([]any)[0].(map[string]any)
	if fmt.Sprint(m["Attributes"]) != "map[ApproximateReceiveCount:9 SenderId:111122223333]" {
		t.Errorf("attributes %v", m["Attributes"])
	}
}

// While the server stops nothing may look acknowledged, also when the request's context has ended.
func TestStoppedServiceAnswersUnavailable(t *testing.T) {
	t.Parallel()
	qs, err := queue.New(queue.Options{Local: memory.New(memory.Options{}).Local()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(
		wire.WithCaller(t.Context(), wire.Caller{Account: "111122223333", Region: "eu-west-1"}),
	)
	cancel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(withURL(`"MessageBody":"x"`))).WithContext(ctx)
	r.Header.Set("X-Amz-Target", "AmazonSQS.SendMessage")
	w := httptest.NewRecorder()
	New(Options{Queues: qs}).ServeHTTP(w, r)
	if w.Code != 503 || !strings.Contains(w.Body.String(), "ServiceUnavailable") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// Whatever a request is, the answer is one of the protocol's, never a panic or our own fault.
func FuzzRequest(f *testing.F) {
	names := []string{
		"CreateQueue", "GetQueueUrl", "GetQueueAttributes", "ListQueues", "SendMessage", "ReceiveMessage",
		"DeleteMessage", "PurgeQueue", "DeleteQueue", "TagQueue", "UntagQueue", "ListQueueTags",
	}
	for i, body := range []string{
		`{"QueueName":"orders","Attributes":{"DelaySeconds":"1"}}`, `{"QueueName":"orders"}`,
		withURL(`"AttributeNames":["All"]`), `{"MaxResults":1,"NextToken":"YQ=="}`,
		withURL(
			`"MessageBody":"\ud83d\ude00\\ud83d","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"AA=="}}`,
		),
		withURL(`"MaxNumberOfMessages":1`),
		withURL(`"ReceiptHandle":"AQ=="`), `{"QueueUrl":"%"}`, `null`, withURL(`"Tags":{"k":"v"}`),
		withURL(`"TagKeys":["k"]`), withURL(""),
	} {
		f.Add(uint8(i), body)
	}
	h := newHandler(f)
	f.Fuzz(func(t *testing.T, op uint8, body string) {
		if strings.Contains(body, "WaitTimeSeconds") {
			return // it could wait for 20 s
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSQS."+names[int(op)%len(names)])
		r = r.WithContext(wire.WithCaller(t.Context(), wire.Caller{Account: "111122223333", Region: "eu-west-1"}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		out, _ := io.ReadAll(w.Result().Body)
		if w.Code != 200 && w.Code != 400 || !json.Valid(out) {
			t.Errorf("%s: %d %s", body, w.Code, out)
		}
	})
}
