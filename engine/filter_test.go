package engine_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// objects are records with a number and whether it is even.
func objects(from, to int) (out []string) {
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprintf(`{"n":%d,"even":%t}`, i, i%2 == 0))
	}
	return out
}

const onlyEven, onlyOdd = `{"data":{"even":[true]}}`, `{"data":{"even":[false]}}`

// parity returns those of objects that are even, or odd.
func parity(all []string, even bool) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return strings.Contains(s, "true") != even
	})
}

// lowOf returns the durable checkpoint of the first shard.
func (w *world) lowOf(uuid string) record.Position {
	held, _, err := checkpoint.New(w.coord).Load(w.t.Context(), uuid, 0)
	w.must(err)
	return held.Checkpoint.Low
}

// S-98: `filter {"data":{"event_type":["function_1"]}} and two records, one matching, BS=1. Then exactly one invocation
// with the match.` Two mappings share the stream, each with its filter.
func TestEachMappingGetsWhatItsFilterLetsThrough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", `{"event_type":"function_2"}`, `{"event_type":"function_1"}`)
		uuid := w.create(mapping.Knobs{
			BatchSize: p(int64(1)), Filters: []string{`{"data":{"event_type":["function_1"]}}`},
		})
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, []string{`{"event_type":"function_1"}`}) {
			t.Errorf("delivered %v", got)
		}
		if low := w.lowOf(uuid); low != 2 {
			t.Errorf("the checkpoint is at %d", low)
		}
	})
}

// S-25: "with a JSON `data` filter and data `{"b":1, "a":2}` (odd spacing) the delivered bytes are unchanged". S-99: "a
// `data` filter and records `not json`, `{"a":1}`, “. Then only the JSON one can match; others dropped silently,
// checkpoint passes them." S-100: "no `data` filter (partitionKey rule only) and non-JSON data. Then evaluated on
// metadata".
func TestFiltersLookAtJSONAndDeliverBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		const odd = "{\"b\":1,  \"a\":2, \"c\":\"\\u00e9\"}\n"
		w.put("k", "not json", `{"a":1}`, odd, "\xff", `[{"a":2}]`)
		w.put("other", "raw \x00 bytes", `{"a":3}`)
		uuid := w.create(mapping.Knobs{
			Filters:     []string{`{"data":{"a":[2]}}`, `{"partitionKey":["other"]}`},
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, []string{odd, "raw \x00 bytes", `{"a":3}`}) {
			t.Errorf("delivered %q", got)
		}
		sent := base64.StdEncoding.EncodeToString([]byte(odd))
		if !strings.Contains(w.functions.seen()[0].payload, sent) {
			t.Error("the payload holds other bytes")
		}
		if low := w.lowOf(uuid); low != 7 || len(w.notices()) > 0 {
			t.Errorf("the checkpoint is at %d", low)
		}
	})
}

// Every member that the function gets beside data can be matched, under its own name and without a wrapper.
func TestFiltersSeeTheMetadataOfARecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.role = "arn:aws:iam::000000000000:role/r"
		w.put("k", "x")
		first := w.create(mapping.Knobs{})
		w.pass(time.Second)
		var event struct{ Records []map[string]any }
		w.must(json.Unmarshal([]byte(w.functions.seen()[0].payload), &event))
		rule, inner := event.Records[0], event.Records[0]["kinesis"].(map[string]any)
		delete(rule, "kinesis")
		for name, v := range inner {
			rule[name] = v
		}
		delete(rule, "data")
		if len(rule) != 11 {
			t.Errorf("%d members: %v", len(rule), rule)
		}
		for name, v := range rule {
			rule[name] = []any{v}
		}
		// numbers compare as they are written, with three decimals
		at := inner["approximateArrivalTimestamp"].(float64)
		rule["approximateArrivalTimestamp"] = []any{json.Number(fmt.Sprintf("%.3f", at))}
		rule["kinesis"] = []any{map[string]bool{"exists": false}}
		pattern, err := json.Marshal(rule)
		w.must(err)
		_, err = w.mappings.Delete(t.Context(), caller, first)
		w.must(err)
		w.pass(time.Second)

		w.create(mapping.Knobs{Filters: []string{string(pattern)}})
		w.pass(time.Second)

		if n := len(w.functions.seen()); n != 2 {
			t.Errorf("%d invocations; a filter of all metadata is %s", n, pattern)
		}
	})
}

// S-108: "1000 records, 10 match, BS=100, BW=5 … few invocations totalling 10 records; Polled 1000, FilteredOut 990 …
// restart does not re-read filtered runs beyond the commit interval". A record that is filtered out is not held.
func TestFilteredRecordsCostNoInvocationAndNoMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var visited atomic.Int64
		w.restartWith(func(s source.Source) source.Source { return counting{s, &visited} })
		polled, filtered, bytes := 0, 0, 0
		w.observe = func(o engine.Observation) {
			if r, ok := o.What.(*esm.ReadDone); ok {
				polled, filtered, bytes = polled+r.Records, filtered+r.Filtered, bytes+r.Bytes
			}
		}
		for i := range 10 {
			w.put("k", objects(100*i+1, 100*i+99)...)
			w.put("k", `{"n":0}`)
		}
		uuid := w.create(mapping.Knobs{
			BatchSize: p(int64(100)), BatchingWindowSeconds: p(int64(5)), Filters: []string{`{"data":{"n":[0]}}`},
		})
		w.pass(time.Minute)

		if calls := w.functions.seen(); len(calls) > 2 || len(w.functions.delivered()) != 10 {
			t.Errorf("%d invocations with %v", len(calls), w.functions.delivered())
		}
		if polled != 1000 || filtered != 990 || bytes > 10*1000 {
			t.Errorf("%d records read, %d filtered out, %d bytes taken", polled, filtered, bytes)
		}
		if low := w.lowOf(uuid); low != 1000 {
			t.Errorf("the checkpoint is at %d", low)
		}
		w.put("k", objects(1, 50)...)
		w.pass(6 * time.Second)
		before := visited.Load()
		w.engine.Stop(t.Context())
		w.start()
		w.pass(time.Second)
		if n := visited.Load() - before; n > 0 {
			t.Errorf("%d records are read again after a restart", n)
		}
	})
}

// What is filtered out takes none of the memory that shards share, and none of a shard's buffer: a backlog of large
// records that do not match leaves room for those behind it.
func TestFilteredRecordsTakeNoneOfTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.budget = 100_000
		w.restartWith(func(s source.Source) source.Source { return s })
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.put("k", `{"n":0}`)
		for range 30 {
			w.put("k", `{"n":1,"text":"`+strings.Repeat("x", 900_000)+`"}`)
		}
		w.put("k", `{"n":0,"last":true}`)
		w.create(mapping.Knobs{
			BatchSize: p(int64(1)), MaxRetries: p(int64(1)), Filters: []string{`{"data":{"n":[0]}}`},
		})
		w.pass(time.Minute)

		if got := w.functions.delivered(); len(got) != 4 || got[3] != `{"n":0,"last":true}` {
			t.Errorf("delivered %v", got)
		}
		w.atRest("after the backlog")
	})
}

// With another filter what is in no batch is dropped and read again; the batch in retry keeps its records, its identity
// and its attempts, whatever the filter says.
func TestAnotherFilterCountsForWhatIsInNoBatch(t *testing.T) {
	t.Parallel()
	for _, factor := range []int64{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			healthy := atomic.Bool{}
			w.functions.handle = func(invocation) function.Result {
				if healthy.Load() {
					return ok()
				}
				return failure()
			}
			all := objects(1, 40)
			for i, o := range all {
				w.put(fmt.Sprint("k", i/2%6), o)
			}
			uuid := w.create(mapping.Knobs{
				BatchSize: p(int64(2)), ParallelizationFactor: p(factor), Filters: []string{onlyEven},
			})
			w.pass(2500 * time.Millisecond) // every lane has a batch in retry
			tried := w.functions.seen()
			held := map[string]bool{}
			ids := map[string]bool{}
			for _, c := range tried {
				ids[c.requestID] = true
				for _, d := range c.data {
					held[d] = true
				}
			}

			w.update(uuid, mapping.Knobs{Filters: []string{onlyOdd}})
			w.pass(10 * time.Millisecond)
			healthy.Store(true)
			w.pass(3 * time.Minute)

			calls := w.functions.seen()[len(tried):]
			got := map[string]int{}
			for _, c := range calls {
				for _, d := range c.data {
					got[d]++
				}
				if strings.Contains(c.data[0], "true") && !ids[c.requestID] {
					t.Errorf("factor %d: %v has a new identity", factor, c.data)
				}
			}
			for i, d := range all {
				odd, inBatch := i%2 == 0, held[d]
				switch {
				case inBatch && got[d] == 0:
					t.Errorf("factor %d: %s was in a batch and is gone", factor, d)
				case !odd && !inBatch && got[d] > 0:
					t.Errorf("factor %d: %s does not match, and was in no batch", factor, d)
				case odd && i > 20 && got[d] != 1:
					t.Errorf("factor %d: %s matches now and is delivered %d times", factor, d, got[d])
				}
			}
			if low := w.lowOf(uuid); low != 40 {
				t.Errorf("factor %d: the checkpoint is at %d", factor, low)
			}
			w.atRest("after the update")
		})
	}
}

// After a restart under other filters a batch in retry is no batch any more: what matches of its records comes in a new
// one, with all of its attempts and under a request id of its own. So no record is given up with a batch that it was no
// part of.
func TestRestartUnderAnotherFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(invocation) function.Result { return failure() }
		w.put("k", objects(1, 5)...)
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(5)), Filters: []string{onlyOdd}})
		w.pass(3500 * time.Millisecond)
		first := w.functions.seen()[0]
		n := len(w.functions.seen())
		w.engine.Stop(t.Context())
		w.update(uuid, mapping.Knobs{Filters: []string{}, MaxRetries: p(int64(0))})
		w.start()
		w.pass(time.Minute)

		calls := w.functions.seen()[n:]
		if !slices.Equal(first.data, parity(objects(1, 5), false)) {
			t.Errorf("before the restart: %+v", first)
		}
		if len(calls) != 1 || calls[0].requestID == first.requestID || !slices.Equal(calls[0].data, objects(1, 5)) {
			t.Errorf("after the restart: %+v", calls)
		}
		if low := w.lowOf(uuid); low != 5 {
			t.Errorf("the checkpoint is at %d", low)
		}
	})
}

// Patterns see the role of the function. When it changes, they may let other records through though they are the same:
// these do not join a batch that was tried before, and its identity is another one. It stays what it is for patterns
// that do not look.
func TestARoleThatFiltersLookAtIsPartOfTheirIdentity(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::000000000000:role/another"
	for _, test := range []struct {
		pattern string
		same    bool
		data    []string
	}{
		{`{"invokeIdentityArn":[{"suffix":"/another"}]}`, false, objects(1, 5)},
		{`{"data":{"absent":[1]}}`, true, parity(objects(1, 5), false)},
	} {
		t.Run(test.pattern, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.functions.handle = func(invocation) function.Result { return failure() }
				w.put("k", objects(1, 5)...)
				w.create(mapping.Knobs{BatchSize: p(int64(5)), Filters: []string{onlyOdd, test.pattern}})
				w.pass(3500 * time.Millisecond)
				n := len(w.functions.seen())
				w.functions.change(func() { w.functions.role = role })
				w.pass(time.Minute)

				first, next := w.functions.seen()[0], w.functions.seen()[n]
				if !slices.Equal(first.data, parity(objects(1, 5), false)) || !slices.Equal(next.data, test.data) ||
					(next.requestID == first.requestID) != test.same {
					t.Errorf("first %+v, with the other role %+v", first, next)
				}
			})
		})
	}
}

// damageFilters starts the engine anew on a store in which another program has left an illegal pattern.
func (w *world) damageFilters(uuid string) {
	w.engine.Stop(w.t.Context())
	w.damage(uuid)
	w.start()
}

// damage leaves an illegal pattern in the store, as another program.
func (w *world) damage(uuid string) {
	w.t.Helper()
	e, err := w.store.Coord().Get(w.t.Context(), "mapping/uuid/"+uuid)
	w.must(err)
	damaged := strings.Replace(string(e.Value), `{\"data\":{\"even\":[true]}}`, `{\"data\":{\"even\":true}}`, 1)
	damaged = strings.Replace(damaged, `"Change":`, `"Change":1`, 1) // a later one
	_, err = w.store.Coord().Commit(context.Background(), "mapping/", storage.Op{
		Key: "mapping/uuid/" + uuid, Value: []byte(damaged), Expect: e.Revision,
	})
	w.must(err)
}

// Filters that cannot be used, as of a store that another program wrote, stop the mapping with a reason, and nothing is
// delivered unfiltered. New ones set it going.
func TestFiltersThatCannotBeUsedStopTheMapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{Filters: []string{onlyEven}})
		w.pass(time.Second)
		w.damageFilters(uuid)
		w.put("k", objects(1, 4)...)
		w.pass(time.Minute)

		const want = "PROBLEM: The filter criteria cannot be used: filters[0].data.even: at byte 16: " +
			"give a list of values or an object, not true"
		if m := w.state(uuid); m.LastResult != want {
			t.Errorf("last result %q", m.LastResult)
		}
		if got := w.functions.delivered(); len(got) > 0 {
			t.Errorf("delivered %v", got)
		}
		w.atRest("while the filter cannot be used")

		w.update(uuid, mapping.Knobs{Filters: []string{onlyOdd}})
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, parity(objects(1, 4), false)) {
			t.Errorf("delivered %v", got)
		}
		if m := w.state(uuid); m.LastResult != "OK" || m.State != mapping.Enabled {
			t.Errorf("%s, last result %q", m.State, m.LastResult)
		}
	})
}

// The same while the mapping runs: what another program has written stops it where it is.
func TestARunningMappingStopsAtFiltersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		uuid := w.create(mapping.Knobs{Filters: []string{onlyEven}})
		w.put("k", objects(1, 4)...)
		w.pass(time.Second)
		w.damage(uuid)
		w.pass(time.Second)

		w.put("k", objects(5, 8)...)
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, parity(objects(1, 4), true)) {
			t.Errorf("delivered %v", got)
		}
		w.atRest("while the filter cannot be used")
	})
}

// A mapping whose filters cannot be used, and that is switched off while it waits for others, stays off when they come.
func TestUsableFiltersStartNothingThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{Filters: []string{onlyEven}})
		w.pass(time.Second)
		w.damageFilters(uuid)
		w.put("k", objects(1, 4)...)
		w.pass(time.Minute)
		_, _, err := w.replay(uuid, engine.ReplayRange{From: 1, To: 4})
		if f := new(fault.Error); !errors.As(err, &f) || f.Code != engine.CodeBadRange {
			t.Errorf("a replay without filters: %v", err)
		}
		for _, k := range []mapping.Knobs{{Enabled: p(false)}, {Filters: []string{onlyOdd}}} {
			w.update(uuid, k)
			w.pass(time.Minute)
		}

		if got := w.functions.delivered(); len(got) > 0 || w.state(uuid).State != mapping.Disabled {
			t.Errorf("%s, delivered %v", w.state(uuid).State, got)
		}
		w.update(uuid, mapping.Knobs{Enabled: p(true)})
		w.pass(time.Minute)
		if got := w.functions.delivered(); !slices.Equal(got, parity(objects(1, 4), false)) {
			t.Errorf("delivered %v", got)
		}
	})
}

// What retention has left is named whether or not it passes the filters: the range may begin there.
func TestAReplayNamesTheOldestRecordThatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", objects(2, 2)...)
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(3)), Filters: []string{onlyEven}})
		w.pass(23 * time.Hour)
		w.put("k", objects(3, 4)...)
		w.pass(2 * time.Hour)
		passed := w.sequences()

		_, _, err := w.replay(uuid, engine.ReplayRange{From: 1, To: w.position(passed[1])})

		f := new(fault.Error)
		if !errors.As(err, &f) || f.Code != engine.CodeTrimmed {
			t.Fatalf("%v", err)
		}
		_, oldest, _ := strings.Cut(f.Message, "The oldest record of shardId-000000000000 is ")
		if at := w.position(strings.TrimSuffix(oldest, ".")); at <= 1 || at >= w.position(passed[1]) {
			t.Errorf("%s, which is position %d", f.Message, at)
		}
	})
}

// A replay hands out what the mapping's filters let through.
func TestReplayKeepsToTheFilters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", objects(1, 30)...)
		uuid := w.create(mapping.Knobs{
			BatchSize: p(int64(3)), Filters: []string{`{"data":{"n":[{"numeric":[">",20]}]}}`},
		})
		w.pass(time.Minute)
		n := len(w.functions.delivered())

		batches, next, err := w.replay(uuid, engine.ReplayRange{From: 1, To: 25})
		w.must(err)

		if got := w.functions.delivered()[n:]; !slices.Equal(got, objects(21, 25)) || next != "" || len(batches) > 3 {
			t.Errorf("replayed %v in %d batches, next %q", got, len(batches), next)
		}
	})
}

// A mapping with a filter and one whose function filters by hand agree: the same records, each key's in the same order,
// whatever the other knobs are and however often the function fails.
func TestFilteringByHandGivesTheSame(t *testing.T) {
	t.Parallel()
	all := objects(1, 120)
	run := func(k mapping.Knobs, byHand bool) (keys map[string][]string) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 2)
			defer w.close()
			chance := rand.New(rand.NewPCG(1, 2))
			keys = map[string][]string{}
			seen := map[string]bool{}
			w.functions.handle = func(i invocation) function.Result {
				w.functions.mu.Lock()
				defer w.functions.mu.Unlock()
				if chance.IntN(4) == 0 {
					return failure()
				}
				for j, d := range i.data {
					if matches := strings.Contains(d, "true"); (matches || !byHand) && !seen[d] {
						seen[d] = true
						keys[i.keys[j]] = append(keys[i.keys[j]], d)
					}
				}
				r := ok()
				r.Payload = []byte(`{"state":{}}`) // as a tumbling window needs it
				return r
			}
			if !byHand {
				k.Filters = []string{onlyEven}
			}
			for i, o := range all[:60] {
				w.put(fmt.Sprint("k", i%7), o)
			}
			w.create(k)
			w.pass(3 * time.Second)
			for i, o := range all[60:] {
				w.put(fmt.Sprint("k", i%7), o)
			}
			w.pass(time.Hour)
		})
		return keys
	}
	for _, k := range []mapping.Knobs{
		{BatchSize: p(int64(1))},
		{BatchSize: p(int64(7)), ParallelizationFactor: p(int64(3)), Bisect: p(true)},
		{BatchSize: p(int64(100)), BatchingWindowSeconds: p(int64(2)), ParallelizationFactor: p(int64(10))},
		{BatchSize: p(int64(10)), TumblingWindowSeconds: p(int64(5))},
	} {
		filtered, byHand := run(k, false), run(k, true)
		if d := cmp.Diff(byHand, filtered); d != "" {
			t.Errorf("batch size %d: %s", *k.BatchSize, d)
		}
		n := 0
		for _, list := range filtered {
			n += len(list)
		}
		if n != len(all)/2 {
			t.Errorf("batch size %d: %d records of %d", *k.BatchSize, n, len(all)/2)
		}
	}
}
