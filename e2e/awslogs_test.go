package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/internal/eventually"
)

// F-77: the AWS CLI reads what a function printed, in its group and stream, and writes a group of its own.
func TestLogsWithTheAWSCLI(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	aws := cli{s, t}
	codeZip(t, h)
	aws.run(
		"lambda", "create-function", "--function-name", "orders", "--runtime", "python3.12", "--handler",
		"orders.handler", "--role", role, "--zip-file", "fileb://code.zip", "--timeout", "60",
	)
	aws.run("lambda", "wait", "function-active-v2", "--function-name", "orders")
	aws.run("lambda", "invoke", "--function-name", "orders", "--payload", `{"Records":[]}`, "out.json")
	const group = "/aws/lambda/orders"
	eventually.Reaches(t, "the report of the invocation", func() (bool, string) {
		out := aws.run("logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", `"REPORT RequestId"`)
		return strings.Contains(out, "Billed Duration"), out
	})

	if got := aws.query(
		"length(events[?contains(message, 'REPORT')])", "logs", "filter-log-events", "--log-group-name", group,
		"--filter-pattern=-REPORT",
	); got != "0" {
		t.Errorf("-REPORT lets %s reports through", got)
	}
	stream := aws.query(
		"logStreams[0].logStreamName", "logs", "describe-log-streams", "--log-group-name", group, "--order-by",
		"LastEventTime", "--descending",
	)
	var page struct {
		Events           []struct{ Message string }
		NextForwardToken string
	}
	if err := json.Unmarshal(
		[]byte(aws.run(
			"logs", "get-log-events", "--log-group-name", group, "--log-stream-name", stream, "--start-from-head",
		)),
		&page,
	); err != nil {
		t.Fatal(err)
	}
	if n := len(page.Events); n < 3 || !strings.HasPrefix(page.Events[0].Message, "INIT_START") ||
		!strings.HasSuffix(page.Events[n-1].Message, "\n") {
		t.Errorf("events %q", page.Events)
	}

	aws.run("logs", "create-log-group", "--log-group-name", "mine", "--tags", "team=a")
	aws.run("logs", "create-log-stream", "--log-group-name", "mine", "--log-stream-name", "s")
	aws.run("logs", "put-retention-policy", "--log-group-name", "mine", "--retention-in-days", "3")
	now := aws.query("logStreams[0].creationTime", "logs", "describe-log-streams", "--log-group-name", "mine")
	aws.run(
		"logs", "put-log-events", "--log-group-name", "mine", "--log-stream-name", "s", "--log-events",
		`[{"timestamp":`+now+`,"message":"{\"level\":\"ERROR\",\"n\":7}"}]`,
	)
	if got := aws.query(
		"events[0].message", "logs", "filter-log-events", "--log-group-name", "mine", "--filter-pattern",
		`{ $.level = "ERR*" && $.n > 6 }`,
	); got != `{"level":"ERROR","n":7}` {
		t.Errorf("found %q", got)
	}
	if _, stderr, err := s.command(
		t, venv(t, "aws"), "logs", "describe-log-streams", "--log-group-name", "nope",
	); err == nil ||
		!strings.Contains(stderr, "(ResourceNotFoundException)") ||
		!strings.Contains(stderr, "The specified log group does not exist.") {
		t.Errorf("%v: %s", err, stderr)
	}
}
