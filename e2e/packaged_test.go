package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// packaged returns where pip has put what tests pack into functions.
func packaged(t *testing.T) string {
	t.Helper()
	return filepath.Join(filepath.Dir(filepath.Dir(venv(t, "python3"))), "packaged")
}

// createPacked makes a Python function of the files of its package, with the handler index.handler.
func (c clients) createPacked(t *testing.T, name string, files map[string][]byte, environment map[string]string) {
	t.Helper()
	_, err := c.lambda.CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: &name, Runtime: lambdatypes.RuntimePython312, Handler: aws.String("index.handler"),
		Role: aws.String(role),
		Code: &lambdatypes.FunctionCode{ZipFile: zipped(t, files)}, Timeout: aws.Int32(60), MemorySize: aws.Int32(512),
		Environment: &lambdatypes.Environment{Variables: environment},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// invoke returns the payload of a function's answer, decoded into what is wanted, and the hint beside it.
func (c clients) invokeInto(t *testing.T, name, payload string, into any) {
	t.Helper()
	out, err := c.lambda.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	if out.FunctionError != nil {
		t.Fatalf("%s(%s) failed: %s", name, payload, out.Payload)
	}
	if err := json.Unmarshal(out.Payload, into); err != nil {
		t.Fatalf("%s(%s) answered %s: %v", name, payload, out.Payload, err)
	}
}

// An SDK of early 2023 does not know AWS_ENDPOINT_URL. Packaged with a function, its calls come back here all the same,
// as those of the SDK that AWS bundles do; variables of a service, of the customer's, and endpoints in the code go
// first.
func TestCallsOfOldBotocoreComeBack(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev", "--python", venv(t, "python3"))
	c := s.clients()
	c.createStream(t, "orders", 1)
	files := map[string][]byte{"index.py": []byte(`
import boto3
import botocore

def handler(event, context):
    service, more = event["service"], event.get("more", {})
    client = boto3.client(service, **more)
    made = [botocore.__version__, boto3.__file__.startswith("/") and "site-packages" not in boto3.__file__, client.meta.endpoint_url]
    made.append(boto3.session.Session().resource("dynamodb").meta.client.meta.endpoint_url)
    if event.get("call") and "amazonaws" not in client.meta.endpoint_url:
        made.append(client.list_streams()["StreamNames"])
    return made
`)}
	take := func(name string) bool { // the models of a few services, not of all
		data, ok := strings.CutPrefix(name, "botocore/data/")
		service, _, nested := strings.Cut(data, "/")
		return !ok || !nested || service == "kinesis" || service == "dynamodb" || service == "logs"
	}
	withPackages(
		t, files, packaged(t), take, "boto3", "botocore", "jmespath", "dateutil", "s3transfer", "six.py", "urllib3",
	)
	c.createPacked(t, "old", files, nil)
	c.createPacked(t, "own", files, map[string]string{
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": "http://127.0.0.1:2",
	})
	c.createPacked(t, "ignoring", files, map[string]string{"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"})
	var got []any
	check := func(name, event, client, resource string, more int) {
		t.Helper()
		c.invokeInto(t, name, event, &got)
		if got[0] != "1.29.165" || got[1] != true || got[2] != client || got[3] != resource || len(got) != 4+more {
			t.Errorf("%s(%s): got %v, want endpoints %s and %s", name, event, got, client, resource)
		}
	}

	check("old", `{"service": "kinesis", "call": true}`, s.Endpoint, s.Endpoint, 1)
	if names, _ := got[4].([]any); len(names) != 1 || names[0] != "orders" {
		t.Errorf("the call came back with %v", got[4])
	}
	check(
		"old", `{"service": "logs", "more": {"endpoint_url": "http://127.0.0.1:3"}}`, "http://127.0.0.1:3", s.Endpoint,
		0,
	)
	check("own", `{"service": "logs"}`, "http://127.0.0.1:2", "http://127.0.0.1:1", 0)
	check(
		"ignoring", `{"service": "kinesis"}`, "https://kinesis.us-east-1.amazonaws.com",
		"https://dynamodb.us-east-1.amazonaws.com", 0,
	)
}

// Sentry's integration finds the runtime that it patches: errors of a handler are captured with what it knows of the
// invocation.
func TestSentryPatchesTheRuntime(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev", "--python", venv(t, "python3"))
	c := s.clients()
	files := map[string][]byte{"index.py": []byte(`
import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

captured = []

class Keeping(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        for item in envelope.items:
            if item.type == "event":
                captured.append(item.payload.json)

sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", transport=Keeping, integrations=[AwsLambdaIntegration()], auto_session_tracking=False)

def handler(event, context):
    if event:
        raise LookupError("nothing for " + event)
    return [[e["exception"]["values"][-1]["type"], e["extra"]["lambda"]["function_name"], e["transaction"]] for e in captured]
`)}
	c.createPacked(t, "watched", withPackages(t, files, packaged(t), nil, "sentry_sdk", "certifi", "urllib3"), nil)

	out, err := c.lambda.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String("watched"), Payload: []byte(`"somebody"`),
	})

	if err != nil || out.FunctionError == nil || !strings.Contains(string(out.Payload), `"errorType": "LookupError"`) {
		t.Fatalf("%v: got %s", err, out.Payload)
	}
	var got [][]string
	c.invokeInto(t, "watched", `null`, &got)
	if len(got) != 1 || strings.Join(got[0], " ") != "LookupError watched watched" {
		t.Errorf("Sentry has captured %q", got)
	}
}

// After the clock was moved, functions see its time, those that were warm before as well: records are as old as they
// are, items with a time to live stay until it has passed, and signatures of that time are taken.
func TestAFunctionKeepsItemsUnderAMovedClock(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev", "--python", venv(t, "python3"))
	c, cli := s.clients(), cli{s, t}
	cli.run("dynamodb", "create-table", "--table-name", "seen", "--billing-mode", "PAY_PER_REQUEST",
		"--attribute-definitions", "AttributeName=id,AttributeType=S", "--key-schema", "AttributeName=id,KeyType=HASH")
	cli.run("dynamodb", "wait", "table-exists", "--table-name", "seen")
	cli.run(
		"dynamodb", "update-time-to-live", "--table-name", "seen", "--time-to-live-specification",
		"Enabled=true,AttributeName=expiration",
	)
	c.createStream(t, "orders", 1)
	c.createPacked(t, "orders", map[string][]byte{"index.py": []byte(`
import time
from datetime import datetime, timezone
from time import time as now

import boto3

table = boto3.resource("dynamodb").Table("seen")

def handler(event, context):
    for record in event.get("Records", []):
        kinesis = record["kinesis"]
        ages = [now() - kinesis["approximateArrivalTimestamp"], datetime.now(timezone.utc).timestamp() - kinesis["approximateArrivalTimestamp"]]
        print("age", kinesis["partitionKey"], max(ages) < 60 and min(ages) > -5, 0 < context.get_remaining_time_in_millis() <= 60000)
        table.put_item(Item={"id": kinesis["partitionKey"], "expiration": int(time.time()) + 3600})
`)}, nil)
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(1)})
	c.put(t, "orders", "before", "x")
	s.logUntil(t, "orders", "age before True True")

	s.advance(t, 2*time.Hour)
	c.put(t, "orders", "after", "x")

	s.logUntil(t, "orders", "age after True True")
	s.advance(t, 59*time.Minute)
	if ids := cli.query("Items[].id.S", "dynamodb", "scan", "--table-name", "seen"); ids != "after" {
		t.Errorf("after two hours and 59 minutes the table has %q, want the second item only", ids)
	}
	s.advance(t, 2*time.Minute)
	if ids := cli.query("Items[].id.S", "dynamodb", "scan", "--table-name", "seen"); ids != "" && ids != "None" {
		t.Errorf("after another hour the table has %q, want none", ids)
	}
}
