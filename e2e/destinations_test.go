package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/internal/eventually"
)

// A boto3 user has discards of a stream sent to a topic, whose queues get the document in the envelope (S-81) and raw,
// and to a bucket (S-82), where the AWS CLI finds exactly one object, with the event in it.
func TestDiscardsReachTopicsAndBuckets(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev", "--python", venv(t, "python3"))
	stdout, stderr, err := s.command(
		t, venv(t, "python3"), absolute(t, "testdata/destinations.py"), s.Endpoint, codeZip(t, h),
	)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	var got struct {
		Put, Topic, Raw, Mapping string
		Envelope                 struct{ Type, TopicArn, Message string }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	unhandled := "Unhandled"
	if got.Envelope.Type != "Notification" || got.Envelope.TopicArn != got.Topic || got.Envelope.Message != got.Raw {
		t.Errorf("the envelope %+v around %s", got.Envelope, got.Raw)
	}
	checkNotice(t, got.Raw, "to-topic", "orders", got.Put, &unhandled)

	aws := cli{s, t}
	const keys = "join(' ', Contents[].Key || `[]`)"
	var key string
	eventually.Holds(t, "an object in the bucket", func() bool {
		key = aws.query(keys, "s3api", "list-objects-v2", "--bucket", "discards")
		return key != ""
	})
	form := regexp.MustCompile(`^aws/lambda/` + got.Mapping +
		`/shardId-000000000000/\d{4}/\d\d/\d\d/(\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d)-[0-9a-f-]{36}$`)
	parts := form.FindStringSubmatch(key)
	if parts == nil {
		t.Fatalf("the keys are %q", key)
	}
	aws.run("s3api", "get-object", "--bucket", "discards", "--key", key, "object.json")
	body, err := os.ReadFile(filepath.Join(h.path("work"), "object.json"))
	if err != nil {
		t.Fatal(err)
	}
	var object struct{ Timestamp, Payload string }
	var event struct {
		Records []struct{ Kinesis struct{ Data []byte } }
	}
	if err := json.Unmarshal(body, &object); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if err := json.Unmarshal([]byte(object.Payload), &event); err != nil || len(event.Records) != 1 ||
		string(event.Records[0].Kinesis.Data) != "poison" {
		t.Errorf("the payload %s: %v", object.Payload, err)
	}
	if !strings.HasPrefix(strings.ReplaceAll(object.Timestamp, ":", "."), parts[1]) {
		t.Errorf("the key %s of %s", key, object.Timestamp)
	}
}
