package esm_test

import (
	"errors"
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// A late shell passes an event after the instant at which a Tick was wanted. The machine may end with it.
func TestAMachineMayEndAfterItsWakeHasPassed(t *testing.T) {
	t.Parallel()
	s := esm.NewShard(
		esm.Config{BatchSize: 10, Factor: 1, BatchingWindow: time.Second, MaxRetries: esm.Unlimited}, esm.Checkpoint{},
		1,
	)
	s.Step(epoch, esm.Tick{})
	s.Step(epoch, esm.ReadReturned{
		Seq: 1, Records: []esm.Rec{{Pos: 1, Bytes: 100}, {Pos: 2, Bytes: 100, Match: true}}, Next: 3, End: esm.Tail,
	})
	if s.Wake().IsZero() {
		t.Fatal("no batching window is open")
	}

	commands := s.Step(epoch.Add(time.Hour), esm.Saved{Result: esm.SaveConflict})

	if f, ok := commands[len(commands)-1].(esm.Finished); !ok || f.Reason != esm.Fenced {
		t.Errorf("a conflict gives %+v", commands)
	}
	if !s.Wake().IsZero() || s.Step(epoch.Add(2*time.Hour), esm.Tick{}) != nil {
		t.Error("the machine goes on after its end")
	}
}

// An impossible event is a bug of the shell, and the panic says so.
func TestAWrongSequenceIsBroken(t *testing.T) {
	t.Parallel()
	for name, ev := range map[string]esm.Event{
		"a result of a batch that is not in flight": esm.Returned{
			Batch: 7, Outcome: esm.Outcome{Kind: esm.Success},
		},
		"a delivery of a batch that has not been given up": esm.Delivered{Batch: 7, Result: esm.DeliveryDone},
		"a save that was not asked for":                    esm.Saved{Result: esm.SaveDone},
		"a record in a lane that is not there": esm.ReadReturned{
			Seq: 1, Records: []esm.Rec{{Pos: 1, Lane: 3, Match: true}}, Next: 2, End: esm.Tail,
		},
		"a record below the place asked for": esm.ReadReturned{
			Seq: 1, Records: []esm.Rec{{Pos: 0, Match: true}}, Next: 2, End: esm.Tail,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := esm.NewShard(esm.Config{BatchSize: 10, Factor: 1}, esm.Checkpoint{}, 1)
			s.Step(epoch, esm.Tick{})
			defer func() {
				err, _ := recover().(error)
				if b := (*esm.Broken)(nil); !errors.As(err, &b) || b.What == "" {
					t.Errorf("gives %v", err)
				}
			}()

			s.Step(epoch, ev)
		})
	}
}

// A batch of 10,000 that a restart finds under a BatchSize of 1 does not become a checkpoint of 10,000 batches, which
// would be written again for each of them and which no restart could read.
func TestACheckpointHoldsFewBatches(t *testing.T) {
	t.Parallel()
	const held = 10_000
	segment := func(first, last record.Position) esm.SegmentMark {
		return esm.SegmentMark{ID: esm.BatchID{First: first, Last: last}, First: first, Last: last}
	}
	retried := segment(1, held/2)
	retried.Failures, retried.Invocations = 2, 2
	from := esm.Checkpoint{
		Factor: 1,
		Lanes: []esm.LaneMark{
			{Plan: []esm.SegmentMark{retried, segment(held/2+1, held*3/4), segment(held*3/4+1, held)}},
		},
	}
	s := esm.NewShard(esm.Config{BatchSize: 1, Factor: 1, MaxRetries: esm.Unlimited}, from, 1)
	recs := make([]esm.Rec, held)
	for i := range recs {
		recs[i] = esm.Rec{Pos: record.Position(i + 1), Bytes: 100, Match: true}
	}
	s.Step(epoch, esm.Tick{})
	invoked := batchOf(t, s.Step(epoch, esm.ReadReturned{Seq: 1, Records: recs, Next: held + 1, End: esm.Tail}))
	if len(invoked.Positions) != 1 || invoked.Attempt != 3 {
		t.Errorf("the first record is invoked as %+v", invoked)
	}

	commands := s.Step(epoch, esm.Returned{
		Batch: invoked.Batch, Outcome: esm.Outcome{Kind: esm.Success, StatusCode: 200},
	})

	next := batchOf(t, commands)
	if len(next.Positions) != 1 || next.Positions[0] != 2 || next.Attempt != 1 {
		t.Errorf("the second record is invoked as %+v", next)
	}
	for _, c := range commands {
		if save, ok := c.(esm.Save); ok {
			for _, l := range save.Checkpoint.Lanes {
				if len(l.Plan) > len(from.Lanes[0].Plan)+1 {
					t.Errorf("%d batches are saved", len(l.Plan))
				}
			}
			return
		}
	}
	t.Error("nothing is saved")
}

// A checkpoint of version 3 does not name the filter of a batch: it can be any, so the batch begins anew under every
// one, and where there is none.
func TestABatchOfAnUnknownFilterBeginsAnew(t *testing.T) {
	t.Parallel()
	for _, filter := range []uint64{0, 7} {
		from := esm.Checkpoint{Factor: 1, Batches: 4, Lanes: []esm.LaneMark{{Plan: []esm.SegmentMark{{
			ID:    esm.BatchID{Factor: 1, First: 1, Last: 2, Filter: esm.FilterUnknown},
			First: 1, Last: 2, Batch: 4, Failures: 3, Invocations: 3,
		}}}}}
		s := esm.NewShard(esm.Config{BatchSize: 2, Factor: 1, MaxRetries: 3, Filter: filter}, from, 1)
		s.Step(epoch, esm.Tick{})

		invoked := batchOf(t, s.Step(epoch, esm.ReadReturned{
			Seq: 1, Records: []esm.Rec{{Pos: 1, Bytes: 100, Match: true}, {Pos: 2, Bytes: 100, Match: true}}, Next: 3,
			End: esm.Tail,
		}))

		if invoked.Attempt != 1 || invoked.Batch != 5 || invoked.ID.Filter != filter {
			t.Errorf("under filter %d: %+v", filter, invoked)
		}
	}
}

// batchOf returns the one Invoke of a Step.
func batchOf(t *testing.T, commands []esm.Command) (invoke esm.Invoke) {
	t.Helper()
	count := 0
	for _, c := range commands {
		if i, ok := c.(esm.Invoke); ok {
			invoke = i
			count++
		}
	}
	if count != 1 {
		t.Fatalf("%d invocations in %+v", count, commands)
	}
	return invoke
}

// Every value that people and logs see has a name of its own.
func TestEveryEnumValueHasAName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for w := esm.WaitNone; w <= esm.WaitBuffer; w++ {
		if seen[w.String()] || w.String() == "" || w.String()[0] == 'W' {
			t.Errorf("WaitReason %d is called %q", uint8(w), w)
		}
		seen[w.String()] = true
	}
	for o := esm.OriginRecords; o <= esm.OriginWindow; o++ {
		if o.String()[0] == 'O' {
			t.Errorf("Origin %d is called %q", uint8(o), o)
		}
	}
	for f := esm.FlushFull; f <= esm.FlushRestored; f++ {
		if f.String()[0] == 'F' {
			t.Errorf("FlushReason %d is called %q", uint8(f), f)
		}
	}
	if got := esm.FinishReason(99).String(); got != "FinishReason(99)" {
		t.Errorf("an unknown FinishReason is called %q", got)
	}
}
