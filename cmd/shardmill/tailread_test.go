package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/server"
	"github.com/shardmill/shardmill/stream"
)

// served starts a server and returns a client of it with a stream orders, and whatever targets it calls.
func served(t *testing.T, shards int) (*client, <-chan string) {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s, err := server.New(server.Config{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(context.WithoutCancel(t.Context())) })
	cl := newClient(s.Endpoint(), wireAccount, "us-east-1")
	t.Cleanup(cl.http.CloseIdleConnections)
	calls := make(chan string, 1000)
	cl.http.Transport = told{cl.http.Transport, calls}
	cl.must(t, "CreateStream", map[string]any{"StreamName": "orders", "ShardCount": shards})
	return cl, calls
}

// told tells which operations are called, as long as somebody listens.
type told struct {
	http.RoundTripper
	calls chan<- string
}

func (r told) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	select {
	case r.calls <- strings.TrimPrefix(req.Header.Get("X-Amz-Target"), "Kinesis_20131202."):
	default:
	}
	return resp, err
}

func (c *client) must(t *testing.T, operation string, in map[string]any) {
	t.Helper()
	if err := c.kinesis(t.Context(), operation, in, nil); err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
}

func (c *client) advance(t *testing.T, millis int64) {
	t.Helper()
	change := control.ClockChange{AdvanceMillis: millis}
	if err := c.control(t.Context(), http.MethodPost, control.PathClock, change, nil); err != nil {
		t.Fatal(err)
	}
}

// tailing starts a tailer and returns what it shows; stop ends it.
func tailing(t *testing.T, cl *client, from origin) (records <-chan string, stop func()) {
	t.Helper()
	out := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	reader := &tailer{
		c: cl, stream: "orders", from: from, follow: true, began: cl.serverTime(ctx),
		show: func(_ *record.HashKeyRange, r tailRecord) error {
			out <- string(r.Data)
			return nil
		},
	}
	go func() { ended <- reader.all(ctx) }()
	return out, func() {
		t.Helper()
		cancel()
		if err := eventually.Comes(t, "the end of tail", ended); err != nil {
			t.Error(err)
		}
	}
}

// Kinesis Developer Guide, "Resharding a stream": who reads parents before children reads the records of a key in
// order. P-13: an iterator lives for 300 s, by the clock that can be moved.
func TestTailFollowsAStreamThroughReshardsAndMovesOfTheClock(t *testing.T) {
	cl, _ := served(t, 1)
	n := 0
	put := func() {
		for range 3 {
			n++
			cl.must(t, "PutRecord", map[string]any{
				"StreamName": "orders", "PartitionKey": "key", "Data": fmt.Append(nil, n),
			})
		}
	}
	put()
	records, stop := tailing(t, cl, origin{kind: stream.IterTrimHorizon})
	defer stop()

	put()
	cl.must(t, "UpdateShardCount", map[string]any{
		"StreamName": "orders", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING",
	})
	put()
	cl.must(t, "MergeShards", map[string]any{"StreamName": "orders", "ShardToMerge": "1", "AdjacentShardToMerge": "2"})
	put()
	cl.advance(t, 600_000)
	put()

	for i := range n {
		if got := eventually.Comes(t, "a record", records); got != fmt.Sprint(i+1) {
			t.Fatalf("record %d is %s", i+1, got)
		}
	}
}

// What comes while an iterator of LATEST has expired is shown, and what was there before tail began is not.
func TestAnExpiredIteratorOfAnIdleShardLosesNothing(t *testing.T) {
	cl, calls := served(t, 1)
	cl.must(t, "PutRecord", map[string]any{"StreamName": "orders", "PartitionKey": "k", "Data": []byte("before")})
	cl.advance(t, 1)
	records, stop := tailing(t, cl, origin{kind: stream.IterLatest})
	defer stop()
	for eventually.Comes(t, "a read", calls) != "GetRecords" {
	}

	cl.advance(t, 600_000)
	cl.must(t, "PutRecord", map[string]any{"StreamName": "orders", "PartitionKey": "k", "Data": []byte("after")})

	if got := eventually.Comes(t, "a record", records); got != "after" {
		t.Errorf("the first record is %q", got)
	}
}

// A reader that is throttled, or meets a fault of the server, asks again after a pause.
func TestTailAsksAgainAfterAThrottle(t *testing.T) {
	t.Parallel()
	answers := []string{
		`{"Shards":[{"ShardId":"shardId-000000000000"}]}`, `{"ShardIterator":"i"}`,
		`ProvisionedThroughputExceededException`, `InternalFailure`, `{"Records":[{"Data":"QQ=="}]}`,
	}
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := answers[min(calls, len(answers)-1)]
		calls++
		switch answer {
		case "InternalFailure":
			w.WriteHeader(http.StatusInternalServerError)
		case throttleCode:
			w.WriteHeader(http.StatusBadRequest)
		}
		if !json.Valid([]byte(answer)) {
			answer = fmt.Sprintf(`{"__type":%q}`, answer)
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(s.Close)
	var got []string
	reader := &tailer{
		c: newClient(s.URL, wireAccount, "us-east-1"), stream: "orders", from: origin{kind: stream.IterTrimHorizon},
		show: func(_ *record.HashKeyRange, r tailRecord) error {
			got = append(got, string(r.Data))
			return nil
		},
	}

	if err := reader.all(t.Context()); err != nil || len(got) != 1 || calls != len(answers) {
		t.Errorf("%v, %q, %d calls", err, got, calls)
	}
}

// A stream that is deleted ends tail with what the server says; it is not asked for ever.
func TestTailEndsWithItsStream(t *testing.T) {
	cl, calls := served(t, 2)
	ended := make(chan error, 1)
	reader := &tailer{
		c: cl, stream: "orders", from: origin{kind: stream.IterTrimHorizon}, follow: true, began: time.Now(),
		show: func(*record.HashKeyRange, tailRecord) error { return nil },
	}
	go func() { ended <- reader.all(t.Context()) }()
	for eventually.Comes(t, "a read", calls) != "GetRecords" {
	}

	cl.must(t, "DeleteStream", map[string]any{"StreamName": "orders"})

	if err := eventually.Comes(t, "the end of tail", ended); !isCode(err, "ResourceNotFoundException") {
		t.Errorf("it ended with %v", err)
	}
}

// From now on: what the children of a reshard get before they are found is later than that, and is shown.
func TestTailFromNowOnShowsAllOfTheChildren(t *testing.T) {
	cl, calls := served(t, 1)
	records, stop := tailing(t, cl, origin{kind: stream.IterLatest})
	defer stop()
	for eventually.Comes(t, "a read", calls) != "GetRecords" {
	}

	cl.must(t, "UpdateShardCount", map[string]any{
		"StreamName": "orders", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING",
	})
	cl.must(t, "PutRecord", map[string]any{"StreamName": "orders", "PartitionKey": "k", "Data": []byte("of a child")})

	if got := eventually.Comes(t, "a record", records); got != "of a child" {
		t.Errorf("the first record is %q", got)
	}
}
