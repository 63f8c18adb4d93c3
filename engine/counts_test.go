package engine_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
)

// counted is what EventCount has counted: sums by name, of those metrics that have any value.
func (w *world) counted(uuid string) map[string]float64 {
	w.t.Helper()
	out := map[string]float64{}
	for _, k := range []metric.Kind{
		metric.PolledEvents, metric.FilteredOutEvents, metric.InvokedEvents, metric.FailedInvokeEvents,
		metric.DroppedEvents, metric.DeliveredEvents,
	} {
		if got := w.total(k, metric.MappingUUID, uuid); got.Count > 0 {
			out[k.Name] = got.Sum
		}
	}
	return out
}

func withEventCount(k mapping.Knobs) mapping.Knobs {
	k.Metrics = []string{"EventCount"}
	return k
}

// What becomes of records is counted as §8.3's metrics say, worked out for single runs. S-61: 10 records, poison 7,
// bisect, three retries, then Polled 10, Invoked 30, FailedInvoke 21, Delivered 1, Dropped 0. S-84: a destination that
// is gone, then DroppedEventCount += n and OnFailureDestinationDelivered not emitted. S-85: no destination, then
// DroppedEventCount += n. S-108: 1000 records of which 10 match, then Polled 1000, FilteredOut 990, Invoked 10. S-110:
// a partial failure, then FailedInvokeEventCount > 0.
func TestEventsAreCounted(t *testing.T) {
	t.Parallel()
	to := func(arn string) *mapping.DestinationConfig { return &mapping.DestinationConfig{OnFailure: arn} }
	partial := func(i invocation) function.Result {
		res := ok()
		if len(i.data) > 1 {
			res.Payload = []byte(`{"batchItemFailures":[{"itemIdentifier":"` + i.sequences[2] + `"}]}`)
		}
		return res
	}
	for name, c := range map[string]struct {
		knobs   mapping.Knobs
		records int
		handle  func(invocation) function.Result
		want    map[string]float64
	}{
		"S-61": {
			mapping.Knobs{
				BatchSize: p(int64(10)), MaxRetries: p(int64(3)), Bisect: p(true), Destination: to(deadARN),
			},
			10, poisoned("7"),
			map[string]float64{
				"PolledEventCount": 10, "FilteredOutEventCount": 0, "InvokedEventCount": 30,
				"FailedInvokeEventCount": 21, "OnFailureDestinationDeliveredEventCount": 1,
			},
		},
		"S-84": {
			mapping.Knobs{BatchSize: p(int64(5)), MaxRetries: p(int64(0)), Destination: to(deadARN + "-gone")},
			5,
			poisoned("1"),
			map[string]float64{
				"PolledEventCount": 5, "FilteredOutEventCount": 0, "InvokedEventCount": 5, "FailedInvokeEventCount": 5,
				"DroppedEventCount": 5,
			},
		},
		"S-85": {
			mapping.Knobs{BatchSize: p(int64(2)), MaxRetries: p(int64(0))},
			4, poisoned("1"),
			map[string]float64{
				"PolledEventCount": 4, "FilteredOutEventCount": 0, "InvokedEventCount": 4, "FailedInvokeEventCount": 2,
				"DroppedEventCount": 2,
			},
		},
		"S-108": {
			mapping.Knobs{
				BatchSize: p(int64(100)), BatchingWindowSeconds: p(int64(5)),
				Filters: []string{`{"partitionKey":["k"],"data":{"n":[{"numeric":["<=",10]}]}}`},
			},
			1000, nil,
			map[string]float64{"PolledEventCount": 1000, "FilteredOutEventCount": 990, "InvokedEventCount": 10},
		},
		"S-110": {
			mapping.Knobs{BatchSize: p(int64(3)), ResponseTypes: []string{"ReportBatchItemFailures"}},
			3, partial,
			map[string]float64{
				"PolledEventCount": 3, "FilteredOutEventCount": 0, "InvokedEventCount": 4, "FailedInvokeEventCount": 3,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.functions.handle = c.handle
				for first := 1; first <= c.records; first += 500 {
					data := numbered(first, min(c.records, first+499))
					if len(c.knobs.Filters) > 0 {
						for i := range data {
							data[i] = `{"n":` + data[i] + `}`
						}
					}
					w.put("k", data...)
				}
				uuid := w.create(withEventCount(c.knobs))
				w.pass(time.Minute)

				if got := w.counted(uuid); !maps.Equal(got, c.want) {
					t.Errorf("counted %v\nwant    %v", got, c.want)
				}
			})
		})
	}
}

// S-112: given MetricsConfig absent, then no ESM metric. Given EventCount and an empty stream, then PolledEventCount
// data points of 0: one a minute, without a read. A disabled mapping has none, nor has one whose MetricsConfig was
// emptied.
func TestIdleMappingsCountZeros(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		defer w.close()
		silent := w.create(mapping.Knobs{})
		_, err := w.mappings.Delete(t.Context(), caller, silent)
		w.must(err)
		w.pass(time.Minute)
		uuid := w.create(withEventCount(mapping.Knobs{}))
		polled := func() metric.Summary { return w.total(metric.PolledEvents, metric.MappingUUID, uuid) }
		update := func(k mapping.Knobs) {
			t.Helper()
			w.update(uuid, k)
			synctest.Wait()
		}

		first := polled()
		w.pass(10 * time.Minute)

		if first.Count != 3 || first.Sum != 0 {
			t.Errorf("a first read of three empty shards: %+v", first)
		}
		if got := polled(); got.Count != first.Count+9 || got.Sum != 0 {
			t.Errorf("nine minutes without records after the first: %+v, first %+v", got, first)
		}
		if got := w.counted(silent); len(got) != 0 {
			t.Errorf("without MetricsConfig: %v", got)
		}
		update(mapping.Knobs{Enabled: p(false)})
		off := polled()
		w.pass(10 * time.Minute)
		if got := polled(); got.Count != off.Count {
			t.Errorf("a disabled mapping has data points: %+v, was %+v", got, off)
		}
		update(mapping.Knobs{Enabled: p(true), Metrics: []string{}})
		w.put("k", "1")
		w.pass(10 * time.Minute)
		if got := w.counted(uuid); polled().Count != off.Count || got["InvokedEventCount"] != 0 {
			t.Errorf("after MetricsConfig was emptied: %v", got)
		}
		update(mapping.Knobs{Metrics: []string{"EventCount"}})
		w.put("k", "2")
		w.pass(time.Minute)
		if got := w.counted(uuid); got["PolledEventCount"] != 1 || got["InvokedEventCount"] != 1 {
			t.Errorf("after it was switched on again: %v", got)
		}
	})
}

// A mapping that is running as its MetricsConfig is emptied, or that is deleted, gets no zeros from then on; others go
// on counting, and the last one ends the pulse.
func TestCountingEndsWhileAMappingRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		polled := func(uuid string) float64 { return w.total(metric.PolledEvents, metric.MappingUUID, uuid).Count }
		kept := func() (series int) {
			w.metrics.Each(func(id metric.ID, _ string, _ metric.Total) {
				if strings.HasSuffix(id.Name, "EventCount") {
					series++
				}
			})
			return series
		}
		uuid := w.create(withEventCount(mapping.Knobs{}))
		w.pass(5 * time.Minute)

		w.update(uuid, mapping.Knobs{Metrics: []string{}})
		synctest.Wait()
		emptied := polled(uuid)
		w.pass(5 * time.Minute)
		if n := polled(uuid); n != emptied || n == 0 {
			t.Errorf("%g data points after MetricsConfig was emptied, %g before", n, emptied)
		}
		if n := kept(); n != 0 {
			t.Errorf("%d series are kept for a mapping that does not count", n)
		}

		w.update(uuid, withEventCount(mapping.Knobs{}))
		w.pass(5 * time.Minute)
		again := polled(uuid)
		_, err := w.mappings.Delete(t.Context(), caller, uuid)
		w.must(err)
		synctest.Wait()
		w.pass(5 * time.Minute)
		if n := polled(uuid); n != again || n < emptied+4 {
			t.Errorf("%g data points after the deletion, %g before, %g before it counted again", n, again, emptied)
		}
		if n := kept(); n != 0 {
			t.Errorf("%d series are kept for a mapping that is gone", n)
		}
	})
}

// A minute in which records came needs no zero. Minutes over which the clock was moved get theirs afterwards, the last
// hour of each stretch, and moving it does not stop at each.
func TestZerosFollowTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.create(withEventCount(mapping.Knobs{}))
		polled := func() (values float64) { // ever
			w.metrics.Each(func(id metric.ID, _ string, t metric.Total) {
				if id.Name == metric.PolledEvents.Name {
					values = t.Count
				}
			})
			return values
		}
		w.pass(30 * time.Second)
		if n := polled(); n != 1 {
			t.Fatalf("%g values after the first read", n)
		}

		stops := 0
		_, err := w.clock.Advance(t.Context(), 23*time.Hour, func(context.Context) error { stops++; return nil })
		w.must(err)
		synctest.Wait()

		skipped := polled()
		if skipped < 60 || skipped > float64(1+60*stops) || stops > 10 {
			t.Errorf("%g values after a day in %d stops; want those of the last hour before each", skipped, stops)
		}
		w.put("k", "1")
		w.pass(40 * time.Second) // into the next minute
		if n := polled(); n != skipped+1 {
			t.Errorf("%g values after a minute with records, want one more than %g", n, skipped)
		}
		w.pass(time.Minute)
		if n := polled(); n != skipped+2 {
			t.Errorf("%g values after the minute after it, want two more than %g", n, skipped)
		}
	})
}
