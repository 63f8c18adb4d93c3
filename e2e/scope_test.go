package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// O-30, O-36, L-07 and L-11 with boto3, and what two accounts and two regions see of one stream: each finds its own, a
// policy opens what it names, and the SDK takes what a limit refuses for a reason to wait.
func TestScopeAndLimitsWithBoto3(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev", "--limits", "aws")
	script, err := filepath.Abs("testdata/scope.py")
	if err != nil {
		t.Fatal(err)
	}

	stdout, stderr, err := s.command(t, venv(t, "python"), script)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	var got any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%s: %v", stdout, err)
	}
	var want any
	_ = json.Unmarshal([]byte(`{
		"another region": "ResourceNotFoundException", "another account": "AccessDeniedException",
		"policy": true, "shared": "shardId-000000000000", "not shared": "AccessDeniedException",
		"encrypted put": "KMS", "foreign iterator": "AccessDeniedException", "records": [null, "KMS"],
		"tags": [{"Key": "team", "Value": "a"}], "commitment": "ENABLED",
		"limits": 1, "too often": "LimitExceededException",
		"full": "ProvisionedThroughputExceededException", "tried again": "shardId-000000000000"
	}`), &want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
