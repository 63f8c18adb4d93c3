package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// position returns where a sequence number lies.
func (w *world) position(sequence string) record.Position {
	w.t.Helper()
	q, err := stream.ParseSequenceNumber(sequence)
	w.must(err)
	return q.Pos
}

// sequences are those of every record delivered so far, in order.
func (w *world) sequences() (out []string) {
	for _, c := range w.functions.seen() {
		out = append(out, c.sequences...)
	}
	return out
}

func (w *world) replay(uuid string, r engine.ReplayRange) (batches []engine.Replayed, next string, err error) {
	next, err = w.engine.Replay(w.t.Context(), uuid, r, func(b engine.Replayed) { batches = append(batches, b) })
	return batches, next, err
}

// A replay invokes the function once for every batch of the range, in order, whatever comes of it, and leaves the
// mapping as it was: checkpoint, last result, notices.
func TestReplayTouchesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 7)...)
		uuid := w.create(mapping.Knobs{
			BatchSize: p(int64(3)), MaxRetries: p(int64(5)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(time.Minute)
		before := w.sequences()
		checkpoints := checkpoint.New(w.coord)
		saved, _, err := checkpoints.Load(t.Context(), uuid, 0)
		w.must(err)
		var seen []engine.Observation
		w.observe = func(o engine.Observation) { seen = append(seen, o) }
		w.functions.handle = poisoned("3")

		batches, next, err := w.replay(uuid, engine.ReplayRange{From: w.position(before[1]), To: w.position(before[5])})
		w.must(err)
		w.pass(time.Hour)

		calls := w.functions.seen()[3:]
		if len(calls) != 2 || !slices.Equal(calls[0].data, []string{"2", "3", "4"}) ||
			!slices.Equal(calls[1].data, []string{"5", "6"}) {
			t.Fatalf("invoked with %v", calls)
		}
		if len(batches) != 2 || next != "" {
			t.Fatalf("%d batches, next %q", len(batches), next)
		}
		for i, want := range []esm.OutcomeKind{esm.FunctionError, esm.Success} {
			b := batches[i]
			if b.Outcome.Kind != want || b.From != calls[i].sequences[0] || b.To != calls[i].sequences[b.Count-1] ||
				b.RequestID != calls[i].requestID {
				t.Errorf("batch %d: %+v", i, b)
			}
		}
		if len(seen) != 4 ||
			slices.ContainsFunc(seen, func(o engine.Observation) bool {
				return o.Replay == "" || o.RequestID() != o.Replay
			}) {
			t.Errorf("observed %+v", seen)
		}
		now, _, err := checkpoints.Load(t.Context(), uuid, 0)
		w.must(err)
		if now.Revision != saved.Revision || now.Checkpoint.Low != saved.Checkpoint.Low {
			t.Errorf("the checkpoint went from %+v to %+v", saved, now)
		}
		if m := w.state(uuid); m.LastResult != "OK" || len(w.notices()) != 0 {
			t.Errorf("the mapping says %q", m.LastResult)
		}
	})
}

// A disabled mapping can be replayed, and a reported item is named.
func TestReplayOfADisabledMappingNamesTheReportedItem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 4)...)
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(10)), ResponseTypes: []string{"ReportBatchItemFailures"}})
		w.pass(time.Minute)
		w.update(uuid, mapping.Knobs{Enabled: p(false)})
		w.pass(time.Minute)
		at := w.sequences()
		w.functions.handle = func(i invocation) function.Result {
			r := ok()
			r.Payload = fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":%q}]}`, at[2])
			return r
		}
		batches, _, err := w.replay(uuid, engine.ReplayRange{From: w.position(at[1]), To: record.MaxPosition})
		w.must(err)
		if len(batches) != 1 || batches[0].Count != 3 || batches[0].Outcome.Kind != esm.PartialFailure ||
			batches[0].FailedAt != at[2] {
			t.Errorf("got %+v", batches)
		}
		w.pass(time.Hour)
		if n := len(w.functions.seen()); n != 2 {
			t.Errorf("%d invocations, want 2", n)
		}
	})
}

// A payload keeps the limit of 6 MB, whatever BatchSize allows.
func TestReplayKeepsThePayloadLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(100))})
		big := strings.Repeat("x", 1_000_000)
		w.put("k", big, big, big, big, big, big, big)
		w.pass(time.Minute)
		batches, _, err := w.replay(uuid, engine.ReplayRange{
			From: w.position(w.sequences()[0]), To: record.MaxPosition,
		})
		w.must(err)
		if len(batches) != 2 || batches[0].Count != 4 || batches[1].Count != 3 ||
			batches[0].Outcome.RequestBytes > esm.MaxPayload {
			t.Errorf("got %+v", batches)
		}
	})
}

// One replay hands out 10,000 records and says where the next one goes on.
func TestLongReplayComesInPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(7000))})
		for range 21 {
			w.put("k", slices.Repeat([]string{"x"}, 500)...)
		}
		w.pass(time.Minute)
		all := w.sequences()
		r := engine.ReplayRange{From: w.position(all[0]), To: w.position(all[10_400])}
		batches, next, err := w.replay(uuid, r)
		w.must(err)
		if len(batches) != 2 || batches[0].Count != 7000 || batches[1].Count != 3000 || next != all[10_000] {
			t.Fatalf("%d batches, next %s", len(batches), next)
		}
		r.From = w.position(next)
		batches, next, err = w.replay(uuid, r)
		w.must(err)
		if len(batches) != 1 || batches[0].Count != 401 || batches[0].To != all[10_400] || next != "" {
			t.Errorf("%+v, next %q", batches, next)
		}
	})
}

// A slow function does not keep the caller waiting for all of a range: what has been replayed after some seconds is
// answered, and where to go on.
func TestSlowReplayComesInPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.put("k", "1", "2", "3", "4", "5")
		w.pass(time.Minute)
		all := w.sequences()
		w.functions.duration = 3 * time.Second
		r := engine.ReplayRange{From: w.position(all[0]), To: w.position(all[4])}
		for _, want := range []struct {
			count int
			next  string
		}{{2, all[2]}, {2, all[4]}, {1, ""}} {
			batches, next, err := w.replay(uuid, r)
			w.must(err)
			if len(batches) != want.count || next != want.next {
				t.Fatalf("%d batches, next %q; want %+v", len(batches), next, want)
			}
			if next != "" {
				r.From = w.position(next)
			}
		}
	})
}

// What cannot be replayed is said in a sentence, and nothing is invoked.
func TestReplayRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", "1", "2")
		uuid := w.create(mapping.Knobs{})
		w.pass(time.Minute)
		from, to := w.position(w.sequences()[0]), w.position(w.sequences()[1])
		for _, c := range []struct {
			uuid string
			r    engine.ReplayRange
			code string
			want string
		}{
			{"nobody", engine.ReplayRange{From: from, To: to}, engine.CodeNoMapping, "There is no mapping nobody."},
			{
				uuid,
				engine.ReplayRange{Shard: 7, From: from, To: to},
				engine.CodeBadRange,
				"The stream of the mapping has no shardId-000000000007 that can be read.",
			},
			{
				uuid,
				engine.ReplayRange{From: to, To: from},
				engine.CodeBadRange,
				"The range ends before it begins: exchange its two ends.",
			},
		} {
			_, _, err := w.replay(c.uuid, c.r)
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != c.code || f.Message != c.want {
				t.Errorf("%+v: %v", c.r, err)
			}
		}

		w.pass(23 * time.Hour)
		w.put("k", "3")
		w.pass(2 * time.Hour)
		third := w.sequences()[2]
		_, _, err := w.replay(uuid, engine.ReplayRange{From: from, To: w.position(third)})
		if f := new(fault.Error); !errors.As(err, &f) || f.Code != engine.CodeTrimmed ||
			!strings.HasSuffix(f.Message, "The oldest record of shardId-000000000000 is "+third+".") {
			t.Errorf("a range that retention has taken: %v", err)
		}
		if n := len(w.sequences()); n != 3 {
			t.Errorf("%d records were delivered", n)
		}

		w.update(uuid, mapping.Knobs{TumblingWindowSeconds: p(int64(60))})
		_, _, err = w.replay(uuid, engine.ReplayRange{From: w.position(third), To: w.position(third)})
		const windowed = "The mapping has a tumbling window, and what its function answers belongs to the state of one. Replay is for mappings without."
		if f := new(fault.Error); !errors.As(err, &f) || f.Message != windowed {
			t.Errorf("a mapping with a window: %v", err)
		}
	})
}

// A function in a tumbling window works on a state that only its lane has, so a replay of it is refused.
func TestReplayOfATumblingWindowIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(60))})
		_, _, err := w.replay(uuid, engine.ReplayRange{From: 1, To: record.MaxPosition})
		if f := new(fault.Error); !errors.As(err, &f) || f.Code != engine.CodeBadRange ||
			!strings.HasPrefix(f.Message, "The mapping has a tumbling window") {
			t.Errorf("got %v", err)
		}
	})
}

// The client that asked for a replay can go away: the next batch is not begun.
func TestReplayEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", numbered(1, 3)...)
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.pass(time.Minute)
		from := w.position(w.sequences()[0])
		w.functions.duration = 2 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		count := 0
		_, err := w.engine.Replay(
			ctx, uuid, engine.ReplayRange{From: from, To: record.MaxPosition}, func(engine.Replayed) { count++ },
		)
		if !errors.Is(err, context.DeadlineExceeded) || count != 1 {
			t.Errorf("%d batches, %v", count, err)
		}
	})
}
