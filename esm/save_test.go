package esm_test

import (
	"testing"
	"time"
	"unsafe"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// E-default durability: "a lane that has settled 1 s or 64 batches beyond the last saved checkpoint stops invoking
// until it is saved". Nor may it stop for longer when the wall clock is set back: beats of saving go on as real time
// does.
func TestAWallClockThatIsSetBackHoldsNoSave(t *testing.T) {
	t.Parallel()
	cfg := esm.Config{BatchSize: 1, Factor: 1, MaxRetries: esm.Unlimited}.WithDefaults()
	now := time.Now() // with a monotonic reading, as a live clock gives it
	now = now.Add(cfg.SaveBeat - now.Sub(now.Truncate(cfg.SaveBeat)))
	shard := esm.NewShard(cfg, esm.Checkpoint{}, 1)
	var read esm.Read
	step := func(ev esm.Event) (saves, invokes int) {
		for _, c := range shard.Step(now, ev) {
			switch c := c.(type) {
			case esm.Read:
				read = c
			case esm.Save:
				saves++
			case esm.Invoke:
				invokes++
			default:
			}
		}
		return saves, invokes
	}
	step(esm.Tick{})
	batch := func(n uint64) (saves int) {
		p := record.Position(n)
		_, invokes := step(esm.ReadReturned{
			Seq: read.Seq, Next: p + 1, End: esm.Tail,
			Records: []esm.Rec{{Pos: p, Arrival: record.MillisOf(now), Bytes: 100, Match: true}},
		})
		if invokes != 1 {
			t.Fatalf("batch %d: %d invocations, want 1", n, invokes)
		}
		saves, _ = step(esm.Returned{Batch: n, Outcome: esm.Outcome{Kind: esm.Success, StatusCode: 200}})
		return saves
	}
	if batch(1) != 1 {
		t.Fatal("the first batch is not saved at once")
	}
	step(esm.Saved{Result: esm.SaveDone})

	now = setBack(t, now.Add(time.Millisecond), time.Hour)
	if batch(2) != 0 {
		t.Fatal("a second save in one beat")
	}
	now = now.Add(2 * time.Second)
	if saves, _ := step(esm.Tick{}); saves != 1 {
		t.Fatal("what was settled two seconds ago is not saved")
	}
	step(esm.Saved{Result: esm.SaveDone})
	batch(3)
}

// setBack returns t as a clock shows it whose wall was set back by d. Package time has no way to make such an instant.
func setBack(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	back := at
	*(*uint64)(unsafe.Pointer(&back)) -= uint64(d/time.Second) << 30 // seconds stand above 30 bits of nanoseconds
	if back.Sub(at) != 0 || back.Round(0).Sub(at.Round(0)) != -d {
		t.Fatal("package time keeps instants in another way now")
	}
	return back
}
