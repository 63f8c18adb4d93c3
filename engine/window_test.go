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
	"github.com/shardmill/shardmill/stream/streamtest"
)

// summing returns a function that counts the records of a window in its state.
func summing(i invocation) function.Result {
	r := ok()
	r.Payload = fmt.Appendf(nil, `{"state":{"n":%d}}`, i.count()+len(i.data))
	return r
}

// count returns what the state says.
func (i invocation) count() int {
	var state struct{ N int }
	if err := json.Unmarshal(i.state, &state); err != nil {
		panic(err)
	}
	return state.N
}

// windows tells the invocations in short: records and state of an aggregation, state of a final one.
func (f *fakeFunctions) windows() (out []string) {
	for _, c := range f.seen() {
		kind := fmt.Sprintf("%v", c.data)
		if c.final {
			kind = "final"
		}
		out = append(out, fmt.Sprintf("%s %s %s", c.window.Start.Format(time.TimeOnly), kind, c.state))
	}
	return out
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	if got := w.functions.windows(); !slices.Equal(got, want) {
		w.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// S-90: W=30, one record, then silence: the final invocation comes when the window is over, and nothing after it
// (S-96). A bubble begins at midnight.
func TestIdleWindowEndsAtItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = summing
		w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(30))})
		w.pass(5 * time.Second)
		w.put("k", "1")
		w.pass(time.Hour)

		w.expect("00:00:00 [1] {}", `00:00:00 final {"n":1}`)
		calls := w.functions.seen()
		if late := calls[len(calls)-1].at.Sub(calls[0].window.End); late < 0 || late > time.Second {
			t.Errorf("the final invocation came %s after the end of the window", late)
		}
		if !w.engine.Idle() {
			t.Error("something is under way an hour later")
		}
	})
}

// The steered clock ends windows: an hour passes in no time, and every window gets its final invocation at its end.
func TestAdvanceEndsWindows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = summing
		w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(60))})
		w.put("k", "1", "2")
		w.pass(time.Second)
		real := time.Now()

		w.advance(time.Hour)

		w.expect("00:00:00 [1 2] {}", `00:00:00 final {"n":2}`)
		if took := time.Since(real); took > time.Second {
			t.Errorf("took %s of real time", took)
		}
	})
}

// The state of the open window outlives the engine: the next one goes on with it, and ends a window whose time has
// passed meanwhile.
func TestWindowOutlivesTheEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = summing
		w.put("k", "1", "2")
		w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(60)), BatchSize: p(int64(1))})
		w.pass(15 * time.Millisecond) // the second one runs

		stopped, cancel := context.WithCancel(t.Context())
		cancel()
		w.engine.Stop(stopped)
		w.start()
		w.pass(time.Second)
		w.engine.Stop(t.Context())
		w.pass(10 * time.Minute)
		w.start()
		w.pass(time.Second)

		w.expect("00:00:00 [1] {}", `00:00:00 [2] {"n":1}`, `00:00:00 [2] {"n":1}`, `00:00:00 final {"n":2}`)
		calls := w.functions.seen()
		if calls[1].requestID != calls[2].requestID || calls[2].requestID == calls[3].requestID {
			t.Error("a repeat has the id of what it repeats, and nothing else has")
		}
	})
}

// A state too large for the checkpoint's own value comes back too.
func TestLargeStateOutlivesTheEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		state := `{"s":"` + strings.Repeat("x", 900_000) + `"}`
		w.functions.handle = func(invocation) function.Result {
			r := ok()
			r.Payload = []byte(`{"state":` + state + `}`)
			return r
		}
		w.put("k", "1")
		w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(60))})
		w.pass(time.Second)
		w.engine.Stop(t.Context())
		w.start()
		w.pass(2 * time.Minute)

		calls := w.functions.seen()
		if len(calls) != 2 || !calls[1].final || string(calls[1].state) != state {
			t.Errorf("%d invocations", len(calls))
		}
	})
}

// S-91: a backlog of past windows is ended window by window, in order.
func TestBacklogOfWindows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = summing
		var want []string
		for i := range 10 {
			w.put("k", "a", "b")
			start := fmt.Sprintf("00:0%d:00", i)
			want = append(want, start+" [a b] {}", start+` final {"n":2}`)
			w.pass(time.Minute)
		}
		w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(60))})
		w.pass(time.Second)

		w.expect(want...)
	})
}

// S-93: a split during an open window: the parent's window gets a final invocation, and each child begins the same
// window with an empty state.
func TestSplitEndsTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = summing
		w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(60))})
		w.put("a", "1")
		w.pass(time.Second)
		streamtest.Split(t, w.streams, orders, 0)
		w.pass(time.Second)
		for i := range 8 {
			w.put(fmt.Sprint("k", i), "x")
		}
		w.pass(2 * time.Minute)

		finals, counts := map[string]int{}, 0
		for _, c := range w.functions.seen() {
			if c.final {
				finals[c.shard]++
				counts += c.count()
			}
		}
		if len(finals) != 3 || counts != 9 {
			t.Errorf("finals %v over %d records", finals, counts)
		}
		for shard, n := range finals {
			if n != 1 {
				t.Errorf("%d final invocations of %s", n, shard)
			}
		}
	})
}

// An update of the width in the middle of a window ends it under the old one; a window of 0 goes on without.
func TestWindowChangesInTheMiddle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = summing
		uuid := w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(60))})
		update := func(seconds int64) {
			t.Helper()
			w.update(uuid, mapping.Knobs{TumblingWindowSeconds: &seconds})
			w.pass(time.Second)
		}
		w.put("k", "1")
		w.pass(time.Second)
		update(10)
		w.put("k", "2")
		w.pass(time.Second)
		w.functions.handle = func(i invocation) function.Result {
			if i.state == nil {
				return ok()
			}
			return summing(i)
		}
		update(0)
		w.put("k", "3")
		w.pass(time.Minute)

		w.expect(
			"00:00:00 [1] {}", `00:00:00 final {"n":1}`, "00:00:00 [2] {}", `00:00:00 final {"n":1}`, "00:00:00 [3] ",
		)
	})
}

// Function changes nudge: what waits in a back-off of a minute is tried at once, its counter stays, and the state of
// the window is handed to the new code.
func TestChangedFunctionIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(i invocation) function.Result {
			if slices.Contains(i.data, "2") {
				return failure()
			}
			return summing(i)
		}
		w.put("k", "1", "2")
		w.create(mapping.Knobs{
			TumblingWindowSeconds: p(int64(900)), BatchSize: p(int64(1)), MaxRetries: p(int64(20)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(5 * time.Minute) // by now it backs off for a minute, more or less
		before := len(w.functions.seen())

		w.functions.change(func() {})
		w.pass(time.Second)
		if n := len(w.functions.seen()); n != before+1 {
			t.Errorf("%d attempts after a change that mends nothing, want one", n-before)
		}
		w.functions.change(func() { w.functions.handle = summing })
		w.pass(100 * time.Millisecond)

		calls := w.functions.seen()
		if last := calls[len(calls)-1]; !slices.Equal(last.data, []string{"2"}) || last.count() != 1 ||
			last.requestID != calls[1].requestID {
			t.Errorf("the last invocation is %+v", last)
		}
	})
}
