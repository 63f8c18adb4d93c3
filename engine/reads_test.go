package engine

import (
	"testing"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/storage"
)

// A read takes what the core has room for, to the byte, and leaves the rest to the next one.
func TestAReadTakesNoMoreThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	cfg := esm.Config{BatchSize: 10, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	x := sieved(cfg, nil)
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
