package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
)

// fates puts n records of different keys in calls of so many, and says of each whether it was ok (.), throttled (t) or
// failed (f).
func (b *bench) fates(n, each int) string {
	b.Helper()
	var out strings.Builder
	for from := 0; from < n; from += each {
		var recs []record.Record
		for i := from; i < min(n, from+each); i++ {
			recs = append(recs, record.Record{Key: fmt.Sprintf("key %d", i)})
		}
		placed, err := b.s.PutRecords(b.ctx, orders, recs)
		if err != nil {
			b.Fatal(err)
		}
		for i := range placed {
			out.WriteByte(fateOf(placed[i].Fault))
		}
	}
	return out.String()
}

func fateOf(f *fault.Error) byte {
	switch {
	case f == nil:
		return '.'
	case f.Code == codeThrottled:
		return 't'
	case f.Code == codeInternal:
		return 'f'
	}
	return '?'
}

func (b *bench) chaos(c Chaos) {
	b.Helper()
	_, err := b.s.SetChaos(b.ctx, orders, c)
	b.must(err)
}

// Every n-th of the records is refused, whatever calls they come in; of what is throttled nothing fails.
func TestEveryNthRecordIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 2)
	b.chaos(Chaos{Throttle: Share{Every: 2}, Fail: Share{Every: 3}})

	for _, each := range []int{5, 1, 12} {
		if got := b.fates(12, each); got != ".tft.t.tft.t" {
			t.Errorf("in calls of %d: %s", each, got)
		}
	}
	want := ChaosCounts{Judged: 36, Throttled: 18, Failed: 6}
	if got := b.s.ChaosStates(); len(got) != 1 || got[0].Stream != orders || got[0].ChaosCounts != want {
		t.Errorf("%+v", got)
	}
	if got := b.s.ChaosTotals(); got != want {
		t.Errorf("in all: %+v", got)
	}
}

// A seed fixes what becomes of the n-th record, so that a run of a producer can be repeated; shares are kept.
func TestTheSameSeedRefusesTheSameRecords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 4)
	c := Chaos{Throttle: Share{PerMillion: 50_000}, Fail: Share{PerMillion: 10_000}, Seed: 7}
	b.chaos(c)
	first := b.fates(4000, 500)
	b.chaos(c)
	if again := b.fates(4000, 37); again != first {
		t.Error("other records are refused when they come in other calls")
	}
	c.Seed = 8
	b.chaos(c)
	if other := b.fates(4000, 500); other == first {
		t.Error("another seed refuses the same records")
	}

	throttled, failed := strings.Count(first, "t"), strings.Count(first, "f")
	if throttled < 150 || throttled > 250 || failed < 20 || failed > 60 {
		t.Errorf("of 4000 records are throttled %d, failed %d; want about 200 and 40", throttled, failed)
	}
	b.chaos(Chaos{Throttle: Share{PerMillion: 600_000}, Fail: Share{PerMillion: 400_000}})
	if got := b.fates(100, 100); strings.Contains(got, ".") {
		t.Errorf("of all are spared: %s", got)
	}
}

// Chaos of one shard spares the others; PutRecord meets the same as an entry of PutRecords.
func TestChaosOfOneShardSparesTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 2)
	one := record.ShardID(1)
	b.chaos(Chaos{Throttle: Share{Every: 1}, Shard: &one})

	for key, want := range map[string]byte{"a": '.', "b": 't'} { // D-02: a goes to shard 0, b to 1
		_, err := b.s.PutRecord(b.ctx, orders, PutRecordInput{Record: record.Record{Key: key}})
		var f *fault.Error
		errors.As(err, &f)
		if got := fateOf(f); got != want {
			t.Errorf("%s: %c", key, got)
		}
	}
	if got := b.s.ChaosTotals(); got != (ChaosCounts{Judged: 1, Throttled: 1}) {
		t.Errorf("%+v", got)
	}
}

// Whole calls: PutRecords answers the fault itself, and nothing of it is written.
func TestWholeCallsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	info := b.create(orders, 1)
	b.chaos(Chaos{Fail: Share{Every: 2}, Calls: true})
	recs := []record.Record{{Key: "a"}, {Key: "b"}}

	if _, err := b.s.PutRecords(b.ctx, orders, recs); err != nil {
		t.Fatal(err)
	}
	_, err := b.s.PutRecords(b.ctx, orders, recs)

	var f *fault.Error
	if !errors.As(err, &f) || f.Code != codeInternal || f.Message != "" || f.Hint == "" {
		t.Errorf("the second call: %v", err)
	}
	if keys, _ := b.drain(info.ID, 0, 1); len(keys) != 2 {
		t.Errorf("written are %q", keys)
	}

	two := b.create(Name{orders.Account, orders.Region, "two"}, 2)
	one := record.ShardID(1) // D-02: a goes to shard 0, b to 1
	_, err = b.s.SetChaos(b.ctx, two.Name, Chaos{Throttle: Share{Every: 1}, Calls: true, Shard: &one})
	b.must(err)
	if _, err := b.s.PutRecords(b.ctx, two.Name, recs); fault.CodeOf(err) != codeThrottled {
		t.Errorf("a call with a record of the shard: %v", err)
	}
	if keys, _ := b.drain(two.ID, 0, 1); len(keys) != 0 {
		t.Errorf("of a call that was refused are written %q", keys)
	}
}

// GetRecords is left alone unless it is asked for, and then counts as throttled.
func TestReadsAreRefusedOnRequest(t *testing.T) {
	t.Parallel()
	b, total := setupMeasured(t)
	b.create(orders, 2)
	read := func() error {
		it, err := b.s.Iterator(b.ctx, orders, IteratorInput{Shard: "0", Type: IterTrimHorizon})
		b.must(err)
		_, err = b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: it}, func(*ShardInfo) {}, func(record.Record) {})
		return err
	}
	b.chaos(Chaos{Throttle: Share{Every: 1}})
	b.must(read())
	b.chaos(Chaos{Throttle: Share{Every: 2}, Reads: true})
	b.must(read())

	if err := read(); fault.CodeOf(err) != codeThrottled {
		t.Errorf("the second read: %v", err)
	}
	if got := total(metric.ReadThroughputExceeded).Sum; got != 1 {
		t.Errorf("%v reads are counted as throttled", got)
	}

	one := record.ShardID(1)
	b.chaos(Chaos{Throttle: Share{Every: 1}, Reads: true, Shard: &one})
	b.must(read()) // of shard 0

	b.chaos(Chaos{Throttle: Share{Every: 2}, Reads: true}) // reads and puts are counted apart
	got := b.fates(1, 1)
	b.must(read())
	if got += b.fates(1, 1); got != ".t" {
		t.Errorf("puts with a read in between: %s", got)
	}
	same := 0
	for n := range uint64(1000) {
		if draw(7, saltPuts, n)/500_000 == draw(7, saltReads, n)/500_000 {
			same++
		}
	}
	if same < 400 || same > 600 {
		t.Errorf("of 1000 reads %d meet the fate of the put with the same number", same)
	}
}

// What is refused on purpose is measured like what is refused in earnest.
func TestChaosIsMeasured(t *testing.T) {
	t.Parallel()
	b, total := setupMeasured(t)
	b.create(orders, 1)
	b.chaos(Chaos{Throttle: Share{Every: 2}, Fail: Share{Every: 3}})
	b.fates(6, 6) // .tft.t

	for kind, want := range map[metric.Kind]float64{
		metric.PutRecordsTotal: 6, metric.PutRecordsThrottled: 3, metric.PutRecordsFailed: 1,
		metric.PutRecordsSuccessful: 2, metric.WriteThroughputExceeded: 3, metric.IncomingRecords: 2,
	} {
		if got := total(kind).Sum; got != want {
			t.Errorf("%s is %v, want %v", kind.Name, got, want)
		}
	}
}

// A call is held up for the latency, in real time, and no longer than its caller waits.
func TestCallsAreHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &chaos{Chaos: Chaos{Latency: 3 * time.Second}, total: &chaosCounters{}}
		began := time.Now()
		if err := c.hold(t.Context()); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("held up for %s, %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.hold(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 4*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if own, all := c.own.counts(), c.total.counts(); own.Delayed != 2 || all.Delayed != 2 {
			t.Errorf("%+v, in all %+v", own, all)
		}
		if err := c.judgeRead(t.Context(), orders, 0); err != nil || time.Since(began) != 4*time.Second {
			t.Errorf("a read is held up though only puts were asked for: %s, %v", time.Since(began), err)
		}
	})
	b := setup(t)
	info := b.create(orders, 1)
	b.chaos(Chaos{Latency: time.Minute})
	gone, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.s.PutRecords(gone, orders, []record.Record{{Key: "a"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who has left: %v", err)
	}
	if keys, _ := b.drain(info.ID, 0, 1); len(keys) != 0 {
		t.Errorf("written are %q", keys)
	}
}

// Chaos ends when it is told to, with its stream, and with the process; what cannot be is refused.
func TestChaosEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(orders, 1)
	all := Chaos{Throttle: Share{Every: 1}}
	b.chaos(all)
	if was, err := b.s.StopChaos(b.ctx, orders); !was || err != nil {
		t.Errorf("it was on: %v, %v", was, err)
	}
	if was, err := b.s.StopChaos(b.ctx, orders); was || err != nil {
		t.Errorf("it was on twice: %v, %v", was, err)
	}
	b.put(orders, "a")
	b.chaos(all)
	b.must(b.s.Delete(b.ctx, orders))
	b.create(orders, 1)
	b.put(orders, "a")
	b.chaos(all)
	b.reopen()
	b.put(orders, "a")
	if got := b.s.ChaosStates(); len(got) != 0 {
		t.Errorf("after a restart: %+v", got)
	}

	nine := record.ShardID(9)
	for _, c := range []Chaos{
		{},
		{Throttle: Share{PerMillion: million + 1}},
		{Fail: Share{PerMillion: -1}},
		{Fail: Share{Every: -1}},
		{Throttle: Share{PerMillion: 600_000}, Fail: Share{PerMillion: 400_001}},
		{Latency: -1},
		{Latency: LongestChaosLatency + 1},
		{Throttle: Share{Every: 1}, Shard: &nine},
	} {
		if _, err := b.s.SetChaos(b.ctx, orders, c); fault.CodeOf(err) == "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
	_, err := b.s.SetChaos(b.ctx, Name{"000000000000", "us-east-1", "nowhere"}, all)
	if fault.CodeOf(err) != codeNotFound {
		t.Errorf("a stream that is not there: %v", err)
	}
}
