package stream

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/record"
)

// A shard is overloaded when two whole minutes, one after the other, were near its capacity: neither one minute, nor
// two with a gap, nor many records in a moment.
func TestOnlyLastingLoadCounts(t *testing.T) {
	t.Parallel()
	type put struct {
		minute         int64
		records, bytes int
		overloaded     bool
	}
	for name, puts := range map[string][]put{
		"records": {
			{0, nearRecords, 0, false},
			{1, nearRecords, 0, false},
			{2, 1, 0, true},
			{2, nearRecords, 0, false},
			{3, 1, 0, true},
		},
		"bytes":        {{0, 1, nearBytes, false}, {1, 1, nearBytes, false}, {2, 1, 1, true}},
		"in parts":     {{0, nearRecords - 1, 0, false}, {0, 1, 0, false}, {1, nearRecords, 0, false}, {2, 1, 0, true}},
		"too few":      {{0, nearRecords - 1, nearBytes - 1, false}, {1, nearRecords, 0, false}, {2, 1, 0, false}},
		"one minute":   {{0, 100 * nearRecords, nearBytes, false}, {1, 1, 1, false}, {2, 1, 0, false}},
		"a gap":        {{0, nearRecords, 0, false}, {2, nearRecords, 0, false}, {3, 1, 0, false}},
		"long silence": {{0, nearRecords, 0, false}, {1, nearRecords, 0, false}, {9, 1, 0, false}},
		"a step back":  {{5, nearRecords, 0, false}, {4, 1, 0, false}, {6, nearRecords, 0, false}, {7, 1, 0, true}},
	} {
		var g gauge
		for i, p := range puts {
			at := record.Millis((1000+p.minute)*minuteMillis + int64(i))
			if got := g.add(at, p.records, p.bytes); got != p.overloaded {
				t.Errorf("%s: put %d says %v", name, i, got)
			}
		}
	}
}

// However hot its shards are, a stream at most doubles within 15 minutes, never has more than 200 shards for that
// reason, and keeps its lineage.
func TestOnDemandGrowthIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		created := time.UnixMilli(1_700_000_000_000)
		info := Info{Created: created, Mode: OnDemand, Shards: even(rapid.IntRange(1, 150).Draw(t, "shards"))}
		for i := range info.Shards {
			info.Shards[i].Created = record.MillisOf(created) - birthOffset
		}
		now := record.MillisOf(created)
		type size struct {
			at   record.Millis
			open int
		}
		history := []size{{now, len(info.Shards)}}
		for range rapid.IntRange(1, 60).Draw(t, "minutes") {
			now += minuteMillis
			var hot []record.ShardID
			for _, p := range openParts(info.Shards) {
				if rapid.IntRange(0, 2).Draw(t, "hot") > 0 {
					hot = append(hot, p.id)
				}
			}
			steps := grow(&info, hot, now)
			for _, st := range steps {
				if len(st.parents) != 1 || !slices.Contains(hot, st.parents[0]) {
					t.Fatalf("%v, but hot are %v", st, hot)
				}
			}
			if err := checkSteps(&info, steps); err != nil {
				t.Fatal(err)
			}
			info.Shards = perform(info.Shards, steps, now)
			checkLineage(t, info.Shards)
			open := info.OpenShards()
			history = append(history, size{now, open})
			for _, h := range history {
				if now-h.at <= doublingMillis && open > 2*h.open {
					t.Fatalf("%d shards grow to %d within 15 minutes", h.open, open)
				}
			}
			if open > onDemandMost {
				t.Fatalf("%d shards", open)
			}
		}
	})
}

// A key too hot for one shard: its range gets as narrow as it can, and then stays.
func TestARangeOfFewKeysIsNotSplit(t *testing.T) {
	t.Parallel()
	for size, want := range map[byte]int{1: 0, 2: 0, 3: 0, 4: 1, 5: 1} {
		keys := record.HashKeyRange{Start: record.HashKey{7}, End: record.HashKey{7}}
		keys.End[15] = size - 1
		info := Info{Created: time.UnixMilli(0), Shards: []ShardInfo{{Range: keys}}}
		if steps := grow(&info, []record.ShardID{0}, 0); len(steps) != want {
			t.Errorf("%d keys: %v", size, steps)
		}
	}
}

// If there is room for one split, the shard that has been near its capacity for longest gets it.
func TestTheLongestOverloadedShardComesFirst(t *testing.T) {
	t.Parallel()
	sn := newSnapshot(Info{Shards: even(4)}, nil, 1, nil)
	for i, minutes := range []int64{2, 5, 0, 3} {
		g := &sn.shards[i].gauge
		for m := 5 - minutes; m < 5; m++ {
			g.add(record.Millis(m*minuteMillis), nearRecords, 0)
		}
		g.add(5*minuteMillis, 1, 0)
	}
	if got := sn.overloaded(5); !slices.Equal(got, []record.ShardID{1, 3, 0}) {
		t.Errorf("%v", got)
	}
}

// The whole way: traffic near the capacity of one shard of an on-demand stream has that shard split, without a call;
// the same traffic does nothing to a provisioned stream, nor does a burst of any size.
func TestAnOnDemandStreamGrowsWithItsTraffic(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode    Mode
		minutes int
		shards  int
	}{{OnDemand, 3, 6}, {Provisioned, 3, 4}, {OnDemand, 1, 4}} {
		synctest.Test(t, func(t *testing.T) {
			b := setup(t)
			b.must(b.s.Create(b.ctx, orders, CreateInput{Mode: c.mode, Shards: 4}))
			b.advance(time.Minute - time.Duration(b.clock.Now().UnixMilli()%minuteMillis)*time.Millisecond)
			big := make([]byte, DefaultRecordBytes-1)
			for range c.minutes {
				for range 5 { // 50 MiB a minute
					recs := make([]record.Record, 10)
					for i := range recs {
						recs[i] = record.Record{Key: "a", Data: big}
					}
					_, err := b.s.PutRecords(b.ctx, orders, recs)
					b.must(err)
				}
				b.advance(time.Minute)
			}
			b.put(orders, "a", "b")
			synctest.Wait()

			info := b.lookup(orders)
			if len(info.Shards) != c.shards || info.Status != Active {
				t.Errorf("%s, %d minutes: %d shards, %s", c.mode, c.minutes, len(info.Shards), info.Status)
			}
			if c.shards == 6 && (info.Shards[0].Closed == 0 || *info.Shards[5].Parent != 0) {
				t.Errorf("not the hot shard was split: %+v", info.Shards)
			}
			b.put(orders, "a", "b", "c", "d")
			b.s.Stop()
		})
	}
}

// A gauge costs a put some nanoseconds, and an idle stream nothing.
func BenchmarkGauge(b *testing.B) {
	var g gauge
	b.ReportAllocs()
	for b.Loop() {
		g.add(1_700_000_000_000, 1, 100)
	}
}
