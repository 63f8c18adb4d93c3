package kinesis

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream"
)

// stuckStore appends nothing until the caller leaves, as a store does whose disk is slow.
type stuckStore struct {
	storage.Store
	begun chan struct{}
}

func (s stuckStore) Log() storage.Log { return stuckLog{s.Store.Log(), s.begun} }

type stuckLog struct {
	storage.Log
	begun chan struct{}
}

func (l stuckLog) Append(ctx context.Context, batches []storage.Batch) []error {
	close(l.begun)
	<-ctx.Done()
	errs := make([]error, len(batches))
	for i := range errs {
		errs[i] = ctx.Err()
	}
	return errs
}

// A client that leaves while its put waits for the disk is not our error: the request gets one line at level debug,
// however many shards it went to.
func TestAClientThatLeavesDuringAPutIsNoError(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("orders", 4)
	begun := make(chan struct{})
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	streams := stream.New(stream.Options{Store: stuckStore{w.store, begun}, Clock: w.clock, Log: log})
	if err := streams.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(streams.Stop)
	h := New(Options{Streams: streams, Log: log})
	ctx, leave := context.WithCancel(t.Context())
	r := w.request("POST", "PutRecords", `{"StreamName":"orders","Records":[{"PartitionKey":"a","Data":""},{"PartitionKey":"b","Data":""},{"PartitionKey":"c","Data":""},
		{"PartitionKey":"d","Data":""},{"PartitionKey":"e","Data":""}]}`)
	r = r.WithContext(wire.WithCaller(ctx, wire.ReadCaller(r, nil)))
	done := make(chan struct{})

	go func() { defer close(done); h.ServeHTTP(httptest.NewRecorder(), r) }()
	<-begun
	leave()
	<-done

	if got := strings.Count(said.String(), "\n"); got != 1 || !strings.Contains(said.String(), "level=DEBUG") ||
		!strings.Contains(said.String(), "request_id=") {
		t.Errorf("it was logged in %d lines, want one at level debug:\n%s", got, said.String())
	}
}
