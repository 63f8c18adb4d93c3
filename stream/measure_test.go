package stream

import (
	"context"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// metered returns an empty room that measures, and where.
func metered(t *testing.T) (b *bench, st *metric.Store) {
	b = setup(t)
	st, err := metric.New(metric.Options{Local: b.store.Local(), Clock: b.clock})
	b.must(err)
	t.Cleanup(st.Stop)
	b.s.Stop()
	b.s = New(Options{Store: b.store, Clock: b.clock, Metrics: st})
	b.must(b.s.Start(b.ctx))
	t.Cleanup(b.s.Stop)
	return b, st
}

// setupMeasured returns an empty room that measures, and what it has measured of orders.
func setupMeasured(t *testing.T) (b *bench, total func(metric.Kind) metric.Summary) {
	b, st := metered(t)
	return b, func(k metric.Kind) metric.Summary {
		t.Helper()
		id := metric.ID{
			Account: orders.Account, Region: orders.Region, Namespace: k.Namespace, Name: k.Name,
			Dimensions: []metric.Dimension{{Name: metric.StreamName, Value: "orders"}},
		}
		now := b.clock.Now()
		points, err := st.Points(metric.Query{
			ID: id, Unit: k.Unit, Start: now.Add(-time.Hour).Truncate(time.Minute), End: now.Add(time.Hour),
			Period: 24 * time.Hour,
		})
		b.must(err)
		if len(points) != 1 {
			t.Fatalf("%s: %d periods", k.Name, len(points))
		}
		return points[0].Summary
	}
}

// Puts count durable records, reads what they bring and the age of the last record, those of a mapping as well; a put
// that was refused before it reached a shard does not count.
func TestStreamsAreMeasured(t *testing.T) {
	t.Parallel()
	b, total := setupMeasured(t)
	b.create(orders, 1)
	b.put(orders, "a", "bb") // 10 and 12 bytes, keys included
	_, err := b.s.PutRecord(b.ctx, orders, PutRecordInput{Record: record.Record{Key: "c", Data: []byte("x")}})
	b.must(err)
	if _, err := b.s.PutRecord(b.ctx, orders, PutRecordInput{HashKey: "-1"}); err == nil {
		t.Error("a hash key below 0 was taken")
	}
	b.clock.SetOffset(5 * time.Second)
	iterator, err := b.s.Iterator(b.ctx, orders, IteratorInput{Shard: "shardId-000000000000", Type: IterTrimHorizon})
	b.must(err)
	out, err := b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: iterator}, func(*ShardInfo) {}, func(record.Record) {})
	b.must(err)
	_, err = b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: out.Next}, func(*ShardInfo) {}, func(record.Record) {})
	b.must(err)

	info, err := b.s.Lookup(b.ctx, orders)
	b.must(err)
	_, _, err = b.s.Poll(b.ctx, info.ID, 0, 1, storage.Limit{Records: 10, Bytes: 1 << 20}, func(record.Record) {})
	b.must(err)

	for k, want := range map[metric.Kind][2]float64{
		metric.IncomingRecords: {2, 3}, metric.IncomingBytes: {2, 10 + 12 + 2}, metric.PutRecordSuccess: {1, 1},
		metric.PutRecordsSuccess: {1, 1}, metric.PutRecordBytes: {1, 2}, metric.PutRecordsBytes: {1, 22},
		metric.PutRecordsTotal: {1, 2}, metric.PutRecordsRecords: {1, 2}, metric.PutRecordsSuccessful: {1, 2},
		metric.PutRecordsThrottled: {1, 0}, metric.PutRecordsFailed: {1, 0}, metric.WriteThroughputExceeded: {2, 0},
		metric.GetRecordsSuccess: {3, 3}, metric.GetRecordsRecords: {3, 6}, metric.GetRecordsBytes: {3, 48},
		metric.ReadThroughputExceeded: {3, 0},
	} {
		if got := total(k); got.Count != want[0] || got.Sum != want[1] {
			t.Errorf("%s: %g in %g values, want %g in %g", k.Name, got.Sum, got.Count, want[1], want[0])
		}
	}
	for _, k := range []metric.Kind{metric.PutRecordLatency, metric.PutRecordsLatency, metric.GetRecordsLatency} {
		if got := total(k); got.Count == 0 || got.Min < 0 || got.Max > 60_000 {
			t.Errorf("%s: %+v", k.Name, got)
		}
	}
	if got := total(metric.GetRecordsAge); got.Count != 3 || got.Max < 5000 || got.Min != 0 {
		t.Errorf("ages %+v", got)
	}

	b.must(b.s.Delete(b.ctx, orders))
	b.s.meters.store.Each(func(id metric.ID, _ string, _ metric.Total) {
		if id.Namespace == metric.IncomingRecords.Namespace {
			t.Errorf("%s of the deleted stream is kept", id.Name)
		}
	})
}

// A mapping that stops in the midst of a read has not failed to read.
func TestAPollThatIsGivenUpIsNotMeasured(t *testing.T) {
	t.Parallel()
	b, total := setupMeasured(t)
	h := &hooked{Store: b.store}
	b.s.Stop()
	b.s = New(Options{Store: h, Clock: b.clock, Metrics: b.s.meters.store})
	id := b.create(orders, 1).ID
	ctx, leave := context.WithCancel(b.ctx)
	poll := func() error {
		_, _, err := b.s.Poll(ctx, id, 0, 1, storage.Limit{}, func(record.Record) {})
		return err
	}
	h.fail = func(call string) error {
		if call == "scan" {
			return errDied
		}
		return nil
	}
	if poll() == nil {
		t.Error("a broken store is read")
	}
	leave()
	if poll() == nil {
		t.Error("a broken store is read by who has left")
	}
	if got := total(metric.GetRecordsSuccess); got.Count != 1 || got.Sum != 0 {
		t.Errorf("%g of %g reads", got.Sum, got.Count)
	}
}

// "ThrottledRecords: the number of records rejected due to throttling"; "FailedRecords: … due to internal failures". A
// record is one or the other.
func TestThrottledRecordsAreNotFailedOnes(t *testing.T) {
	t.Parallel()
	b, total := setupMeasured(t)
	b.create(orders, 1)
	st, err := b.s.find(b.ctx, orders)
	b.must(err)
	recs := make([]record.Record, 6)
	placed := make([]Placed, 6)
	for i, code := range []string{codeThrottled, codeThrottled, codeThrottled, codeInternal, codeInternal} {
		placed[i].Fault = &fault.Error{Code: code}
	}

	b.s.measurePut(st.snap.Load(), true, recs, placed, time.Now())

	for k, want := range map[metric.Kind]float64{
		metric.PutRecordsTotal: 6, metric.PutRecordsSuccessful: 1, metric.PutRecordsThrottled: 3,
		metric.PutRecordsFailed: 2, metric.WriteThroughputExceeded: 3,
	} {
		if got := total(k); got.Sum != want {
			t.Errorf("%s: %g, want %g", k.Name, got.Sum, want)
		}
	}
}

// What is still measured for a stream that was deleted meanwhile does not bring its meter back.
func TestADeletedStreamIsNotMeasuredAgain(t *testing.T) {
	t.Parallel()
	b, _ := setupMeasured(t)
	b.create(orders, 1)
	st, err := b.s.find(b.ctx, orders)
	b.must(err)
	sn := st.snap.Load()
	b.must(b.s.Delete(b.ctx, orders))

	b.s.measureRead(sn, 0, &reading{began: time.Now(), records: 1}, nil)
	b.s.measurePut(sn, false, make([]record.Record, 1), make([]Placed, 1), time.Now())

	if n := len(b.s.meters.byID); n != 0 {
		t.Errorf("%d streams are measured", n)
	}
}
