package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/stream"
	"github.com/shardmill/shardmill/stream/streamtest"
)

// S-28: 20 records present and 10 put later, batch size 10: three batches of ten.
func TestBatchesAreCutInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 20)...)
		w.create(mapping.Knobs{BatchSize: p(int64(10))})
		w.pass(time.Second)
		w.put("k", numbered(21, 30)...)
		w.pass(time.Second)

		var sizes []int
		for _, c := range w.functions.seen() {
			sizes = append(sizes, len(c.data))
		}
		if !slices.Equal(sizes, []int{10, 10, 10}) || !slices.Equal(w.functions.delivered(), numbered(1, 30)) {
			t.Errorf("batches %v of %v", sizes, w.functions.delivered())
		}
	})
}

// S-61: poison 7 of ten is bisected out; the others are delivered, and the notice names the one record after four
// invocations.
func TestPoisonRecordIsBisectedIntoTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = poisoned("7")
		w.put("k", numbered(1, 10)...)
		uuid := w.create(mapping.Knobs{
			BatchSize: p(int64(10)), MaxRetries: p(int64(3)), Bisect: p(true),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(time.Minute)

		calls := w.functions.seen()
		if len(calls) != 10 {
			t.Errorf("%d invocations, want 10", len(calls))
		}
		bodies := w.notices()
		if len(bodies) != 1 {
			t.Fatalf("%d notices", len(bodies))
		}
		var n struct {
			RequestContext struct {
				RequestID, FunctionArn, Condition string
				ApproximateInvokeCount            int
			}
			ResponseContext  struct{ FunctionError string }
			KinesisBatchInfo struct {
				StartSequenceNumber, EndSequenceNumber string
				BatchSize                              int
			}
		}
		if err := json.Unmarshal([]byte(bodies[0]), &n); err != nil {
			t.Fatal(err)
		}
		last := calls[len(calls)-2] // the last but one: after it come 8 to 10
		if n.RequestContext.Condition != "RetryAttemptsExhausted" || n.RequestContext.ApproximateInvokeCount != 4 ||
			n.KinesisBatchInfo.BatchSize != 1 ||
			n.KinesisBatchInfo.StartSequenceNumber != last.sequences[0] ||
			n.RequestContext.RequestID != last.requestID || n.ResponseContext.FunctionError != "Unhandled" {
			t.Errorf("notice %s", bodies[0])
		}
		if m := w.state(uuid); m.LastResult != "OK" || m.State != mapping.Enabled {
			t.Errorf("state %s, last result %s", m.State, m.LastResult)
		}
	})
}

// S-36: what is settled and saved is not delivered again by the next engine; the batch in flight is.
func TestRestartRepeatsOnlyWhatWasInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 4)...)
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.pass(35 * time.Millisecond) // three done, the fourth runs

		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		w.engine.Stop(stopped)
		w.start()
		w.pass(time.Second)

		got := w.functions.delivered()
		if !slices.Equal(got, []string{"1", "2", "3", "4", "4"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// A stop lets attempts in flight end and saves what they came to, so nothing comes again.
func TestDrainRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 5)...)
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.pass(25 * time.Millisecond)

		w.engine.Stop(t.Context())
		w.start()
		w.pass(time.Second)

		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 5)) {
			t.Errorf("delivered %v", got)
		}
	})
}

// S-18: after Disabled nothing is delivered; enabled again, it goes on with the first unsettled record.
func TestDisabledIsTrueAndEnableGoesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 3)...)
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.pass(5 * time.Millisecond)

		m, _, err := w.mappings.Update(t.Context(), caller, uuid, mapping.UpdateInput{
			Knobs: mapping.Knobs{Enabled: p(false)},
		})
		w.must(err)
		if m.State != mapping.Disabling {
			t.Errorf("answered %s", m.State)
		}
		w.pass(time.Minute)
		if m := w.state(uuid); m.State != mapping.Disabled {
			t.Fatalf("state %s", m.State)
		}
		before := w.functions.delivered()
		w.put("k", "4")
		w.pass(time.Minute)
		if got := w.functions.delivered(); !slices.Equal(got, before) {
			t.Errorf("delivered %v while disabled, after %v", got, before)
		}
		w.update(uuid, mapping.Knobs{Enabled: p(true)})
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 4)) {
			t.Errorf("delivered %v", got)
		}
	})
}

// S-37: checkpoints belong to the mapping; a new one on the same pair starts again.
func TestDeletedMappingLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 3)...)
		uuid := w.create(mapping.Knobs{})
		w.pass(time.Second)

		m, err := w.mappings.Delete(t.Context(), caller, uuid)
		w.must(err)
		if m.State != mapping.Deleting {
			t.Errorf("answered %s", m.State)
		}
		w.pass(time.Second)
		if _, err := w.mappings.Get(t.Context(), caller, uuid); err == nil {
			t.Error("the mapping is still there")
		}
		left, err := w.store.Coord().List(t.Context(), "checkpoint/", "", 0)
		w.must(err)
		if len(left) != 0 {
			t.Errorf("%d checkpoints left", len(left))
		}
		w.create(mapping.Knobs{})
		w.pass(time.Second)

		if got := w.functions.delivered(); !slices.Equal(got, append(numbered(1, 3), numbered(1, 3)...)) {
			t.Errorf("delivered %v", got)
		}
	})
}

// S-20: a missing function is not invoked and uses up nothing; when it appears, lanes in back-off try at once.
func TestMissingFunctionWaitsAndIsNudged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.missing = true
		w.put("k", "1")
		uuid := w.create(mapping.Knobs{
			MaxRetries: p(int64(0)), Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(10 * time.Minute)
		if m := w.state(uuid); m.LastResult != "PROBLEM: Function does not exist" || m.State != mapping.Enabled {
			t.Errorf("state %s, last result %s", m.State, m.LastResult)
		}
		w.functions.change(func() { w.functions.missing = false })
		w.pass(time.Second) // a back-off would last up to a minute

		if got := w.functions.delivered(); !slices.Equal(got, []string{"1"}) || len(w.notices()) != 0 {
			t.Errorf("delivered %v", got)
		}
	})
}

// S-49: reserved concurrency below shards × factor throttles the surplus; nothing is discarded and all shards progress.
func TestThrottledLanesTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		defer w.close()
		w.functions.limit = 2
		var all []string
		for i := range 40 {
			d := fmt.Sprint(i)
			all = append(all, d)
			w.put("key-"+d, d)
		}
		w.create(mapping.Knobs{
			BatchSize: p(int64(2)), ParallelizationFactor: p(int64(5)), MaxRetries: p(int64(0)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(5 * time.Second)

		got := w.functions.delivered()
		slices.Sort(got)
		slices.Sort(all)
		if w.functions.peak != 2 || !slices.Equal(got, all) || len(w.notices()) != 0 {
			t.Errorf("peak %d, delivered %d of %d", w.functions.peak, len(got), len(all))
		}
	})
}

// S-38: all records of a parent are settled before any record of a child is invoked.
func TestChildrenWaitForTheirParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		for i := range 5 {
			w.put(fmt.Sprint("k", i), fmt.Sprint("parent", i))
		}
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		streamtest.Split(t, w.streams, orders, 0)
		for i := range 10 {
			w.put(fmt.Sprint("k", i), fmt.Sprint("child", i))
		}
		w.pass(time.Second)

		got := w.functions.delivered()
		if len(got) != 15 {
			t.Fatalf("delivered %d of 15: %v", len(got), got)
		}
		for i, d := range got {
			if (i < 5) != strings.HasPrefix(d, "parent") {
				t.Fatalf("delivered %v", got)
			}
		}
	})
}

// S-48: the factor changes under load; never two concurrent invocations hold the same key, and every record is
// delivered at least once.
func TestFactorChangesUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(3))})
		held := map[string]int{}
		w.functions.duration = 0
		w.functions.handle = func(i invocation) function.Result {
			w.functions.mu.Lock()
			keys := map[string]bool{}
			for _, k := range i.keys {
				keys[k] = true
			}
			for k := range keys {
				if held[k]++; held[k] > 1 {
					t.Errorf("key %s is in two invocations at once", k)
				}
			}
			w.functions.mu.Unlock()
			<-time.After(7 * time.Millisecond)
			w.functions.mu.Lock()
			defer w.functions.mu.Unlock()
			for k := range keys {
				held[k]--
			}
			return ok()
		}
		want := map[string]bool{}
		n := 0
		load := func() {
			for range 60 {
				n++
				d := fmt.Sprint(n)
				want[d] = true
				w.put(fmt.Sprint("key-", n%13), d)
			}
		}
		for _, factor := range []int64{10, 3, 1} {
			load()
			w.pass(20 * time.Millisecond)
			w.update(uuid, mapping.Knobs{ParallelizationFactor: p(factor)})
		}
		load()
		w.pass(time.Minute)

		for _, d := range w.functions.delivered() {
			delete(want, d)
		}
		if len(want) != 0 {
			t.Errorf("%d records were never delivered", len(want))
		}
	})
}

// S-84: the destination is gone: after three tries the records are dropped, and the lane goes on.
func TestDeadDestinationDoesNotHoldTheLaneForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = poisoned("1")
		w.create(mapping.Knobs{
			BatchSize: p(int64(1)), MaxRetries: p(int64(0)),
			Destination: &mapping.DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:000000000000:gone"},
		})
		w.put("k", "1", "2")
		w.pass(10 * time.Second)

		if got := w.functions.delivered(); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// The steered clock moves back-offs: a retry that is due in an hour of waiting comes at once.
func TestAdvanceFiresBackOffs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		fails := 7
		w.functions.handle = func(invocation) function.Result {
			w.functions.mu.Lock()
			defer w.functions.mu.Unlock()
			if fails--; fails >= 0 {
				return failure()
			}
			return ok()
		}
		w.put("k", "1")
		w.create(mapping.Knobs{})
		real := time.Now()

		w.advance(10 * time.Minute)

		if n := len(w.functions.seen()); n != 8 {
			t.Errorf("%d invocations, want 8 (S-52)", n)
		}
		if took := time.Since(real); took > time.Second {
			t.Errorf("took %s of real time", took)
		}
	})
}

// A deleted stream leaves the mapping enabled, with the reason in LastProcessingResult. One that is made again under
// its name is another one.
func TestDeletedStreamIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		uuid := w.create(mapping.Knobs{})

		w.must(w.streams.Delete(t.Context(), orders))
		w.pass(time.Second)

		if m := w.state(uuid); m.State != mapping.Enabled || m.LastResult != "PROBLEM: Stream not found" {
			t.Errorf("state %s, last result %s", m.State, m.LastResult)
		}
		w.must(w.streams.Create(t.Context(), orders, stream.CreateInput{Shards: 1})) // another one
		w.put("k", "a")
		w.pass(time.Second)
		if m := w.state(uuid); m.LastResult != "PROBLEM: Stream not found" || len(w.functions.seen()) != 0 {
			t.Errorf("with another stream: last result %s, %d invocations", m.LastResult, len(w.functions.seen()))
		}
	})
}

// S-42: records that retention takes while a mapping is disabled are passed over, and counted as a loss; it goes on
// with the oldest that is left.
func TestRetentionWhileDisabled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{Enabled: p(false)})
		w.put("k", "old")
		w.pass(25 * time.Hour)
		w.put("k", "new")
		w.update(uuid, mapping.Knobs{Enabled: p(true)})
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, []string{"new"}) {
			t.Errorf("delivered %v", got)
		}
		if got := w.total(metric.RetentionLosses, metric.MappingUUID, uuid); got.Sum != 1 {
			t.Errorf("%g losses", got.Sum)
		}
	})
}

// With R = -1 and no age limit a failing batch is retried until its records expire in the stream; then the lane goes
// on.
func TestRetentionEndsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = poisoned("bad")
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.put("k", "bad")
		w.pass(23 * time.Hour)
		w.put("k", "good")
		w.pass(2 * time.Hour)

		got := w.functions.delivered()
		if got[len(got)-1] != "good" || len(got) < 1000 {
			t.Errorf("the last of %d deliveries is %q", len(got), got[len(got)-1])
		}
	})
}

// New code wakes a batch in back-off when it is in effect, and not when it is announced: a retry on the old code would
// wait out a longer back-off.
func TestBatchInBackOffIsRetriedOnTheNewCode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = poisoned("1")
		w.put("k", "1")
		w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.pass(time.Hour) // the back-off is long by now
		before := len(w.functions.seen())

		w.functions.change(func() { w.functions.updating = true })
		w.pass(time.Second)
		if n := len(w.functions.seen()); n != before {
			t.Errorf("%d attempts on the old code", n-before)
		}
		w.functions.change(func() { w.functions.updating, w.functions.handle = false, nil })
		w.pass(time.Second)
		if n := len(w.functions.seen()); n != before+1 {
			t.Errorf("%d attempts on the new code, want 1", n-before)
		}
	})
}
