package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What boto3 sees of a queue, a bucket and a table of another account: nothing before there is a policy, what the
// policy allows while there is one, and nothing after it.
func TestPoliciesOfQueuesBucketsAndTablesWithBoto3(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	script, err := filepath.Abs("testdata/policies.py")
	if err != nil {
		t.Fatal(err)
	}

	stdout, stderr, err := s.command(t, venv(t, "python"), script)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	var got, want any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%s: %v", stdout, err)
	}
	_ = json.Unmarshal([]byte(`{
		"queue": ["AccessDenied", "done", "AccessDenied", "AccessDenied"],
		"bucket": ["AccessDenied", "done", "AccessDenied", "AccessDenied"], "bucket policy": true, "public": false,
		"table": ["AccessDeniedException", "done", "AccessDeniedException", "AccessDeniedException"], "table policy": true
	}`), &want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
