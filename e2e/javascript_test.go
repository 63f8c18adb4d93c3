package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The AWS SDK for JavaScript, which speaks HTTP/2 to Kinesis even without TLS, does what the demo does, with a function
// that is JavaScript as well.
func TestJavaScriptSDK(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	code := filepath.Join(h.path("work"), "code.zip")
	const handler = `export const handler = async (event) => {
  const names = event.Records.map((r) => Buffer.from(r.kinesis.data, "base64").toString());
  if (names.includes("poison")) throw new Error("cannot do that");
  return { done: names.length };
};`
	if err := os.WriteFile(code, zipped(t, map[string][]byte{"handler.mjs": []byte(handler)}), 0o600); err != nil {
		t.Fatal(err)
	}
	s, r := start(t, h, "dev").recorded(t)
	stdout, stderr, err := s.command(t, "node", absolute(t, "javascript/pipeline.mjs"), code)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if !r.spoke("HTTP/2.0 application/x-amz-json-1.1") {
		t.Error("nothing came over HTTP/2")
	}
	var saw, want map[string]any
	if err := json.Unmarshal([]byte(stdout), &saw); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	// The batch of six is split until the poison stands alone: 6, 3, then 1 or 2 and 1, each of them an error.
	if err := json.Unmarshal([]byte(`{"absent": "Stream orders under account 000000000000 not found.", "failed": 0, "condition": "RetryAttemptsExhausted",
		"poisonIsThirdRecord": true, "answer": {"done": 0}, "item": "bytes 1.5", "errors": 4}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, saw); diff != "" {
		t.Error(diff)
	}
}

// Version 2 of the SDK puts records and reads them.
func TestOldJavaScriptSDK(t *testing.T) {
	t.Parallel()
	s, r := start(t, newHome(t), "dev").recorded(t)
	stdout, stderr, err := s.command(t, "node", absolute(t, "javascript/old.mjs"))
	const want = `{"failed":0,"data":["0080ff","62","c3bc"],"arrived":true,` +
		`"absent":"400 ResourceNotFoundException Stream absent under account 000000000000 not found."}` + "\n"
	if err != nil || stdout != want {
		t.Errorf("%v\n%s\nprinted\n%s", err, tail(stderr), stdout)
	}
	r.listed(t, "AWS SDK for JavaScript 2")
}

// lifion-kinesis keeps its leases in a table that it wants encrypted, and asks for that at every start.
func TestLifionKinesis(t *testing.T) {
	byHand(t)
	t.Parallel()
	s, r := start(t, newHome(t), "dev").recorded(t)
	stdout, stderr, err := s.command(t, "node", absolute(t, "javascript/lifion/consumer.mjs"))
	if err != nil || stdout != "seen: 20\n" {
		t.Errorf("%v\n%s\nprinted\n%s", err, tail(stderr), stdout)
	}
	r.listed(t, "lifion-kinesis")
}
