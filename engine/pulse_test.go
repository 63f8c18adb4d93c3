package engine

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage/memory"
)

// S-112: EventCount and an empty stream, then PolledEventCount data points of 0. A minute in which something was read
// gets none, also when the pulse comes late, as it does where the clock was moved: neither the fewest events of a
// minute nor the latest value changes by it.
func TestALatePulseLeavesMinutesWithReadsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		store := memory.New(memory.Options{Clock: c})
		defer store.Close()
		metrics, err := metric.New(metric.Options{Local: store.Local(), Clock: c})
		if err != nil {
			t.Fatal(err)
		}
		m := mapping.Mapping{UUID: "m"}
		m.EventCount = true
		counts := newCounts(metrics, &m)
		defer counts.release()
		start := c.Now().Truncate(time.Minute)
		read := func(minute time.Duration, records int) {
			counts.observe(&Observation{
				At: start.Add(minute * time.Minute), What: &esm.ReadDone{Records: records},
			})
		}

		read(0, 3)
		read(2, 4)
		read(5, 5)
		for minute := range time.Duration(5) {
			counts.idle(start.Add(minute * time.Minute))
		}

		points, err := metrics.Points(metric.Query{
			ID: metric.ID{
				Namespace: metric.PolledEvents.Namespace, Name: metric.PolledEvents.Name,
				Dimensions: []metric.Dimension{{Name: metric.MappingUUID, Value: "m"}},
			},
			Start: start, End: start.Add(time.Hour), Period: time.Minute,
		})
		var values []float64
		for _, p := range points {
			if p.Count != 1 {
				t.Errorf("%g values in a minute", p.Count)
			}
			values = append(values, p.Sum)
		}
		if want := []float64{3, 0, 4, 0, 0, 5}; err != nil || !slices.Equal(values, want) {
			t.Errorf("minutes of %v, want %v; %v", values, want, err)
		}
		if last := counts.polled.Total(); last.Last != 5 || !last.At.Equal(start.Add(5*time.Minute)) {
			t.Errorf("the latest value is %g of %s", last.Last, last.At)
		}
		for minute := range time.Duration(1000) {
			read(minute, 1)
		}
		if n := len(counts.read); n > pulseMinutes+1 {
			t.Errorf("%d minutes are kept for a pulse that does not come", n)
		}
	})
}

// The last mapping that counts takes the pulse with it: nothing beats afterwards.
func TestThePulseEndsWithTheLastMapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clock.New(0)
		p := pulse{clock: c}
		of := &counts{}
		for range 3 {
			p.add(of)
			p.remove(of)
		}

		<-time.After(5 * time.Minute)

		if n := c.Fired(); n != 0 {
			t.Errorf("%d beats for nobody", n)
		}
	})
}
