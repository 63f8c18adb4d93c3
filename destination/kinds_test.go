package destination_test

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/destination/destinationtest"
)

// What stands for a bucket in tests is a destination.
func TestObjectsOfTestsAreADestination(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, destinationtest.FakeBucket)
}

// S-82: "key prefix aws/lambda/<uuid>/<shardId>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-, date equal to body.timestamp in UTC".
// A repeat has the same key, another notice of the same second another one.
func TestObjectsAreNamedAsOnAWS(t *testing.T) {
	t.Parallel()
	var o destinationtest.Objects
	to, err := destination.Table{destination.S3(&o)}.Open("arn:aws:s3:::dead")
	if err != nil {
		t.Fatal(err)
	}
	n := destination.Sending{
		ID: "one", Mapping: "3f7a1c5e-0000-4000-8000-000000000000", Shard: "shardId-000000000001",
		At: time.Date(2026, 1, 1, 0, 30, 59, 999e6, time.FixedZone("CET", 3600)), Body: []byte("{}"),
	}
	other := n
	other.ID = "two"
	for _, n := range []destination.Sending{n, n, other} {
		if err := to.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}

	got := o.Take()
	if len(got) != 2 {
		t.Errorf("%d objects, want 2: %v", len(got), got)
	}
	form := regexp.MustCompile(`^aws/lambda/3f7a1c5e-0000-4000-8000-000000000000/shardId-000000000001/2025/12/31/` +
		`2025-12-31T23\.30\.59-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	for key := range got {
		if !form.MatchString(key) {
			t.Errorf("the key %s", key)
		}
	}
}

type topics struct{ got []string }

func (s *topics) PublishNotice(_ context.Context, account, region, topic, id string, message []byte) error {
	s.got = []string{account, region, topic, id, string(message)}
	return nil
}

// A notice goes to the topic that the ARN names, in its own account and region.
func TestTopicDestination(t *testing.T) {
	t.Parallel()
	var s topics
	to, err := destination.Table{destination.SNS(&s)}.Open("arn:aws:sns:eu-west-1:111122223333:dead")
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Send(t.Context(), destination.Sending{ID: "the-id", Body: []byte("body")}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.got, " "); got != "111122223333 eu-west-1 dead the-id body" || to.Payload() {
		t.Errorf("got %s, carries records: %t", got, to.Payload())
	}
}

// The payload is the last member, a text that holds the event to the letter. Contract 5.7, O15.
func TestThePayloadIsATextInTheDocument(t *testing.T) {
	t.Parallel()
	n := destination.Notice{
		BatchMember: "KinesisBatchInfo", Batch: []byte(`{}`), Payload: []byte(`{"Records":["\n\\"]}`),
	}
	if got := string(n.Document()); !strings.HasSuffix(
		got, `,"KinesisBatchInfo":{},"payload":"{\"Records\":[\"\\n\\\\\"]}"}`,
	) {
		t.Errorf("got %s", got)
	}
	n.Payload = nil
	if got := n.Document(); bytes.Contains(got, []byte("payload")) {
		t.Errorf("without a payload: %s", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := destination.Notice{
			BatchMember: "b", Batch: []byte(`{}`), Payload: []byte(rapid.String().Draw(t, "payload")),
		}
		var got struct{ Payload string }
		if err := json.Unmarshal(n.Document(), &got); err != nil || got.Payload != string(n.Payload) {
			t.Fatalf("%q became %q: %v", n.Payload, got.Payload, err)
		}
	})
}

// A payload is written without a copy of each part: what a bucket costs is the payload and its document.
func BenchmarkDocumentOf6MB(b *testing.B) {
	n := destination.Notice{
		BatchMember: "b", Batch: []byte(`{}`), Payload: bytes.Repeat([]byte(`{"data":"aGVsbG8="},`), 6<<20/20),
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(n.Payload)))
	for b.Loop() {
		n.Document()
	}
}
