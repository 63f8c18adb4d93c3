package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/eventually"
)

// venv returns a program of the virtual environment that "make venv" makes.
func venv(t *testing.T, program string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", ".venv", "bin", program))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s is missing; run: make venv", path)
	}
	return path
}

// cli is the AWS CLI pointed at a server.
type cli struct {
	s *server
	t *testing.T
}

// run returns what a command prints, which must succeed.
func (c cli) run(args ...string) string {
	c.t.Helper()
	stdout, stderr, err := c.s.command(c.t, venv(c.t, "aws"), args...)
	if err != nil {
		c.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout
}

// query runs a command and returns one value of its output, by a JMESPath expression.
func (c cli) query(expression string, args ...string) string {
	c.t.Helper()
	return strings.TrimSpace(c.run(append(args, "--query", expression, "--output", "text")...))
}

// sqs runs a command with the option that the CLI v1 needs there, since it ignores AWS_ENDPOINT_URL for this service.
func (c cli) sqs(args ...string) []string {
	return append([]string{"sqs"}, append(args, "--endpoint-url", c.s.Endpoint)...)
}

// codeZip packs the handlers of testdata into a file in the server's working directory.
func codeZip(t *testing.T, h home) string {
	t.Helper()
	files := map[string][]byte{}
	for _, name := range []string{"orders.py", "orders_partial.py"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = text
	}
	path := filepath.Join(h.path("work"), "code.zip")
	if err := os.WriteFile(path, zipped(t, files), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`) // S-83

// checkNotice checks every member of a notice about one poison record.
func checkNotice(t *testing.T, body, function, stream, sequence string, functionError *string) notice {
	t.Helper()
	n := parseNotice(t, body)
	b := n.KinesisBatchInfo
	for _, c := range []struct{ member, got, want string }{
		{
			"requestContext.functionArn", n.RequestContext.FunctionARN,
			"arn:aws:lambda:us-east-1:000000000000:function:" + function,
		},
		{"requestContext.condition", n.RequestContext.Condition, "RetryAttemptsExhausted"},
		{"version", n.Version, "1.0"},
		{"startSequenceNumber", b.StartSequenceNumber, sequence},
		{"endSequenceNumber", b.EndSequenceNumber, sequence},
		{"streamArn", b.StreamARN, streamARN(stream)},
		{"batchSize", fmt.Sprint(b.BatchSize), "1"},
		{"approximateArrivalOfLastRecord", b.ApproximateArrivalOfLastRecord, b.ApproximateArrivalOfFirstRecord},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.member, c.got, c.want)
		}
	}
	for _, at := range []string{n.Timestamp, b.ApproximateArrivalOfFirstRecord, b.ApproximateArrivalOfLastRecord} {
		if !timestamp.MatchString(at) {
			t.Errorf("%q is not an instant with three digits of a second", at)
		}
	}
	if !regexp.MustCompile(`^shardId-\d{12}$`).MatchString(b.ShardID) {
		t.Errorf("shardId is %q", b.ShardID)
	}
	if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(n.RequestContext.RequestID) {
		t.Errorf("requestId is %q", n.RequestContext.RequestID)
	}
	switch r := n.ResponseContext; {
	case r == nil:
		t.Error("there is no responseContext")
	case r.StatusCode != 200 || r.ExecutedVersion != "$LATEST":
		t.Errorf("responseContext is %+v, want 200 by $LATEST", *r)
	case functionError == nil && r.FunctionError != nil,
		functionError != nil && (r.FunctionError == nil || *r.FunctionError != *functionError):
		t.Errorf("functionError is %v, want %v", r.FunctionError, functionError)
	}
	return n
}

// The tutorial in the words of its commands: exactly the poison record ends up in the queue, and from what the message
// says it can be fetched again. In a second run the function reports the record itself.
func TestTheTutorialWithTheAWSCLI(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	aws := cli{s, t}
	codeZip(t, h)
	queue := aws.query("QueueUrl", aws.sqs("create-queue", "--queue-name", "failures")...)
	aws.run("kinesis", "create-stream", "--stream-name", "orders", "--shard-count", "4")
	aws.run("lambda", "create-function", "--function-name", "orders", "--runtime", "python3.12", "--handler",
		"orders.handler",
		"--role", role, "--zip-file", "fileb://code.zip", "--timeout", "60")
	mapping := aws.query("UUID", "lambda", "create-event-source-mapping", "--function-name", "orders", "--event-source-arn", streamARN(
		"orders",
	),
		"--starting-position", "LATEST", "--batch-size", "100", "--maximum-batching-window-in-seconds", "1",
		"--parallelization-factor", "1", "--maximum-retry-attempts", "1",
		"--bisect-batch-on-function-error", "--maximum-record-age-in-seconds", "86400",
		"--destination-config", `{"OnFailure":{"Destination":"`+queueARN("failures")+`"}}`)
	aws.waitEnabled(mapping)

	unhandled := "Unhandled"
	aws.poisonRun(queue, &unhandled)

	aws.run(
		"lambda", "update-function-configuration", "--function-name", "orders", "--handler", "orders_partial.handler",
	)
	aws.run(
		"lambda", "update-event-source-mapping", "--uuid", mapping, "--function-response-types",
		"ReportBatchItemFailures", "--parallelization-factor", "5",
	)
	aws.waitEnabled(mapping)

	aws.poisonRun(queue, nil)

	if stdout, stderr, err := s.command(t, shardmill(t), "logs", "orders"); err != nil ||
		!strings.Contains(stdout, "cannot process") || !strings.Contains(stdout, "order 0 from shardId-") {
		t.Errorf("the function's log does not tell what it did: %v\n%s\n%s", err, stdout, stderr)
	}
}

func (c cli) waitEnabled(mapping string) {
	c.t.Helper()
	eventually.Reaches(c.t, "the mapping enabled", func() (bool, string) {
		state := c.query("State", "lambda", "get-event-source-mapping", "--uuid", mapping)
		return state == "Enabled", state
	})
}

// poisonRun puts twenty orders with a poison record among them, and finds it in the queue and by its sequence number.
func (c cli) poisonRun(queue string, functionError *string) {
	t := c.t
	t.Helper()
	type entry struct{ PartitionKey, Data string }
	entries := make([]entry, 20)
	for i := range entries {
		entries[i] = entry{fmt.Sprintf("customer-%d", i%3), fmt.Sprintf(`{"id":%d}`, i)}
	}
	entries[11].Data = "poison"
	records, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	var put struct {
		FailedRecordCount int
		Records           []struct{ SequenceNumber string }
	}
	if err := json.Unmarshal(
		[]byte(c.run("kinesis", "put-records", "--stream-name", "orders", "--records", string(records))), &put,
	); err != nil {
		t.Fatal(err)
	}
	if put.FailedRecordCount != 0 || len(put.Records) != len(entries) {
		t.Fatalf("put-records: %+v", put)
	}

	var got struct {
		Messages []struct{ Body, ReceiptHandle string }
	}
	eventually.Reaches(t, "the poison record in the queue", func() (bool, string) {
		out := c.run(
			c.sqs(
				"receive-message", "--queue-url", queue, "--wait-time-seconds", "10", "--max-number-of-messages", "10",
			)...,
		)
		if out == "" {
			return false, "no message"
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		return len(got.Messages) > 0, out
	})
	if len(got.Messages) != 1 {
		t.Fatalf(
			"the queue holds %d messages, want the one about the poison record: %+v", len(got.Messages), got.Messages,
		)
	}
	n := checkNotice(t, got.Messages[0].Body, "orders", "orders", put.Records[11].SequenceNumber, functionError)
	if n.RequestContext.ApproximateInvokeCount != 2 {
		t.Errorf(
			"approximateInvokeCount is %d, want 2: the first attempt and one retry",
			n.RequestContext.ApproximateInvokeCount,
		)
	}
	c.run(c.sqs("delete-message", "--queue-url", queue, "--receipt-handle", got.Messages[0].ReceiptHandle)...)

	iterator := c.query("ShardIterator", "kinesis", "get-shard-iterator", "--stream-name", "orders", "--shard-id", n.KinesisBatchInfo.ShardID,
		"--shard-iterator-type", "AT_SEQUENCE_NUMBER", "--starting-sequence-number",
		n.KinesisBatchInfo.StartSequenceNumber)
	if data := c.query(
		"Records[0].Data", "kinesis", "get-records", "--shard-iterator", iterator, "--limit", "1",
	); data != "cG9pc29u" {
		t.Errorf("the record that the notice names is %q, want poison in base64", data)
	}
}

// boto3 does the same, with its waiters, its resource-free clients and its typed exceptions.
func TestAPipelineWithBoto3(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	script, err := filepath.Abs("testdata/pipeline.py")
	if err != nil {
		t.Fatal(err)
	}

	stdout, stderr, err := s.command(t, venv(t, "python3"), script, s.Endpoint, codeZip(t, h))
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}

	var got struct {
		Notice, Put, Data, Mapping, Missing string
		Arrival                             float64
		More                                int
		Tags                                map[string]string
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	unhandled := "Unhandled"
	n := checkNotice(t, got.Notice, "py-orders", "py-orders", got.Put, &unhandled)
	if n.RequestContext.ApproximateInvokeCount != 1 {
		t.Errorf("approximateInvokeCount is %d, want 1: no retries", n.RequestContext.ApproximateInvokeCount)
	}
	if got.Data != "poison" || got.Mapping != "Enabled" || got.More != 0 {
		t.Errorf(
			"got record %q, mapping %s and %d more messages, want poison, Enabled and none", got.Data, got.Mapping,
			got.More,
		)
	}
	arrival, err := time.Parse("2006-01-02T15:04:05.000Z", n.KinesisBatchInfo.ApproximateArrivalOfFirstRecord)
	if err != nil || arrival.UnixMilli() != int64(got.Arrival*1000+0.5) {
		t.Errorf(
			"the notice says %s, the record arrived at %.3f", n.KinesisBatchInfo.ApproximateArrivalOfFirstRecord,
			got.Arrival,
		)
	}
	if want := map[string]string{"cost": "8"}; !maps.Equal(got.Tags, want) {
		t.Errorf("the queue's tags are %v, want %v", got.Tags, want)
	}
	if want := "Stream nope under account 000000000000 not found."; got.Missing != want {
		t.Errorf("a stream that is not there: %q, want %q", got.Missing, want)
	}
}

// Pinned versions, so that a green run is green tomorrow.
func TestEveryRequirementIsPinned(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, version, ok := strings.Cut(line, "==")
		if !ok || version == "" {
			t.Errorf("%q is not pinned", line)
		}
		names = append(names, name)
	}
	for _, want := range []string{"boto3", "awscli", "aws-lambda-powertools"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

// What the AWS CLI sends for the commands of a stream's life, with its pages and its waiters.
func TestWhatTheAWSCLISends(t *testing.T) {
	byHand(t)
	t.Parallel()
	s, r := start(t, newHome(t), "dev").recorded(t)
	c := cli{s, t}
	const stream = "--stream-name=orders"
	c.run("kinesis", "create-stream", stream, "--shard-count=1")
	c.run("kinesis", "wait", "stream-exists", stream)
	c.run("kinesis", "put-record", stream, "--partition-key=a", "--data=YQ==")
	c.run("kinesis", "put-records", stream, "--records", `[{"PartitionKey":"a","Data":"YQ=="}]`)
	c.run("kinesis", "list-streams")
	c.run("kinesis", "list-shards", stream)
	c.run("kinesis", "describe-stream", stream)
	c.run("kinesis", "describe-stream-summary", stream)
	iterator := c.run("kinesis", "get-shard-iterator", stream, "--shard-id=shardId-000000000000",
		"--shard-iterator-type=TRIM_HORIZON", "--query=ShardIterator", "--output=text")
	c.run("kinesis", "get-records", "--shard-iterator", strings.TrimSpace(iterator))
	c.run("kinesis", "delete-stream", stream)
	c.run("kinesis", "wait", "stream-not-exists", stream)
	r.listed(t, "AWS CLI")
}
