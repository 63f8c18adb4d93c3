package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
)

// total returns all that was recorded of a metric under one dimension.
func (w *world) total(k metric.Kind, dimension, value string) metric.Summary {
	w.t.Helper()
	now := w.clock.Now()
	id := metric.ID{
		Account: "000000000000", Region: "us-east-1", Namespace: k.Namespace, Name: k.Name,
		Dimensions: []metric.Dimension{{Name: dimension, Value: value}},
	}
	points, err := w.metrics.Points(metric.Query{
		ID: id, Start: now.Add(-time.Hour).Truncate(time.Minute), End: now.Add(time.Hour), Period: 24 * time.Hour,
	})
	w.must(err)
	if len(points) == 0 {
		return metric.Summary{}
	}
	return points[0].Summary
}

// §8.1: DestinationDeliveryFailures is a metric of the function that the mapping has now, not of the one before.
func TestDeliveryFailuresAreTheFunctionsOfToday(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = poisoned("1")
		uuid := w.create(mapping.Knobs{
			MaxRetries: p(int64(0)), Destination: &mapping.DestinationConfig{OnFailure: deadARN + "-gone"},
		})
		w.put("k", "1")
		w.pass(time.Minute)

		w.update(uuid, mapping.Knobs{FunctionName: p("g")})
		synctest.Wait()
		w.put("k", "1")
		w.pass(time.Minute)

		for _, name := range []string{"f", "g"} {
			if n := w.total(metric.DeliveryFailures, metric.FunctionName, name).Sum; n != 1 {
				t.Errorf("%g failures of %s, want 1", n, name)
			}
		}
	})
}

// A stuck batch grows older at every retry by the time that it waits; what is settled and what is given up is counted;
// every send that fails is counted.
func TestMappingsAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = poisoned("2")
		uuid := w.create(mapping.Knobs{
			BatchSize: p(int64(1)), MaxRetries: p(int64(1)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN + "-missing"},
		})
		w.put("k", numbered(1, 3)...)
		w.pass(time.Minute)

		age := w.total(metric.MappingIteratorAge, metric.MappingUUID, uuid)
		if age.Count != 4 || age.Min != 0 || age.Max < 1000 { // 1, 2, 2 again after a second or so, 3
			t.Errorf("iterator age %+v", age)
		}
		for k, want := range map[metric.Kind]float64{metric.RecordsSettled: 2, metric.RecordsDiscarded: 1} {
			if got := w.total(k, metric.MappingUUID, uuid); got.Sum != want {
				t.Errorf("%s: %g, want %g", k.Name, got.Sum, want)
			}
		}
		// S-84, not one for each try
		if got := w.total(metric.DeliveryFailures, metric.FunctionName, "f"); got.Sum != 1 {
			t.Errorf("%g deliveries failed", got.Sum)
		}
	})
}

// A state that the function never gets over has no notice, but it is counted.
func TestDroppedStatesAreMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = func(i invocation) function.Result {
			if i.final {
				return failure()
			}
			return summing(i)
		}
		uuid := w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(10)), MaxRetries: p(int64(1))})
		w.put("k", "1")
		w.pass(time.Minute)
		if got := w.total(metric.StatesDropped, metric.MappingUUID, uuid); got.Sum != 1 {
			t.Errorf("%g states dropped", got.Sum)
		}
		if got := w.total(metric.RetentionLosses, metric.MappingUUID, uuid); got.Sum != 0 {
			t.Errorf("%g losses", got.Sum)
		}
	})
}

// A mapping that is deleted is not shown among what is measured; what it did stays readable.
func TestDeletedMappingsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(10))})
		w.put("k", numbered(1, 3)...)
		w.pass(time.Second)
		shown := func() (n int) {
			w.metrics.Each(func(id metric.ID, _ string, _ metric.Total) {
				if len(id.Dimensions) == 1 && id.Dimensions[0].Value == uuid {
					n++
				}
			})
			return n
		}
		if n := shown(); n != 5 {
			t.Errorf("%d series are shown", n)
		}
		_, err := w.mappings.Delete(t.Context(), caller, uuid)
		w.must(err)
		w.pass(time.Second)
		if n := shown(); n != 0 {
			t.Errorf("%d series are still shown", n)
		}
		if got := w.total(metric.RecordsSettled, metric.MappingUUID, uuid); got.Sum != 3 {
			t.Errorf("%g records settled", got.Sum)
		}
	})
}

// S-111: a throttled attempt has no iterator age; the engine hands over when the last record arrived, and the function
// room counts.
func TestThrottledAttemptsHaveNoIteratorAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.limit = 0
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(10))})
		w.put("k", numbered(1, 3)...)
		w.pass(10 * time.Second)
		if got := w.total(metric.MappingIteratorAge, metric.MappingUUID, uuid); got.Count != 0 {
			t.Errorf("%+v", got)
		}
		w.functions.mu.Lock()
		w.functions.limit = -1
		w.functions.mu.Unlock()
		w.pass(time.Minute)
		if got := w.total(metric.MappingIteratorAge, metric.MappingUUID, uuid); got.Count != 1 || got.Max < 10_000 {
			t.Errorf("%+v", got)
		}
		if seen := w.functions.seen(); len(seen) != 1 || seen[0].at.Sub(seen[0].arrived) < 10*time.Second {
			t.Errorf("the function was told %+v", seen)
		}
	})
}
