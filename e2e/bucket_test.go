package e2e_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The AWS CLI makes a bucket, uploads a file that it cuts into parts, reads a range of it, copies, lists and removes;
// boto3 does what its users do. What was uploaded is there after kill -9.
func TestBucketsWithTheAWSCLIAndBoto3(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	arguments := []string{"serve", "--data", h.path("data")}
	s := start(t, h, arguments...)
	aws := cli{s, t}
	large := make([]byte, 9<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(large) // it never fails
	if err := os.WriteFile(filepath.Join(h.path("work"), "large"), large, 0o600); err != nil {
		t.Fatal(err)
	}

	aws.run("s3", "mb", "s3://files")
	aws.run("s3", "cp", "--quiet", "large", "s3://files/in/large")
	s.kill()
	s = start(t, h, arguments...)
	aws = cli{s, t}
	aws.run("s3api", "get-object", "--bucket", "files", "--key", "in/large", "--range", "bytes=8388600-8388615", "part")
	if part, err := os.ReadFile(filepath.Join(h.path("work"), "part")); err != nil ||
		!bytes.Equal(part, large[8388600:8388616]) {
		t.Errorf("a range is %x, %v", part, err)
	}
	aws.run("s3", "mv", "--quiet", "s3://files/in/large", "s3://files/out/large")
	if list := aws.run("s3", "ls", "--recursive", "s3://files"); strings.Count(list, "\n") != 1 ||
		!strings.Contains(list, " 9437184 out/large\n") {
		t.Errorf("listed: %s", list)
	}
	aws.run("s3", "rm", "--quiet", "--recursive", "s3://files")
	if left, err := os.ReadDir(filepath.Join(h.path("data"), "objects", "content")); err != nil || len(left) != 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}

	stdout, stderr, err := s.command(t, venv(t, "python3"), absolute(t, "testdata/objects.py"), "files")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	var saw, want map[string]any
	if err := json.Unmarshal([]byte(stdout), &saw); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if err := json.Unmarshal([]byte(`{"body": "body", "metadata": {"colour": "blue"}, "checksum": "26gLsg==", "large": true,
		"range": [255, 0, 1], "keys": ["a b/ä+", "copy/large", "large"], "groups": ["a b/", "copy/"], "left": 0,
		"refused": [["NoSuchKey", 0], ["404", 0], ["PreconditionFailed", 0], ["NotImplemented", 0], ["NoSuchBucketPolicy", 0]]}`),
		&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, saw); diff != "" {
		t.Error(diff)
	}
	aws.run("s3", "rb", "s3://files")
}
