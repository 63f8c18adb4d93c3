package stream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
)

// A clock that is set back, as a reset does, leaves no shard throttled for longer than its rate.
func TestBudgetsSurviveAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	late := time.Unix(1_900_000_000, 0)
	b, l := new(budget), newLimits(true)
	for range 2000 {
		b.write(late, 1000, DefaultRecordBytes)
	}
	for range 6 {
		b.mayRead(late)
		b.iterator(late)
		l.call("a", 5, late)
	}
	b.hasRead(late, MaxReadBytes)

	early := late.Add(-24 * time.Hour)
	if !b.write(early, 1000, DefaultRecordBytes) || !b.mayRead(early) || !b.iterator(early) || !l.call("a", 5, early) {
		t.Error("something is still used up")
	}
}

// Series of calls that can refuse nothing are forgotten, so that many streams do not fill the memory.
func TestSeriesOfCallsAreForgotten(t *testing.T) {
	t.Parallel()
	l, at := newLimits(true), time.Unix(1_900_000_000, 0)
	for i := range 10 * mostCalled {
		l.call(string(rune('a'+i%26))+time.Duration(i).String(), 5, at)
		at = at.Add(10 * time.Millisecond)
	}
	if n := len(l.called); n > mostCalled+1 {
		t.Errorf("%d series", n)
	}
}

// What is refused for its rate is counted, of the stream and of the shard: each record of a put, and each read.
func TestWhatRatesRefuseIsMeasured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, st := metered(t)
		b.s.Stop()
		b.s = New(Options{Store: b.store, Clock: b.clock, Metrics: st, Limits: true})
		b.must(b.s.Start(b.ctx))
		b.create(orders, 1)
		b.monitor(ShardWritesExceeded|ShardReadsExceeded, 0)
		one := record.Record{Key: "k", Data: make([]byte, DefaultRecordBytes/2)}
		placed, err := b.s.PutRecords(b.ctx, orders, []record.Record{one, one, one, {Key: "k"}})
		b.must(err)
		_, refused := b.s.PutRecord(b.ctx, orders, PutRecordInput{Record: one})
		wantCode(t, refused, codeThrottled)
		token, err := b.s.Iterator(b.ctx, orders, IteratorInput{Shard: "0", Type: IterLatest})
		b.must(err)
		for i := range 7 {
			_, err := b.s.GetRecords(
				b.ctx, GetRecordsInput{Iterator: token}, func(*ShardInfo) {}, func(record.Record) {},
			)
			if (err != nil) != (i >= 5) {
				t.Errorf("read %d: %v", i, err)
			}
		}

		got := map[string]float64{}
		st.Each(func(id metric.ID, _ string, total metric.Total) {
			name := id.Name
			if len(id.Dimensions) == 2 {
				name += " of the shard"
			}
			got[name] = total.Sum
		})
		failed := 0.0
		for i := range placed {
			if placed[i].Fault != nil {
				failed++
			}
		}
		for name, want := range map[string]float64{
			"PutRecords.ThrottledRecords": failed, "PutRecords.FailedRecords": 0, "PutRecords.TotalRecords": 4,
			"PutRecords.SuccessfulRecords": 4 - failed, "PutRecord.Success": 0,
			"WriteProvisionedThroughputExceeded": failed + 1, "WriteProvisionedThroughputExceeded of the shard": failed + 1,
			"ReadProvisionedThroughputExceeded": 2, "ReadProvisionedThroughputExceeded of the shard": 2,
			"GetRecords.Success": 5,
		} {
			if got[name] != want {
				t.Errorf("%s: %g, want %g", name, got[name], want)
			}
		}
		if failed != 2 { // with its key, the second is a byte too large
			t.Errorf("%g records of a call are refused", failed)
		}
		b.s.Stop()
		st.Stop()
	})
}
