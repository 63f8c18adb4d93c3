package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A release by alias, in the words of the AWS CLI and of boto3: two versions, an alias with a weight, a mapping on the
// alias. Every record is delivered; both versions run while both have a share, and one alone once the alias points to
// it.
func TestAMappingFollowsAnAlias(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	aws := cli{s, t}
	handler := []byte(`
import base64
def handler(event, context):
    for r in event["Records"]:
        print("delivered", base64.b64decode(r["kinesis"]["data"]).decode(), context.function_version)
`)
	code := filepath.Join(h.path("work"), "versions.zip")
	if err := os.WriteFile(code, zipped(t, map[string][]byte{"index.py": handler}), 0o600); err != nil {
		t.Fatal(err)
	}
	aws.run("kinesis", "create-stream", "--stream-name", "orders", "--shard-count", "2")
	if version := aws.query(
		"Version", "lambda", "create-function", "--function-name", "orders", "--runtime", "python3.12", "--handler",
		"index.handler", "--role", role, "--zip-file", "fileb://versions.zip", "--publish",
	); version != "1" {
		t.Errorf("created as version %s", version)
	}
	aws.run("lambda", "update-function-configuration", "--function-name", "orders", "--memory-size", "256")
	aws.run("lambda", "publish-version", "--function-name", "orders", "--description", "more memory")
	aws.run("lambda", "create-alias", "--function-name", "orders", "--name", "live", "--function-version", "1",
		"--routing-config", "AdditionalVersionWeights={2=0.5}")
	mapping := aws.query("UUID", "lambda", "create-event-source-mapping", "--function-name", "orders:live",
		"--event-source-arn", streamARN("orders"), "--starting-position", "TRIM_HORIZON", "--batch-size", "1")
	aws.waitEnabled(mapping)
	aws.run("lambda", "add-permission", "--function-name", "orders", "--qualifier", "live", "--statement-id", "s",
		"--action", "lambda:InvokeFunction", "--principal", "events.amazonaws.com")
	script, err := filepath.Abs("testdata/versions.py")
	if err != nil {
		t.Fatal(err)
	}

	stdout, stderr, err := s.command(t, venv(t, "python3"), script, s.Endpoint, mapping)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}

	var got struct {
		Weighted                       map[string]int
		After, Versions                []string
		Records                        []int
		Routing                        *struct{}
		Executed, FunctionArn, Missing string
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	const arn = "arn:aws:lambda:us-east-1:000000000000:function:orders"
	for what, ok := range map[string]bool{
		// by tosses of a fair coin one version gets all of 60 once in 2⁵⁹ runs
		"both versions run while both have a share": len(got.Weighted) == 2 &&
			got.Weighted["1"]+got.Weighted["2"] == 60,
		"every record is delivered":                          len(got.Records) == 100 && got.Records[99] == 100,
		"one version runs alone when the alias points to it": slices.Equal(got.After, []string{"2"}),
		"weights are removed":                                got.Routing == nil,
		"Invoke follows the alias, too":                      got.Executed == "2",
		"$LATEST comes first":                                slices.Equal(got.Versions, []string{"$LATEST", "1", "2"}),
		"the mapping names the alias":                        got.FunctionArn == arn+":live",
		"an alias that is not there is named":                got.Missing == "Cannot find alias arn: "+arn+":nowhere",
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
	if t.Failed() {
		t.Log(fmt.Sprint(stdout))
	}
}
