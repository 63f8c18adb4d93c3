package e2e_test

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// S-19, S-23, S-112 and V25 with boto3 against a server at AWS's pace: transitions are seen and end when the clock is
// moved, what conflicts with them fails at once, tags come and go, and every record that fails twice is counted.
func TestTransitionsTagsAndCountsWithBoto3(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--pace", "aws", "--python", venv(t, "python"))
	script, err := filepath.Abs("testdata/transitions.py")
	if err != nil {
		t.Fatal(err)
	}
	code := h.path("f.zip")
	f, err := os.Create(code)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("index.py")
	if err == nil {
		_, err = w.Write([]byte("def handler(event, context):\n    raise ValueError('never')\n"))
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}

	stdout, stderr, err := s.command(t, venv(t, "python"), script, shardmill(t), code)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	var got any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%s: %v", stdout, err)
	}
	var want any
	_ = json.Unmarshal([]byte(`{
		"stream": ["CREATING", "ACTIVE"], "function": ["Pending", "Active"],
		"update of a pending function": "ResourceConflictException",
		"mapping": ["Creating", "Enabled", "Deleting", "ResourceNotFoundException"],
		"update of a mapping that is Creating": "ResourceInUseException",
		"tags": [{"team": "b"}, {"team": "a", "cost": "7"}], "tags of a malformed ARN": "ValidationException",
		"counts": {"PolledEventCount": 3, "FilteredOutEventCount": 0, "InvokedEventCount": 6,
			"FailedInvokeEventCount": 6, "DroppedEventCount": 3}
	}`), &want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
