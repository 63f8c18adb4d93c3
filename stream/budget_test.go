package stream

import (
	"fmt"
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

// A record that is refused for one of its shard's rates takes nothing of the other: the bytes are there for those that
// come when there is room for records again.
func TestARefusedRecordTakesNothing(t *testing.T) {
	t.Parallel()
	at, b := time.Unix(1_900_000_000, 0), new(budget)
	for i := range 2 * writeRecords {
		if b.write(at, 100, DefaultRecordBytes) != (i < writeRecords) {
			t.Fatalf("record %d", i)
		}
	}
	at = at.Add(10 * time.Millisecond)
	if !b.write(at, writeBytes-writeRecords*100, DefaultRecordBytes) {
		t.Error("what was refused has taken bytes")
	}
}

// A read that is refused while the shard is blocked is none of its five a second.
func TestARefusedReadIsNotCounted(t *testing.T) {
	t.Parallel()
	at, b := time.Unix(1_900_000_000, 0), new(budget)
	b.hasRead(at, MaxReadBytes) // five seconds' worth
	at = at.Add(5*time.Second - time.Millisecond)
	for range 2 * readCalls {
		if b.mayRead(at) {
			t.Fatal("a read of a blocked shard")
		}
	}
	at = at.Add(time.Millisecond)
	for i := range readCalls + 1 {
		if b.mayRead(at) != (i < readCalls) {
			t.Errorf("read %d", i)
		}
	}
}

// The pages of a list are calls, too: 1,000 of ListShards a second for each stream.
func TestPagesAreCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.s.Stop()
		b.s = New(Options{Store: b.store, Clock: b.clock, Limits: true})
		b.create(orders, 2)
		who := Caller{Account: orders.Account, Region: orders.Region}
		_, token, err := b.s.ListShards(b.ctx, orders, ListShardsInput{Limit: 1, Caller: who})
		b.must(err)
		for i := range 1001 {
			_, _, err := b.s.ListShardsNext(b.ctx, who, token, 1)
			if (err != nil) != (i == 1000) {
				t.Fatalf("page %d: %v", i, err)
			}
		}
	})
}

// What is so already is no change, even when no more is possible. A change of exactly a day ago counts no longer.
func TestTheLastChangeOfADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.s.Stop()
		b.s = New(Options{Store: b.store, Clock: b.clock, Limits: true})
		b.create(orders, 1)
		start := func(key string) error { return b.s.StartEncryption(b.ctx, orders, KMS, "alias/"+key) }
		began := b.clock.Now()
		for i := range dailyLimits[changesOfEncryption].most {
			b.must(start(fmt.Sprint(i % 2)))
		}
		b.must(start("0")) // as it is
		wantCode(t, start("1"), codeLimit)
		b.advance(24*time.Hour - time.Millisecond - b.clock.Now().Sub(began))
		wantCode(t, start("1"), codeLimit)
		b.advance(time.Millisecond)
		b.must(start("1"))
	})
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
