package engine

import (
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/storage"
)

// A read takes what the core has room for, to the byte, and leaves the rest to the next one.
func TestAReadTakesNoMoreThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	cfg := esm.Config{BatchSize: 10, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	x := sieved(cfg, nil)
	x.Step(time.UnixMilli(1_700_000_000_000), esm.Tick{}) // asks for the first read
	records := recordsOf(1, 1, 1, 1)
	size := x.format.RecordSize(&records[0])
	for room, want := range map[int]int{1: 1, 2 * size: 2, 3*size - 1: 2, 3 * size: 3} {
		x.held.keep(0) // nothing
		x.reading = esm.Read{Seq: 1, Factor: 1, MaxRecords: 10, MaxBytes: room}

		ev := x.Fetched(1, recordsOf(1, 1, 1, 1), 5, storage.End{Kind: storage.Tail, Sealed: 1}).(esm.ReadReturned)

		if len(ev.Records) != want || int(ev.Next) != want+1 || ev.End != esm.More || x.held.len() != want {
			t.Errorf(
				"room for %d bytes: %d records, next %d, %v, %d held",
				room, len(ev.Records), ev.Next, ev.End, x.held.len(),
			)
		}
	}
}

// An answer to a read that has become void, without another one in its place, takes no memory: the core ignores it, so
// it would be held until the low-water mark has passed it.
func TestAnAnswerToAVoidReadTakesNoMemory(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_000)
	cfg := esm.Config{BatchSize: 4, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	x := sieved(cfg, nil)
	b := NewBudget(1 << 30)
	x.Share(b)
	first := x.Step(now, esm.Tick{})[0].(Fetch)
	records := recordsOf(1, 1, 1, 1, 1, 1, 1, 1)
	cost := 4 * costOf(&records[0])
	var second Fetch
	for _, e := range x.Step(now, x.Fetched(first.Seq, records[:5], 6, storage.End{Kind: storage.More})) {
		if f, ok := e.(Fetch); ok {
			second = f
		}
	}
	if second.From != 6 {
		t.Fatalf("the second read is %+v", second)
	}
	cfg.BatchSize, cfg.ReadAhead, cfg.Filter = 1, 2, 1
	x.Filter(compiled(t, 1))
	for _, e := range x.Step(now, esm.Reconfigured{Config: cfg}) {
		if f, ok := e.(Fetch); ok {
			t.Fatalf("the lane has enough, and %+v is asked for", f)
		}
	}
	if used := b.Used(); used != cost {
		t.Fatalf("%d bytes are held before the answer, want the batch of %d", used, cost)
	}

	x.Step(now, x.Fetched(second.Seq, records[5:], 9, storage.End{Kind: storage.Tail, Sealed: 1}))

	if used := b.Used(); used != cost {
		t.Errorf("%d bytes are held, want the batch of %d", used, cost)
	}
}

// What a read brings that another one has replaced is not held: the core ignores it, and would never let go of it.
func TestWhatAReplacedReadBringsIsNotHeld(t *testing.T) {
	t.Parallel()
	cfg := esm.Config{BatchSize: 10, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	x := sieved(cfg, nil)
	x.reading = esm.Read{Seq: 2, Factor: 1, MaxRecords: 10, MaxBytes: 1 << 20}

	ev := x.Fetched(1, recordsOf(1, 1), 3, storage.End{Kind: storage.Tail, Sealed: 1}).(esm.ReadReturned)

	if x.held.len() != 0 || len(ev.Records) != 0 || ev.Seq != 1 {
		t.Errorf("%d records are held, %+v", x.held.len(), ev)
	}
}
