package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/shardmill/shardmill/e2e"
	"github.com/shardmill/shardmill/internal/eventually"
)

// Moving the clock fires a batching window of five minutes: the batch that waited for more records goes out, and the
// advance returns when it has been processed.
func TestAdvancingTheClockFiresABatchingWindow(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	c, l := s.clients(), newLedger(t, nil)
	c.createStream(t, "orders", 1)
	c.createFunction(t, "orders", l.url)
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{
		BatchSize: aws.Int32(100), MaximumBatchingWindowInSeconds: aws.Int32(300),
	})
	for i := range 3 {
		c.put(t, "orders", "k", fmt.Sprint(i))
	}
	// the window may have opened up to a minute of real time before: still closed
	s.advance(t, 299*time.Second-time.Minute)
	if begun, _, _ := l.counts(); begun != 0 {
		t.Fatalf("%d invocations before the window has passed, want none", begun)
	}

	s.advance(t, time.Minute+time.Second)

	if got := l.data(); !slices.Equal(got, []string{"0", "1", "2"}) {
		t.Errorf("delivered %q, want all three in one batch", got)
	}
	if begun, ended, _ := l.counts(); begun != 1 || ended != 1 {
		t.Errorf("%d invocations begun and %d ended, want one that has ended", begun, ended)
	}
}

// Moving the clock fires back-off after back-off: a batch that fails twice has been tried three times when the advance
// returns.
func TestAdvancingTheClockFiresBackOff(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	var tries atomic.Int32
	l := newLedger(t, func(invocation) e2e.Order {
		if tries.Add(1) < 6 {
			return e2e.Order{Fail: "not yet"}
		}
		return e2e.Order{}
	})
	c := s.clients()
	c.createStream(t, "orders", 1)
	c.createFunction(t, "orders", l.url)
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(100)})
	c.put(t, "orders", "k", "stubborn")
	eventually.Reaches(t, "the first try", func() (bool, string) {
		_, ended, _ := l.counts()
		return ended >= 1, fmt.Sprint(ended, " ended")
	})

	s.advance(t, time.Hour)

	if _, ended, _ := l.counts(); ended != 6 {
		t.Errorf("%d tries within the hour, want 6: five failures and the success", ended)
	}
}

// Moving the clock ends a visibility timeout: a message that was taken and not deleted can be received again.
func TestAdvancingTheClockEndsAVisibilityTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	c := s.clients()
	url := c.createQueue(t, "jobs", map[string]string{"VisibilityTimeout": "1800"})
	if _, err := c.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &url, MessageBody: aws.String("job"),
	}); err != nil {
		t.Fatal(err)
	}
	if got := c.receive(t, url, 1); len(got) != 1 {
		t.Fatalf("received %d messages, want 1", len(got))
	}
	if got := c.receive(t, url, 0); len(got) != 0 {
		t.Fatalf("received %d messages while the first receiver has it, want none", len(got))
	}

	s.advance(t, 31*time.Minute)

	if got := c.receive(t, url, 1); len(got) != 1 || *got[0].Body != "job" {
		t.Errorf("received %+v after the timeout, want the message again", got)
	}
}

// A clock only moves forward, and says what it wants.
func TestTheClockRefusesToMoveBack(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	for _, body := range []string{`{"advanceMillis":-1}`, `{"advanceMillis":"1"}`, `[]`, ``} {
		got := s.control(t, "POST", "clock", body)
		if want := `the body must be {"advanceMillis": n} with n of 0 or more; the clock only moves forward`; got.status != 400 ||
			got.message(t) != want {
			t.Errorf("%s: %d %s, want 400 %s", body, got.status, got.body, want)
		}
	}
	if got := s.control(t, "POST", "clock", `{"advanceMillis":3200000000000}`); got.status != 400 ||
		!strings.Contains(got.body, "the clock moves by a century at most") {
		t.Errorf("a century and more: %d %s, want 400", got.status, got.body)
	}
}
