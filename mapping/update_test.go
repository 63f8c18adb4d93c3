package mapping

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/fault"
)

// S-18, API side: the states that a user sees, and what is kept.
func TestDisableAndEnableGoThroughTheirStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	b.SetResult(t.Context(), m.UUID, Result{Text: "OK"})

	steps := []struct {
		enabled      bool
		during, rest State
	}{{false, Disabling, Disabled}, {false, Updating, Disabled}, {true, Enabling, Enabled}, {true, Updating, Enabled}}
	for _, s := range steps {
		got := b.update(t, m.UUID, Knobs{Enabled: new(s.enabled)})
		if got.State != s.during || got.Enabled != s.enabled || got.LastResult != "OK" {
			t.Errorf("Enabled=%t: state %s, result %q; want %s, OK", s.enabled, got.State, got.LastResult, s.during)
		}
		b.settle(t)
		if got := b.get(t, m.UUID); got.State != s.rest || got.LastResult != "OK" {
			t.Errorf("Enabled=%t: at rest in %s with %q, want %s with OK", s.enabled, got.State, got.LastResult, s.rest)
		}
	}
}

func TestCreateDisabledSettlesInDisabled(t *testing.T) {
	t.Parallel()
	b := setup(t)

	m := b.create(t, func(in *CreateInput) { in.Enabled = new(false) })
	if m.State != Creating {
		t.Errorf("state %s, want Creating", m.State)
	}
	b.settle(t)

	if got := b.get(t, m.UUID); got.State != Disabled {
		t.Errorf("state %s, want Disabled", got.State)
	}
}

// Lambda API Reference, UpdateEventSourceMapping: members that are not sent stay; positions are kept whatever changes.
func TestUpdateChangesWhatWasSentAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t, func(in *CreateInput) {
		in.BatchSize, in.MaxRetries, in.MaxAgeSeconds, in.Bisect = new(int64(7)), new(int64(2)), new(int64(60)), new(
			true,
		)
		in.Destination = &DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:000000000000:dead"}
	})
	b.settle(t)
	b.streams.put(orders)

	got := b.update(t, m.UUID, Knobs{FunctionName: new("g"), ResponseTypes: []string{"ReportBatchItemFailures"}})

	want := *m
	// the new values at once
	want.FunctionARN, want.FunctionName = "arn:aws:lambda:us-east-1:000000000000:function:g", "g"
	want.PartialResponses = true
	want.State, want.Version, want.LastModified = Updating, 2, got.LastModified
	if d := cmp.Diff(want, *got); d != "" {
		t.Error(d)
	}
}

// S-21, and the other members whose empty value removes something.
func TestEmptyValuesRemove(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t, func(in *CreateInput) {
		in.MaxAgeSeconds = new(int64(60))
		in.ResponseTypes = []string{"ReportBatchItemFailures"}
		in.Destination = &DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:000000000000:dead"}
		in.Filters, in.KMSKeyARN = []string{`{"data":{"a":[1]}}`}, new("arn:aws:kms:us-east-1:000000000000:key/k")
	})
	b.settle(t)

	b.update(t, m.UUID, Knobs{
		MaxAgeSeconds: new(int64(-1)), ResponseTypes: []string{}, Destination: &DestinationConfig{},
		Filters: []string{}, KMSKeyARN: new(""),
	})

	if d := cmp.Diff(DefaultSettings(), b.get(t, m.UUID).Settings); d != "" {
		t.Error(d)
	}
}

// An Update frees the pair that it leaves and takes the new one.
func TestUpdateOfTheFunctionMovesThePair(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	b.update(t, m.UUID, Knobs{FunctionName: new("g")})
	b.settle(t)

	other := b.create(t) // f again
	b.settle(t)
	_, _, err := b.Update(t.Context(), me, other.UUID, UpdateInput{Knobs{FunctionName: new("g")}})

	wantFault(t, err, "ResourceConflictException",
		`The event source arn (" `+orders+` ") and function (" g ") provided mapping already exists. `+
			`Please update or delete the existing mapping with UUID `+m.UUID)
	if got := b.get(t, other.UUID); got.FunctionName != "f" || got.State != Enabled {
		t.Errorf("the refused update left %s, %s", got.FunctionName, got.State)
	}
}

// S-19, V13, V14: at AWS's pace a call in a transitional state fails at once.
func TestTransitionalStatesRefuseAtAWSPace(t *testing.T) {
	t.Parallel()
	b := setup(t, awsPace)
	m := b.create(t)

	_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{})
	wantFault(t, err, "ResourceInUseException", "Cannot update the event source mapping because it is in use.")
	_, err = b.Delete(t.Context(), me, m.UUID)
	wantFault(t, err, "ResourceInUseException", "Cannot delete the event source mapping because it is in use.")

	b.settle(t)
	b.update(t, m.UUID, Knobs{Enabled: new(false)})
	if got, err := b.Delete(t.Context(), me, m.UUID); err != nil || got.State != Deleting {
		t.Errorf("delete while Disabling: %v", err)
	}
	_, _, err = b.Update(t.Context(), me, m.UUID, UpdateInput{})
	wantFault(t, err, "ResourceInUseException", "Cannot update the event source mapping because it is in use.")
}

// At our own pace the same call waits for the engine, which takes milliseconds.
func TestUpdateWaitsForATransitionToEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		done := make(chan *Mapping)
		go func() { done <- b.update(t, m.UUID, Knobs{BatchSize: new(int64(5))}) }()
		synctest.Wait()

		b.settle(t)

		if got := <-done; got.State != Updating || got.BatchSize != 5 {
			t.Errorf("state %s, batch size %d", got.State, got.BatchSize)
		}
	})
}

func TestUpdateGivesUpAfterASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		began := time.Now()

		_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{})

		if fault.CodeOf(err) != "ResourceInUseException" || time.Since(began) != time.Second {
			t.Errorf("%v after %s, want ResourceInUseException after 1s", err, time.Since(began))
		}
	})
}

// Two updates that read the same value cannot undo each other: the slower one finds the revision changed and starts
// over.
func TestUpdateThatWasOvertakenKeepsBothChanges(t *testing.T) {
	t.Parallel()
	b := setup(t, awsPace)
	m := b.create(t)
	b.settle(t)
	b.coord.before = func() {
		b.update(t, m.UUID, Knobs{MaxRetries: new(int64(4))})
		b.settle(t)
	}

	got := b.update(t, m.UUID, Knobs{BatchSize: new(int64(5))})

	if got.BatchSize != 5 || got.MaxRetries != 4 || got.Version != 3 {
		t.Errorf("version %d, batch size %d, retries %d; want 3, 5, 4", got.Version, got.BatchSize, got.MaxRetries)
	}
}

// A Delete between the read and the write of an Update wins: the mapping does not come back.
func TestUpdateThatWasOvertakenByDeleteIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, awsPace)
	m := b.create(t)
	b.settle(t)
	b.coord.before = func() {
		if _, err := b.Delete(t.Context(), me, m.UUID); err != nil {
			t.Error(err)
		}
		b.settle(t)
	}

	_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{})

	wantFault(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")
}

// The same from many goroutines, which wait for each other's transitions.
func TestConcurrentUpdatesAreNotLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)

	var wg sync.WaitGroup
	knobs := []Knobs{
		{BatchSize: new(int64(5))}, {MaxRetries: new(int64(4))}, {Bisect: new(true)}, {MaxAgeSeconds: new(int64(60))},
	}
	for _, k := range knobs {
		wg.Go(func() {
			if _, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{k}); err != nil {
				t.Error(err)
			}
		})
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	for running := true; running; { // an engine that settles every transition at once
		changed := b.Changed()
		b.settle(t)
		select {
		case <-changed:
		case <-finished:
			running = false
		}
	}

	want := DefaultSettings()
	want.BatchSize, want.MaxRetries, want.Bisect, want.MaxAge = 5, 4, true, time.Minute
	if got := b.get(t, m.UUID); !cmp.Equal(got.Settings, want) || got.Version != 5 {
		t.Errorf("version %d, %+v; want version 5, %+v", got.Version, got.Settings, want)
	}
}

// Lambda API Reference, DeleteEventSourceMapping: the answer is the configuration, Deleting; then Get answers 404.
func TestDeleteAnswersTheConfigurationAndThenItIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)

	got, err := b.Delete(t.Context(), me, m.UUID)
	if err != nil {
		t.Fatal(err)
	}
	want := *m
	want.State, want.Version, want.LastModified = Deleting, 2, got.LastModified
	if d := cmp.Diff(want, *got); d != "" {
		t.Error(d)
	}
	b.settle(t)
	b.settle(t) // a second report is harmless

	_, err = b.Get(t.Context(), me, m.UUID)
	wantFault(t, err, "ResourceNotFoundException", "The resource you requested does not exist.")
	if n := b.coord.keys(); n != 0 {
		t.Errorf("%d keys are left behind", n)
	}
	b.create(t) // the pair is free
}

// S-10, V12; a mapping of another account or region counts as absent.
func TestUnknownMappingsAreNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	cases := map[string]struct {
		caller Caller
		uuid   string
	}{
		"a UUID that nobody has": {me, "11111111-2222-4333-8444-555555555555"},
		"no UUID":                {me, "../pair/x"},
		"another account":        {Caller{"111111111111", me.Region}, m.UUID},
		"another region":         {Caller{me.Account, "eu-west-1"}, m.UUID},
	}
	for name, c := range cases {
		_, err := b.Get(t.Context(), c.caller, c.uuid)
		_, _, err2 := b.Update(t.Context(), c.caller, c.uuid, UpdateInput{})
		_, err3 := b.Delete(t.Context(), c.caller, c.uuid)
		for _, err := range []error{err, err2, err3} {
			if fault.CodeOf(err) != "ResourceNotFoundException" {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

// A report of the engine counts only for the configuration that it names.
func TestOvertakenReportsArePassedOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	b.update(t, m.UUID, Knobs{BatchSize: new(int64(5))})

	reports := []struct {
		version uint64
		state   State
	}{{1, Enabled}, {2, Disabled}}
	for _, r := range reports {
		if err := b.Settled(t.Context(), m.UUID, r.version, r.state); err != nil {
			t.Fatal(err)
		}
		if got := b.get(t, m.UUID); got.State != Updating {
			t.Errorf("version %d %s ended the update", r.version, r.state)
		}
	}
	if err := b.Removed(t.Context(), m.UUID); err != nil {
		t.Fatal(err)
	}
	if got := b.get(t, m.UUID); got.State != Updating {
		t.Error("Removed ended a mapping that was not deleted")
	}
	if err := b.Settled(t.Context(), "11111111-2222-4333-8444-555555555555", 1, Enabled); err != nil {
		t.Errorf("report about an unknown mapping: %v", err)
	}
}

// S-20: deleting the function leaves the mapping as it is.
func TestMappingOutlivesItsFunction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)

	b.functions.mu.Lock()
	delete(b.functions.names, "f")
	b.functions.mu.Unlock()

	if got := b.get(t, m.UUID); got.State != Enabled {
		t.Errorf("state %s, want Enabled", got.State)
	}
	if got := b.update(t, m.UUID, Knobs{Enabled: new(false)}); got.State != Disabling {
		t.Errorf("state %s, want Disabling", got.State)
	}
}
