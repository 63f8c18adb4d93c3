package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
)

// S-33: given 4 shards, factor 1 and a function that takes a second, then up to 4 concurrent invocations and every
// event has one shard only.
func TestShardsRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		defer w.close()
		w.functions.duration = time.Second
		for _, key := range numbered(1, 40) {
			w.put(key, key)
		}
		w.create(mapping.Knobs{BatchSize: p(int64(5))})
		w.pass(time.Minute)

		shards := map[string]int{}
		for _, i := range w.functions.seen() {
			shards[i.shard]++
			if n := strings.Count(i.payload, i.shard+":"); n != len(i.data) {
				t.Errorf("%d of %d records are of shard %s", n, len(i.data), i.shard)
			}
		}
		if w.functions.peak != 4 || len(shards) != 4 {
			t.Errorf("%d at once, from shards %v", w.functions.peak, shards)
		}
		if got := len(w.functions.delivered()); got != 40 {
			t.Errorf("%d records delivered", got)
		}
	})
}

// S-35: given records at t = 100.000, 200.500 and 300.250, when AT_TIMESTAMP 200.5, then the first delivered is that of
// 200.500; with 201 that of 300.250; with 1, older than retention, all are.
func TestTimestampsStartToTheMillisecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		start := w.clock.Now()
		at := func(ms int64) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
		for _, ms := range []int64{100_000, 200_500, 300_250} {
			w.pass(at(ms).Sub(w.clock.Now()))
			w.put("k", at(ms).Format("04:05.000"))
		}
		w.pass(time.Minute)
		all := []string{
			at(100_000).Format("04:05.000"), at(200_500).Format("04:05.000"), at(300_250).Format("04:05.000"),
		}
		for _, c := range []struct {
			timestamp record.Millis
			want      []string
		}{
			{record.MillisOf(at(200_500)), all[1:]},
			{record.MillisOf(at(200_501)), all[2:]},
			{record.MillisOf(at(201_000)), all[2:]},
			{record.MillisOf(at(300_251)), nil},
			{1000, all},
		} {
			before := len(w.functions.delivered())
			m, _, err := w.mappings.Create(t.Context(), caller, mapping.CreateInput{
				Knobs: mapping.Knobs{FunctionName: p("f")}, EventSourceARN: p(orders.ARN()),
				StartingPosition: p(mapping.AtTimestamp), StartingPositionTimestamp: &c.timestamp,
			})
			w.must(err)
			w.pass(time.Second)

			if got := w.functions.delivered()[before:]; !slices.Equal(got, c.want) {
				t.Errorf("from %s: %v, want %v", c.timestamp.Time(), got, c.want)
			}
			_, err = w.mappings.Delete(t.Context(), caller, m.UUID)
			w.must(err)
			w.pass(time.Second)
		}
	})
}
