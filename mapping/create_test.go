package mapping

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// S-01.
func TestCreateFillsInTheDefaultsOfAWS(t *testing.T) {
	t.Parallel()
	b := setup(t)

	m := b.create(t)

	want := Mapping{
		UUID: m.UUID, Account: me.Account, Region: me.Region, EventSourceARN: orders, Stream: 1,
		FunctionARN: "arn:aws:lambda:us-east-1:000000000000:function:f", FunctionName: "f",
		Enabled: true, State: Creating, StateReason: "User action", Version: 1, LastModified: m.LastModified,
		LastResult:       "No records processed",
		Settings:         Settings{BatchSize: 100, ParallelizationFactor: 1, MaxRetries: -1},
		StartingPosition: "LATEST", Starts: map[record.ShardID]record.Position{0: 1},
	}
	if d := cmp.Diff(want, *m); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, *b.get(t, m.UUID)); d != "" {
		t.Error("what is stored differs from what was answered:", d)
	}
	if want := "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:" + m.UUID; m.ARN() != want {
		t.Errorf("ARN %s, want %s", m.ARN(), want)
	}
}

// Every setting reaches the core in the core's terms.
func TestCoreConfigurationFollowsTheKnobs(t *testing.T) {
	t.Parallel()
	b := setup(t)

	m := b.create(t, func(in *CreateInput) {
		in.BatchSize, in.BatchingWindowSeconds, in.ParallelizationFactor = new(int64(500)), new(int64(5)), new(
			int64(10),
		)
		in.MaxRetries, in.MaxAgeSeconds, in.Bisect = new(int64(3)), new(int64(86400)), new(true)
		in.ResponseTypes = []string{"ReportBatchItemFailures"}
		in.Destination = &DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:000000000000:dead"}
	})

	want := esm.Config{
		BatchSize: 500, BatchingWindow: 5 * time.Second, Factor: 10, MaxRetries: 3, MaxAge: 24 * time.Hour,
		Bisect: true, PartialResponses: true, Destination: true,
	}.WithDefaults()
	if d := cmp.Diff(want, b.get(t, m.UUID).Core()); d != "" {
		t.Error(d)
	}
}

// S-09 under contention: however many calls race, a stream and a function have one mapping.
func TestConcurrentCreatesOfOnePairLeaveOneMapping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const racers = 16

	var wg sync.WaitGroup
	errs := make([]error, racers)
	for i := range racers {
		wg.Go(func() { _, _, errs[i] = b.Create(t.Context(), me, input()) })
	}
	wg.Wait()

	all, err := b.All(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d mappings (%v), want 1", len(all), err)
	}
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantFault(t, err, "ResourceConflictException",
			`The event source arn (" `+orders+` ") and function (" f ") provided mapping already exists. `+
				`Please update or delete the existing mapping with UUID `+all[0].UUID)
	}
	if won != 1 {
		t.Errorf("%d creates succeeded, want 1", won)
	}
}

// The same in the narrowest gap: another Create commits between this one's read of the pair and its commit.
func TestCreateThatWasOvertakenIsADuplicate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var first *Mapping
	b.coord.before = func() { first = b.create(t) }

	_, _, err := b.Create(t.Context(), me, input())

	wantFault(t, err, "ResourceConflictException",
		`The event source arn (" `+orders+` ") and function (" f ") provided mapping already exists. `+
			`Please update or delete the existing mapping with UUID `+first.UUID)
}

// S-09, V10.
func TestOtherFunctionOnTheSameStreamIsAccepted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t)

	if m := b.create(t, func(in *CreateInput) { in.FunctionName = new("g") }); m.FunctionName != "g" {
		t.Errorf("function %s, want g", m.FunctionName)
	}
}

// Lambda Developer Guide, "Process Kinesis records": with LATEST, AWS may miss records put soon after Create. We fix
// the position inside Create.
func TestLatestIsResolvedBeforeCreateAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.streams.put(orders)
	b.streams.put(orders)

	m := b.create(t)
	b.streams.put(orders)

	if got := b.get(t, m.UUID).Starts[0]; got != 3 {
		t.Errorf("shard 0 starts at %d, want 3: the record put after the answer must be read", got)
	}
}

func TestStartingPositionTimestampIsHandedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)

	m := b.create(t, func(in *CreateInput) {
		in.StartingPosition, in.StartingPositionTimestamp = new(AtTimestamp), new(record.Millis(1_700_000_000_123))
	})

	got := b.get(t, m.UUID)
	if *got.StartingPositionTimestamp != 1_700_000_000_123 || got.Starts[0] != 1_700_000_000_123 {
		t.Errorf("timestamp %v, starts %v", *got.StartingPositionTimestamp, got.Starts)
	}
}

// A pair whose mapping is being deleted becomes free within the second that Create waits: tools that replace a mapping
// delete and create at once.
func TestCreateWaitsForTheEndOfADeletedMapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		old := b.create(t)
		b.settle(t)
		if _, err := b.Delete(t.Context(), me, old.UUID); err != nil {
			t.Fatal(err)
		}
		done := make(chan *Mapping)
		go func() { done <- b.create(t) }()
		synctest.Wait()

		b.streams.put(orders)
		b.settle(t)

		if m := <-done; m.UUID == old.UUID || m.Starts[0] != 2 {
			t.Errorf("got %s starting at %d, want another mapping starting at 2", m.UUID, m.Starts[0])
		}
	})
}

func TestCreateGivesUpOnADeletedMappingThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		old := b.create(t)
		b.settle(t)
		if _, err := b.Delete(t.Context(), me, old.UUID); err != nil {
			t.Fatal(err)
		}
		began := time.Now()

		_, _, err := b.Create(t.Context(), me, input())

		if fault.CodeOf(err) != "ResourceConflictException" || time.Since(began) != time.Second {
			t.Errorf("%v after %s, want a conflict after 1s", err, time.Since(began))
		}
	})
}

// Tutorials print account ids of nine digits. They are read as the caller's, stored and shown with twelve, and a hint
// tells the caller.
func TestShortAccountsInARNsFoldToTheCaller(t *testing.T) {
	t.Parallel()
	b := setup(t)

	m, hint, err := b.Create(t.Context(), me, input(func(in *CreateInput) {
		in.EventSourceARN = new("arn:aws:kinesis:us-east-1:123456789:stream/orders")
		in.FunctionName = new("arn:aws:lambda:us-east-1:123456789:function:f")
		in.Destination = &DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:123456789:dead"}
	}))
	if err != nil {
		t.Fatal(err)
	}

	if m.EventSourceARN != orders || m.Destination != "arn:aws:sqs:us-east-1:000000000000:dead" {
		t.Errorf("source %s, destination %s", m.EventSourceARN, m.Destination)
	}
	if want := "account 123456789 in an ARN has fewer than 12 digits and was read as 000000000000"; hint != want {
		t.Errorf("hint %q, want %q", hint, want)
	}
}

// A pair held by a missing mapping should never occur; if it does, the result is an error and not an endless loop.
func TestDamagedIndexIsReported(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	if _, err := b.coord.Commit(t.Context(), group, storage.Op{Key: byUUID + m.UUID, Expect: storage.Any}); err != nil {
		t.Fatal(err)
	}

	_, _, err := b.Create(t.Context(), me, input())

	if err == nil || fault.CodeOf(err) != "" || !strings.Contains(err.Error(), m.UUID) {
		t.Errorf("got %v, want an internal error that names %s", err, m.UUID)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := b.Delete(ctx, me, m.UUID)
			done <- err
		}()
		synctest.Wait()

		cancel()

		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}
