package engine_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// countedReads counts the reads of a source.
type countedReads struct {
	source.Source
	n *atomic.Int64
}

func (s countedReads) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	s.n.Add(1)
	return s.Source.Read(ctx, shard, from, limit, visit)
}

// newPacedWorld is a world at AWS's pace; reads counts its reads.
func newPacedWorld(t *testing.T, shards int) (w *world, reads *atomic.Int64) {
	w, reads = newWorld(t, shards), new(atomic.Int64)
	w.engine.Stop(t.Context())
	w.pace = engine.AWSPace()
	w.source = func(s source.Source) source.Source { return countedReads{s, reads} }
	w.mappings = mapping.New(mapping.Options{
		Coord: w.coord, Clock: w.clock, Sources: testSources{w.streams}, Functions: testFunctions{}, NewUUID: counted(),
		AWSPace: true,
	})
	w.start()
	return w, reads
}

// §3.1: each shard is polled at a base rate of one GetRecords per second; when more data is available, it keeps going
// until caught up. What comes in between waits for the next poll.
func TestShardsArePolledOnceASecondAtAWSPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, reads := newPacedWorld(t, 1)
		defer w.close()
		start := time.Now() // a bubble begins at a whole second
		w.create(mapping.Knobs{BatchSize: p(int64(10_000))})
		w.pass(300 * time.Millisecond)

		w.put("k", "1")
		w.pass(699 * time.Millisecond)
		if n := len(w.functions.seen()); n != 0 {
			t.Errorf("%d invocations before the next poll", n)
		}
		w.pass(time.Millisecond)
		if seen := w.functions.seen(); len(seen) != 1 || !seen[0].at.Equal(start.Add(time.Second)) {
			t.Errorf("after the poll: %+v", seen)
		}

		w.pass(time.Millisecond)
		before := reads.Load()
		w.pass(30 * time.Second)
		if n := reads.Load() - before; n != 30 {
			t.Errorf("%d reads of an idle shard in 30 s", n)
		}

		for range 5 {
			w.put("k", numbered(1, 500)...)
		}
		w.pass(time.Second)
		if n := len(w.functions.delivered()); n != 2501 {
			t.Errorf("%d records of a backlog are delivered a second later", n)
		}
	})
}

// A shard whose tail was not seen yet is read at once, without a wait for the next whole second.
func TestBacklogsAreReadAtOnceAtAWSPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newPacedWorld(t, 1)
		defer w.close()
		for range 5 {
			w.put("k", numbered(1, 500)...)
		}

		w.create(mapping.Knobs{BatchSize: p(int64(50))})
		w.pass(900 * time.Millisecond)

		if n := len(w.functions.delivered()); n != 2500 {
			t.Errorf("%d records of 2500 are delivered within a second", n)
		}
	})
}

// Polls come at whole seconds, whenever the mapping began; and a poll that is not waited for any more leaves nothing
// under way.
func TestPollsKeepToWholeSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newPacedWorld(t, 1)
		defer w.close()
		w.pass(300 * time.Millisecond)
		uuid := w.create(mapping.Knobs{})
		w.pass(10 * time.Millisecond)
		w.put("k", "1")
		w.pass(689 * time.Millisecond)
		if n := len(w.functions.seen()); n != 0 {
			t.Errorf("%d invocations before the second is full", n)
		}
		w.pass(time.Millisecond)
		if n := len(w.functions.seen()); n != 1 {
			t.Errorf("%d invocations when it is", n)
		}

		w.pass(10 * time.Second)
		w.pass(300 * time.Millisecond)
		w.disable(uuid)
		w.pass(10 * time.Second)
		if !w.engine.Idle() {
			t.Error("something is under way in a mapping that is disabled")
		}
	})
}

// The clock that can be moved brings the next poll.
func TestMovingTheClockPolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newPacedWorld(t, 4)
		defer w.close()
		w.create(mapping.Knobs{})
		w.put("k", "1")

		w.advance(time.Second)

		if got := w.functions.delivered(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// S-19, V13 and V14 at AWS's pace. Given State Creating, when Update, then ResourceInUseException. Every transition
// stays visible for five seconds by the clock that can be moved, over a restart too, and what it asks for is in effect
// at once; a deleted mapping is gone afterwards.
func TestTransitionsStayVisibleAtAWSPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newPacedWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		update := func(k mapping.Knobs) error {
			_, _, err := w.mappings.Update(t.Context(), caller, uuid, mapping.UpdateInput{Knobs: k})
			return err
		}
		shows := func(want mapping.State) {
			t.Helper()
			if got := w.state(uuid).State; got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		visible := func(during, then mapping.State) {
			t.Helper()
			w.pass(4 * time.Second)
			shows(during)
			w.pass(time.Second)
			shows(then)
		}

		w.put("k", "1")
		w.pass(2 * time.Second)
		shows(mapping.Creating)
		if n := len(w.functions.seen()); n != 1 {
			t.Errorf("%d invocations while it is Creating", n)
		}
		if err := update(mapping.Knobs{BatchSize: p(int64(5))}); fault.CodeOf(err) != fault.CodeInUse {
			t.Errorf("V13: %v", err)
		}
		if _, err := w.mappings.Delete(t.Context(), caller, uuid); fault.CodeOf(err) != fault.CodeInUse {
			t.Errorf("V14: %v", err)
		}
		w.engine.Stop(t.Context())
		w.start()
		synctest.Wait()
		shows(mapping.Creating)
		_, err := w.clock.Advance(t.Context(), 3*time.Second, func(context.Context) error {
			synctest.Wait()
			return nil
		})
		w.must(err)
		synctest.Wait()
		shows(mapping.Enabled)

		w.must(update(mapping.Knobs{BatchSize: p(int64(5))}))
		visible(mapping.Updating, mapping.Enabled)
		w.must(update(mapping.Knobs{Enabled: p(false)}))
		w.put("k", "2")
		visible(mapping.Disabling, mapping.Disabled)
		if n := len(w.functions.seen()); n != 1 {
			t.Errorf("%d invocations after it was disabled", n)
		}
		w.must(update(mapping.Knobs{Enabled: p(true)}))
		visible(mapping.Enabling, mapping.Enabled)
		if got := w.functions.delivered(); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("delivered %v", got)
		}
		_, err = w.mappings.Delete(t.Context(), caller, uuid)
		w.must(err)
		w.pass(4 * time.Second)
		shows(mapping.Deleting)
		w.pass(time.Second)
		if _, err := w.mappings.Get(t.Context(), caller, uuid); fault.CodeOf(err) != fault.CodeNotFound {
			t.Errorf("after a deletion: %v", err)
		}
	})
}

// An engine that has stopped in the middle of transitions and polls leaves no appointments: moving the clock stops
// nowhere.
func TestStoppedEngineHasNoAppointments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _ := newPacedWorld(t, 4)
		defer w.close()
		w.create(mapping.Knobs{})
		w.create(withEventCount(mapping.Knobs{FunctionName: p("g")}))
		w.pass(2500 * time.Millisecond) // Creating, at the tail
		w.engine.Stop(t.Context())

		stops := 0
		_, err := w.clock.Advance(t.Context(), 50*time.Minute, func(context.Context) error { stops++; return nil })
		w.must(err)

		if !w.engine.Idle() {
			t.Error("it is not idle")
		}
		if stops > 2 { // at its beginning and its end
			t.Errorf("moving the clock by 50 minutes stopped %d times", stops)
		}
	})
}
