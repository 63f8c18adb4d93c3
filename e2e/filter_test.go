package e2e_test

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/internal/eventually"
)

// S-98, S-99 and S-14 in the words of the AWS CLI: of a record that matches, one that does not, and one that is no
// JSON, the function gets the first; a pattern that is none is refused, and an update without filters lets all through.
// boto3 puts another filter in its place.
func TestFiltersWithTheAWSCLI(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	aws := cli{s, t}
	codeZip(t, h)
	aws.run("kinesis", "create-stream", "--stream-name", "orders", "--shard-count", "1")
	aws.run("lambda", "create-function", "--function-name", "orders", "--runtime", "python3.12", "--handler",
		"orders.handler", "--role", role, "--zip-file", "fileb://code.zip")
	create := []string{
		"lambda", "create-event-source-mapping", "--function-name", "orders", "--event-source-arn", streamARN("orders"),
		"--starting-position", "TRIM_HORIZON", "--filter-criteria",
	}
	_, stderr, err := s.command(t, venv(t, "aws"), append(create, `{"Filters":[{"Pattern":"single-string"}]}`)...)
	if err == nil || !strings.Contains(stderr, "Invalid filter pattern definition.") {
		t.Errorf("a pattern that is none: %v %s", err, stderr)
	}
	mapping := aws.query(
		"UUID", append(create, `{"Filters":[{"Pattern":"{\"data\":{\"id\":[{\"numeric\":[\">\",10]}]}}"}]}`)...,
	)
	aws.waitEnabled(mapping)
	put := func(ids ...string) {
		for _, data := range ids {
			aws.run("kinesis", "put-record", "--stream-name", "orders", "--partition-key", "k", "--data", data)
		}
	}
	logged := func(text string) {
		t.Helper()
		eventually.Reaches(t, text, func() (bool, string) {
			stdout, _, _ := s.command(t, shardmill(t), "logs", "orders")
			return strings.Contains(stdout, text), stdout
		})
	}

	put(`{"id":3}`, "poison", `{"id":12}`)
	logged("order 12 from")
	const pattern = `{"partitionKey": ["k"], "data": {"id": [{"prefix": "x"}, 7]}}`
	shown, stderr, err := s.command(
		t, venv(t, "python3"), absolute(t, "testdata/filters.py"), mapping, pattern, `{"id":13}`, `{"id":7}`,
	)
	if err != nil || strings.TrimSpace(shown) != pattern {
		t.Errorf("boto3 sees the pattern %s: %v %s", shown, err, stderr)
	}
	logged("order 7 from")
	aws.run("lambda", "update-event-source-mapping", "--uuid", mapping, "--filter-criteria", "{}")
	aws.waitEnabled(mapping)
	put(`{"id":4}`)
	logged("order 4 from")

	stdout, _, _ := s.command(t, shardmill(t), "logs", "orders")
	if strings.Contains(stdout, "order 3 from") || strings.Contains(stdout, "order 13 from") ||
		strings.Contains(stdout, "cannot process") {
		t.Errorf("the function got what the filter takes out:\n%s", stdout)
	}
	if got := aws.query("FilterCriteria", "lambda", "get-event-source-mapping", "--uuid", mapping); got != "None" {
		t.Errorf("FilterCriteria is %s", got)
	}
}
