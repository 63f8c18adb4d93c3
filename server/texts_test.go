package server

import (
	"strings"
	"testing"
)

// Two different inputs never become one. Go's decoders replace invalid Unicode by U+FFFD, so that the partition keys
// \ud800 and \ud801 would be one key; whatever a service would store or compare is refused instead, in the protocol of
// the request.
func TestTwoInputsNeverBecomeOne(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	b.ok(b.kinesis("CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	const json10, json11, form = "application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/x-www-form-urlencoded"
	inJSON := []string{
		`\ud800`, `\udc00`, `\ud800\u0041`, `\udc00\ud800`, "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	}
	inForm := []string{"%ff", "%c0%af", "%ed%a0%80", "\xff"}
	inCBOR := []string{"\xff", "\xc0\xaf", "\xed\xa0\x80"}
	signed := func(service string) string { return strings.ReplaceAll(signature, "%s", service) }

	for _, c := range []struct {
		service, operation, path string
		contentType, body        string // TEXT stands for the text
		texts                    []string
		refusal                  string // part of the answer
	}{
		{
			"kinesis", "Kinesis_20131202.PutRecord", "/", json11,
			`{"StreamName":"orders","Data":"AA==","PartitionKey":"TEXT"}`, inJSON, "SerializationException",
		},
		{
			"kinesis", "Kinesis_20131202.PutRecord", "/", json11,
			`{"StreamName":"orders","Data":"AA==","PartitionKey":"a","ExplicitHashKey":"TEXT"}`, inJSON,
			"SerializationException",
		},
		{
			"kinesis", "Kinesis_20131202.PutRecords", "/", json11,
			`{"StreamName":"orders","Records":[{"Data":"AA==","PartitionKey":"TEXT"}]}`, inJSON,
			"SerializationException",
		},
		{
			"kinesis", "Kinesis_20131202.CreateStream", "/", json11, `{"StreamName":"TEXT","ShardCount":1}`, inJSON,
			"SerializationException",
		},
		{
			"kinesis", "Kinesis_20131202.AddTagsToStream", "/", json11, `{"StreamName":"orders","Tags":{"TEXT":"v"}}`,
			inJSON, "SerializationException",
		},
		{"sqs", "AmazonSQS.CreateQueue", "/", json10, `{"QueueName":"TEXT"}`, inJSON, "SerializationException"},
		{
			"dynamodb", "DynamoDB_20120810.PutItem", "/", json10, `{"TableName":"t","Item":{"k":{"S":"TEXT"}}}`, inJSON,
			"SerializationException",
		},
		{
			"logs", "Logs_20140328.CreateLogGroup", "/", json11, `{"logGroupName":"TEXT"}`, inJSON,
			"SerializationException",
		},
		{
			"monitoring", "GraniteServiceVersion20100801.PutMetricData", "/", json10,
			`{"Namespace":"TEXT","MetricData":[]}`, inJSON, "SerializationException",
		},
		{
			"monitoring", "", "/service/GraniteServiceVersion20100801/operation/ListMetrics", "application/cbor",
			"\xa1iNamespaceSIZETEXT", inCBOR, "SerializationException",
		},
		{
			"lambda", "", "/2015-03-31/functions", "application/json",
			`{"FunctionName":"f","Environment":{"Variables":{"K":"TEXT"}}}`, inJSON, "it is not valid Unicode",
		},
		{
			"lambda", "", "/2015-03-31/event-source-mappings", "application/json", `{"FunctionName":"TEXT"}`, inJSON,
			"it is not valid Unicode",
		},
		{"sqs", "", "/", form, "Action=CreateQueue&Version=2012-11-05&QueueName=TEXT", inForm, "MalformedQueryString"},
		{
			"monitoring", "", "/", form, "Action=ListMetrics&Version=2010-08-01&Namespace=TEXT", inForm,
			"MalformedQueryString",
		},
		{"iam", "", "/", form, "Action=GetRole&Version=2010-05-08&RoleName=TEXT", inForm, "MalformedQueryString"},
		{"sts", "", "/", form, "Action=GetCallerIdentity&Version=2011-06-15&x=TEXT", inForm, "MalformedQueryString"},
	} {
		headers := []string{
			"Content-Type", c.contentType, "Authorization", signed(c.service), "X-Amz-Date", "20260101T000000Z",
		}
		if c.operation != "" {
			headers = append(headers, "X-Amz-Target", c.operation)
		}
		if c.contentType == "application/cbor" {
			headers = append(headers, "Smithy-Protocol", "rpc-v2-cbor")
		}
		for _, text := range c.texts {
			body := strings.ReplaceAll(strings.ReplaceAll(c.body, "SIZE", string(rune(0x60+len(text)))), "TEXT", text)

			status, answer := b.do("POST", c.path, body, headers...)

			if status != 400 || !strings.Contains(answer, c.refusal) {
				t.Errorf(
					"%s %s%s with %q: %d %s, want 400 %s", c.service, c.operation, c.path, text, status, answer,
					c.refusal,
				)
			}
		}
	}
}
