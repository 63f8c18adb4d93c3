package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// signerOf adds a key to a key file with the command line, and returns it as an environment.
func signerOf(t *testing.T, s *server, file, name, role string, more ...string) []string {
	t.Helper()
	args := append([]string{"auth", "new", name, "--role", role, "--file", file, "-o", "json"}, more...)
	out, stderr, err := s.command(t, shardmill(t), args...)
	if err != nil {
		t.Fatalf("%v %s", err, stderr)
	}
	var k struct{ AccessKeyID, SecretAccessKey string }
	if err := json.Unmarshal([]byte(out), &k); err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_ACCESS_KEY_ID=" + k.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + k.SecretAccessKey}
}

// Unchanged clients sign with keys of the file: boto3 builds a pipeline and gets its notice back, JavaScript keeps
// objects, the AWS CLI asks every service. With a wrong secret AWS's own error is shown.
func TestClientsAreVerified(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	file := h.path("keys.yaml")
	operator := signerOf(t, &server{home: h}, file, "operator", "operate")
	reader := signerOf(t, &server{home: h}, file, "reader", "view")
	s := start(t, h, "dev", "--auth", "static:"+file, "--python", venv(t, "python3"))
	s.keys = operator
	script, err := filepath.Abs("testdata/pipeline.py")
	if err != nil {
		t.Fatal(err)
	}
	if out, stderr, err := s.command(t, venv(t, "python3"), script, s.Endpoint, codeZip(t, h)); err != nil {
		t.Fatalf("boto3: %v\n%s%s", err, out, stderr)
	}
	if got := objectsOfJavaScript(t, s, "javascript", "path"); got.Body != "0123456789" || got.Tail != "xend" {
		t.Errorf("JavaScript saw %+v", got)
	}
	big := h.path("work/big")
	if err := os.WriteFile(big, make([]byte, 9<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"s3 mb s3://cli", "s3 cp " + big + " s3://cli/big", "s3 ls s3://cli", "kinesis list-streams",
		"lambda list-functions", "dynamodb list-tables", "logs describe-log-groups", "cloudwatch list-metrics",
		"sns list-topics", "sts get-caller-identity", "iam list-roles", "sqs list-queues --endpoint-url " + s.Endpoint,
	} {
		if out, stderr, err := s.command(t, venv(t, "aws"), strings.Fields(args)...); err != nil {
			t.Errorf("aws %s: %v\n%s%s", args, err, out, stderr)
		}
	}
	s.keys = []string{operator[0], "AWS_SECRET_ACCESS_KEY=" + strings.Repeat("x", 40)}
	for args, code := range map[string]string{
		"s3 ls s3://cli": "SignatureDoesNotMatch", "kinesis list-streams": "InvalidSignatureException",
		"sns list-topics": "SignatureDoesNotMatch", "lambda list-functions": "InvalidSignatureException",
	} {
		if _, stderr, err := s.command(t, venv(t, "aws"), strings.Fields(args)...); err == nil ||
			!strings.Contains(stderr, code) {
			t.Errorf("aws %s with a wrong secret: %v %s", args, err, stderr)
		}
	}
	s.keys = reader
	_, stderr, err := s.command(t, venv(t, "aws"), "kinesis", "create-stream", "--stream-name", "x")
	if err == nil || !strings.Contains(stderr, "AccessDeniedException") ||
		!strings.Contains(stderr, "user/reader is not authorized") {
		t.Errorf("a key that only looks creates a stream: %v %s", err, stderr)
	}
}
