package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

// compiled is a filter for data with a field n of some value.
func compiled(t *testing.T, n int) *filter.Filter {
	t.Helper()
	f, err := filter.Compile([]string{fmt.Sprintf(`{"data":{"n":[%d]}}`, n)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// recordsOf returns records of which the n-th has this n, counted from 1.
func recordsOf(ns ...int) (out []record.Record) {
	for i, n := range ns {
		out = append(out, record.Record{
			Pos: record.Position(i + 1), Arrival: 1_700_000_000_000, Key: "k", Data: fmt.Appendf(nil, `{"n":%d}`, n),
		})
	}
	return out
}

func sieved(cfg esm.Config, f *filter.Filter) *Executor {
	format := source.NewKinesisFormat(
		0, "arn:aws:kinesis:us-east-1:000000000000:stream/s", "us-east-1", "arn:aws:iam::000000000000:role/r",
		func(dst []byte, _ record.Position, _ record.Millis) []byte { return append(dst, '1') },
	)
	whole := record.HashKeyRange{End: record.MaxHashKey}
	x := NewExecutor(Identity{Mapping: "m"}, cfg, whole, format, esm.Checkpoint{}, 1, nil)
	x.Filter(f)
	return x
}

// What does not match takes none of the room that a Read has for records, and is not held: a Read that has room for two
// takes everything up to the third that matches, and the next one begins there.
func TestRecordsThatDoNotMatchTakeNoRoomInARead(t *testing.T) {
	t.Parallel()
	cfg := esm.Config{BatchSize: 10, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	x := sieved(cfg, compiled(t, 1))
	x.Step(time.UnixMilli(1_700_000_000_000), esm.Tick{}) // asks for the first read
	x.reading = esm.Read{Seq: 1, Factor: 1, MaxRecords: 2, MaxBytes: 1 << 20}

	records := recordsOf(0, 0, 1, 0, 0, 1, 0, 1, 0)
	ev := x.Fetched(1, records, 10, storage.End{Kind: storage.Tail, Sealed: 1}).(esm.ReadReturned)

	if len(ev.Records) != 7 || ev.Next != 8 || ev.End != esm.More {
		t.Errorf("%d records, next %d, %v", len(ev.Records), ev.Next, ev.End)
	}
	if x.held.len() != 2 || x.held.recs[0].Pos != 3 || x.held.recs[1].Pos != 6 {
		t.Errorf("held: %v", x.held.recs)
	}
}

// With another filter what it drops is held no more, and costs nothing.
func TestWhatAnotherFilterDropsIsNotHeld(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	cfg := esm.Config{BatchSize: 10, Factor: 1, MaxRetries: esm.Unlimited, BatchingWindow: time.Minute}.WithDefaults()
	x := sieved(cfg, compiled(t, 1))
	f := x.Step(now, esm.Tick{})[0].(Fetch)
	x.Step(now, x.Fetched(f.Seq, recordsOf(1, 0, 1, 1), 5, storage.End{Kind: storage.Tail}))
	if x.held.len() != 3 || x.held.cost == 0 {
		t.Fatalf("%d records held, which cost %d", x.held.len(), x.held.cost)
	}

	x.Filter(compiled(t, 2))
	cfg.Filter = 2
	x.Step(now, esm.Reconfigured{Config: cfg})

	if x.held.len() != 0 || x.held.cost != 0 {
		t.Errorf("%d records held, which cost %d", x.held.len(), x.held.cost)
	}
}

// A read that waits for memory is not made any more once other settings have made it void and ask for no other: what it
// brought would belong nowhere.
func TestAReadThatIsVoidDoesNotWaitForMemory(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	cfg := esm.Config{BatchSize: 4, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	x := sieved(cfg, nil)
	const room = 20 << 20
	b := NewBudget(room)
	x.Share(b)
	f := x.Step(now, esm.Tick{})[0].(Fetch)
	b.add(room)
	x.Step(now, x.Fetched(f.Seq, recordsOf(1, 1, 1, 1, 1), 6, storage.End{Kind: storage.More}))
	if !x.withheld {
		t.Fatal("no read waits for memory")
	}

	cfg.BatchSize, cfg.ReadAhead, cfg.Filter = 1, 2, 1
	x.Filter(compiled(t, 1))
	x.Step(now, esm.Reconfigured{Config: cfg})
	b.Return(room)
	effects := x.Step(now, esm.Tick{})

	for _, e := range effects {
		if f, ok := e.(Fetch); ok {
			t.Errorf("the read %d from %d is made", f.Seq, f.From)
		}
	}
}
