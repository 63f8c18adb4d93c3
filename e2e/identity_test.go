package e2e_test

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const whoami = `import boto3

def handler(event, context):
    return boto3.client("sts").get_caller_identity()["Arn"]
`

// F-76: inside a handler the caller is the role under the function's name, outside it is the account's root; and the
// AWS CLI makes the role before.
func TestIdentityWithTheAWSCLI(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	aws := cli{s, t}
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

	arn := aws.query(
		"Role.Arn", "iam", "create-role", "--role-name", "r", "--path", "/team/", "--assume-role-policy-document",
		trust,
	)
	if arn != "arn:aws:iam::000000000000:role/team/r" {
		t.Errorf("the role is %s", arn)
	}
	aws.run(
		"iam", "put-role-policy", "--role-name", "r", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"*"}]}`,
	)
	if got := aws.query(
		"PolicyDocument.Statement[0].Action", "iam", "get-role-policy", "--role-name", "r", "--policy-name", "p",
	); got != "iam:PassRole" {
		t.Errorf("the policy allows %s", got)
	}
	aws.run(
		"iam", "attach-role-policy", "--role-name", "r", "--policy-arn",
		"arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
	)
	if got := aws.query(
		"AttachedPolicies[].PolicyName", "iam", "list-attached-role-policies", "--role-name", "r",
	); got != "AWSLambdaBasicExecutionRole" {
		t.Errorf("attached: %s", got)
	}
	if _, stderr, err := s.command(t, venv(t, "aws"), "iam", "get-role", "--role-name", "nope"); err == nil ||
		!strings.Contains(stderr, "(NoSuchEntity)") ||
		!strings.Contains(stderr, "The role with name nope cannot be found.") {
		t.Errorf("%v: %s", err, stderr)
	}

	if got := aws.query("Arn", "sts", "get-caller-identity"); got != "arn:aws:iam::000000000000:root" {
		t.Errorf("the CLI is %s", got)
	}
	f, err := os.Create(filepath.Join(h.path("work"), "whoami.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("whoami.py")
	if err == nil {
		_, err = w.Write([]byte(whoami))
	}
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for function, session := range map[string]string{"who": "who", "w": "w@lambda_function"} {
		aws.run(
			"lambda", "create-function", "--function-name", function, "--runtime", "python3.12", "--handler",
			"whoami.handler", "--role", arn, "--zip-file", "fileb://whoami.zip", "--timeout", "60", "--memory-size",
			"512",
		)
		aws.run("lambda", "wait", "function-active-v2", "--function-name", function)
		aws.run("lambda", "invoke", "--function-name", function, function+".json")
		text, err := os.ReadFile(filepath.Join(h.path("work"), function+".json"))
		var got string
		if err == nil {
			err = json.Unmarshal(text, &got)
		}
		if want := "arn:aws:sts::000000000000:assumed-role/r/" + session; err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", function, text, err, want)
		}
	}
}
