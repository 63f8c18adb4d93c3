package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The AWS CLI works on one server, and what it makes is on another one, in that one's region. An object of many parts
// passes through both.
func TestTheAWSCLIWorksThroughAProxy(t *testing.T) {
	t.Parallel()
	there := start(t, newHome(t), "dev")
	h := newHome(t)
	keys := filepath.Join(h.path("work"), "credentials")
	text := "[there]\naws_access_key_id = 000000000000\naws_secret_access_key = secret\n"
	if err := os.WriteFile(keys, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	to := "proxy:" + there.Endpoint + ",there,region=eu-west-1"
	here := start(t, h, "dev", "--queue", to, "--bucket", to, "--table", "off", "--proxy-credentials", keys)
	c := cli{here, t}

	url := c.query("QueueUrl", c.sqs("create-queue", "--queue-name", "q")...)
	if !strings.HasPrefix(url, here.Endpoint) {
		t.Errorf("the queue is at %s", url)
	}
	c.run(c.sqs("send-message", "--queue-url", url, "--message-body", "see "+url)...)
	signed := map[string]string{
		"Authorization": "AWS4-HMAC-SHA256 Credential=000000000000/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=00",
		"X-Amz-Target":  "AmazonSQS.ReceiveMessage",
	}
	got := send(t, http.DefaultClient, "POST", there.Endpoint, `{"QueueUrl":"http://x/000000000000/q"}`, signed)
	if !strings.Contains(got.body, `"Body":"see `+url+`"`) {
		t.Errorf("the queue there: %d %s", got.status, got.body)
	}

	big := filepath.Join(h.path("work"), "big")
	content := bytes.Repeat([]byte("0123456789abcdef"), 10<<20/16)
	if err := os.WriteFile(big, content, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run("s3", "mb", "s3://things")
	c.run("s3", "cp", big, "s3://things/big", "--no-progress")
	delete(signed, "X-Amz-Target")
	if got = send(t, http.DefaultClient, "GET", there.Endpoint+"/things/big", "", signed); got.body != string(content) {
		t.Errorf("%d bytes of %d are there: %d", len(got.body), len(content), got.status)
	}

	_, stderr, err := here.command(t, venv(t, "aws"), "dynamodb", "list-tables")
	if err == nil || !strings.Contains(stderr, "The companion table is off") {
		t.Errorf("tables are off: %v %s", err, stderr)
	}
}
