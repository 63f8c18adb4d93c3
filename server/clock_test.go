package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/control"
)

// Times that a function computes by the clock that it sees are judged by the same one: after a month on the moved clock
// they are taken, and those of real time are as old as they look. Dates of signatures are not compared with any clock.
func TestTimesByTheMovedClockAreTaken(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	const month = 30 * 24 * time.Hour
	b.ok(b.control("POST", control.PathClock, fmt.Sprintf(`{"advanceMillis":%d}`, month.Milliseconds())))
	b.ok(b.kinesis("CreateStream", `{"StreamName":"orders","ShardCount":1}`))
	b.ok(b.call("Logs_20140328.CreateLogGroup", "application/x-amz-json-1.1", `{"logGroupName":"g"}`))
	b.ok(b.call(
		"Logs_20140328.CreateLogStream", "application/x-amz-json-1.1", `{"logGroupName":"g","logStreamName":"s"}`,
	))
	moved, realTime := time.Now().Add(month), time.Now()
	for _, c := range []struct {
		name, target, kind, body string // body has a time, in the unit of the call
		unit                     time.Duration
		refusal                  string // part of the answer to real time
	}{
		{
			"a metric", "GraniteServiceVersion20100801.PutMetricData", "application/x-amz-json-1.0",
			`{"Namespace":"Shop","MetricData":[{"MetricName":"sold","Value":1,"Timestamp":%d}]}`, time.Second,
			"within the past two weeks",
		},
		{
			"a log event", "Logs_20140328.PutLogEvents", "application/x-amz-json-1.1",
			`{"logGroupName":"g","logStreamName":"s","logEvents":[{"timestamp":%d,"message":"x"}]}`, time.Millisecond,
			"rejectedLogEventsInfo",
		},
	} {
		say := func(at time.Time) string {
			_, answer := b.call(c.target, c.kind, fmt.Sprintf(c.body, at.UnixNano()/int64(c.unit)))
			return answer
		}
		if got := say(moved); strings.Contains(got, "rejected") || strings.Contains(got, "__type") {
			t.Errorf("%s by the moved clock: %s", c.name, got)
		}
		if got := say(realTime); !strings.Contains(got, c.refusal) {
			t.Errorf("%s of real time: %s", c.name, got)
		}
	}
	for _, at := range []time.Time{moved, realTime} {
		b.ok(b.do("POST", "/", `{}`, "X-Amz-Target", "Kinesis_20131202.ListStreams", "Content-Type",
			"application/x-amz-json-1.1",
			"Authorization", fmt.Sprintf(signature, "kinesis"), "X-Amz-Date", at.UTC().Format("20060102T150405Z")))
	}
	b.ok(b.kinesis("GetShardIterator", fmt.Sprintf(
		`{"StreamName":"orders","ShardId":"shardId-000000000000","ShardIteratorType":"AT_TIMESTAMP","Timestamp":%d}`,
		moved.Unix())))
}

// An item with an hour to live by the clock that a function sees still exists; one whose hour counts from real time
// expired long ago.
func TestTimeToLiveIsJudgedByTheMovedClock(t *testing.T) {
	t.Parallel()
	b := start(t, Config{Dev: true})
	table := func(operation, body string) string {
		return b.ok(b.call("DynamoDB_20120810."+operation, "application/x-amz-json-1.0", body))
	}
	table(
		"CreateTable",
		`{"TableName":"seen","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}`,
	)
	table("UpdateTimeToLive", `{"TableName":"seen","TimeToLiveSpecification":{"AttributeName":"until","Enabled":true}}`)
	b.ok(b.control("POST", control.PathClock, `{"advanceMillis":7200000}`))
	hour := time.Now().Add(time.Hour)
	table(
		"PutItem",
		fmt.Sprintf(
			`{"TableName":"seen","Item":{"id":{"S":"moved"},"until":{"N":"%d"}}}`, hour.Add(2*time.Hour).Unix(),
		),
	)
	table("PutItem", fmt.Sprintf(`{"TableName":"seen","Item":{"id":{"S":"real"},"until":{"N":"%d"}}}`, hour.Unix()))

	b.ok(b.control("POST", control.PathClock, `{"advanceMillis":60000}`))

	if got := table("Scan", `{"TableName":"seen"}`); !strings.Contains(got, `"moved"`) ||
		strings.Contains(got, `"real"`) {
		t.Errorf("there are %s", got)
	}
}

// Functions see the clock that can be moved, unless they are to see real time, or it cannot be moved.
func TestFunctionClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Dev: true}, `"3600000 3600000"`},
		{Config{Dev: true, FunctionClock: ClockReal}, `" "`},
		{Config{}, `" "`},
	} {
		b := start(t, c.cfg)
		in, err := json.Marshal(map[string]any{
			"FunctionName": "f", "Runtime": "provided.al2023", "Handler": "x",
			"Role": "arn:aws:iam::000000000000:role/r", "Timeout": 60,
			"Code":        map[string]any{"ZipFile": b.code()},
			"Environment": map[string]any{"Variables": map[string]string{"SERVER_TEST_BOOTSTRAP": "1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.ok(b.lambda("POST", "/2015-03-31/functions", string(in)))
		if c.cfg.Dev {
			b.ok(b.control("POST", control.PathClock, `{"advanceMillis":3600000}`))
		}

		if got := b.ok(b.lambda("POST", "/2015-03-31/functions/f/invocations", `"clock"`)); got != c.want {
			t.Errorf("%+v: told %s, want %s", c.cfg, got, c.want)
		}
	}
}
