package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream/streamtest"
)

// status asks for what becomes of a mapping.
func (w *world) status(uuid string) engine.MappingStatus {
	w.t.Helper()
	st, err := w.engine.Status(w.t.Context(), uuid)
	w.must(err)
	return st
}

// unreadable is a source whose reads fail: a disk that is broken.
type unreadable struct{ source.Source }

func (unreadable) Read(
	context.Context, record.ShardID, record.Position, storage.Limit, func(record.Record),
) (record.Position, storage.End, error) {
	return 0, storage.End{}, errDisk
}

// waiting is a way to make a lane wait for a reason, and what is known of it then.
type waiting struct {
	knobs mapping.Knobs
	do    func(w *world, uuid string)
	lane  func(l *esm.LaneState) bool       // nil: only the reason counts
	shard func(sh *engine.ShardStatus) bool // nil: it does not matter
}

// waits are the reasons why a lane waits. An engine that is asked has an answer for each.
var waits = map[esm.WaitReason]waiting{
	esm.WaitRecords: {
		do: func(*world, string) {},
		shard: func(sh *engine.ShardStatus) bool {
			return sh.Machine.Reading && sh.Machine.Waiting && sh.Machine.LastEnd == esm.Tail && sh.Machine.Records == 0
		},
	},
	esm.WaitWindow: {
		knobs: mapping.Knobs{BatchingWindowSeconds: p(int64(30))},
		do: func(w *world, _ string) {
			w.put("k", numbered(1, 3)...)
			w.pass(time.Second)
		},
		lane: func(l *esm.LaneState) bool { return l.Count == 3 && l.Until.Sub(l.Since) == 30*time.Second },
	},
	esm.WaitOutcome: {
		do:    (*world).hang,
		lane:  func(l *esm.LaneState) bool { return l.Batch == 1 && l.Attempt == 1 && l.Count == 3 },
		shard: func(sh *engine.ShardStatus) bool { return sh.Held > 0 && sh.Machine.Records == 3 },
	},
	esm.WaitRetry: {
		knobs: mapping.Knobs{MaxRetries: p(int64(5))},
		do: func(w *world, _ string) {
			w.functions.handle = poisoned("1")
			w.put("k", "1")
			w.pass(500 * time.Millisecond)
		},
		lane: func(l *esm.LaneState) bool { return l.Attempt == 2 && l.Attempts == 6 && !l.Until.IsZero() },
	},
	esm.WaitSlot: {
		do: func(w *world, _ string) {
			w.functions.change(func() { w.functions.limit = 0 })
			synctest.Wait() // or the nudge of the change comes after the first attempt, and makes a second
			w.put("k", "1")
			w.pass(500 * time.Millisecond)
		},
		lane: func(l *esm.LaneState) bool { return l.Attempt == 1 && l.Refusals == 1 && !l.Until.IsZero() },
	},
	esm.WaitService: {
		do: func(w *world, _ string) {
			w.functions.change(func() { w.functions.missing = true })
			synctest.Wait() // or the nudge of the change comes after the first attempt, and makes a second
			w.put("k", "1")
			w.pass(500 * time.Millisecond)
		},
		lane: func(l *esm.LaneState) bool { return l.Refusals == 1 && !l.Until.IsZero() },
	},
	esm.WaitDelivery: {
		knobs: mapping.Knobs{MaxRetries: p(int64(0)), Destination: &mapping.DestinationConfig{OnFailure: deadARN}},
		do: func(w *world, _ string) {
			w.functions.handle = poisoned("1")
			held := make(chan struct{})
			w.notice.Store(&held)
			w.put("k", "1")
			w.pass(time.Second)
		},
		lane: func(l *esm.LaneState) bool { return l.Attempt == 1 && l.Attempts == 1 && l.Tries == 0 },
	},
	esm.WaitDestination: {
		knobs: mapping.Knobs{
			MaxRetries: p(int64(0)), Destination: &mapping.DestinationConfig{OnFailure: deadARN + "-missing"},
		},
		do: func(w *world, _ string) {
			w.functions.handle = poisoned("1")
			w.put("k", "1")
			w.pass(500 * time.Millisecond)
		},
		lane: func(l *esm.LaneState) bool { return l.Tries == 1 && !l.Until.IsZero() },
	},
	esm.WaitSave: {
		do: func(w *world, _ string) {
			w.coord.fail(failing("commit", "checkpoint/"))
			w.put("k", "1")
			w.pass(2 * time.Second)
			w.put("k", "2")
			w.pass(time.Millisecond)
		},
		lane: func(l *esm.LaneState) bool { return l.Ahead == 1 },
		shard: func(sh *engine.ShardStatus) bool {
			return sh.Machine.Saved < sh.Machine.Low && !sh.Machine.Again.IsZero()
		},
	},
	esm.WaitReread: {
		do: func(w *world, _ string) {
			w.functions.handle = poisoned("1")
			w.put("k", "1", "2")
			w.pass(500 * time.Millisecond)
			w.restartWith(func(s source.Source) source.Source { return unreadable{s} })
			w.pass(time.Second)
		},
		lane:  func(l *esm.LaneState) bool { return l.Batch == 1 && l.Attempt == 2 && l.ID.Last > l.ID.First },
		shard: func(sh *engine.ShardStatus) bool { return !sh.Machine.ReadAgain.IsZero() && sh.Machine.LastEnd == 0 },
	},
	esm.WaitEnd: {
		knobs: mapping.Knobs{ParallelizationFactor: p(int64(2))},
		do: func(w *world, uuid string) {
			w.hang("")
			w.disable(uuid)
			w.pass(time.Second)
		},
		shard: func(sh *engine.ShardStatus) bool { return sh.Phase == esm.PhaseEnds && sh.Machine.Ending },
	},
	esm.WaitTumbling: {
		knobs: mapping.Knobs{TumblingWindowSeconds: p(int64(60))},
		do: func(w *world, _ string) {
			w.functions.handle = answering(func(invocation) string { return `{"state":{}}` })
			w.put("k", "1")
			w.pass(time.Second)
		},
		lane:  func(l *esm.LaneState) bool { return l.Until.Unix()%60 == 0 },
		shard: func(sh *engine.ShardStatus) bool { return sh.Machine.Window.End-sh.Machine.Window.Start == 60_000 },
	},
	esm.WaitBuffer: {
		knobs: mapping.Knobs{ParallelizationFactor: p(int64(2)), BatchSize: p(int64(1))},
		do: func(w *world, _ string) {
			w.functions.duration = time.Hour
			for range 16 {
				w.put("k", strings.Repeat("x", 1_000_000))
			}
			w.pass(time.Second)
		},
		shard: func(sh *engine.ShardStatus) bool {
			return sh.Machine.Full && sh.Machine.Bytes > 0 && !sh.Machine.Reading
		},
	},
}

func (w *world) disable(uuid string) {
	w.t.Helper()
	w.update(uuid, mapping.Knobs{Enabled: p(false)})
}

// hang puts three records into a batch whose invocation takes an hour.
func (w *world) hang(string) {
	w.functions.duration = time.Hour
	w.put("k", numbered(1, 3)...)
	w.pass(time.Second)
}

// Whatever a lane waits for, the engine says so when it is asked, with the numbers, and nothing is held up by that.
func TestStatusNamesEveryReasonToWait(t *testing.T) {
	t.Parallel()
	for reason := esm.WaitNone + 1; reason <= esm.WaitBuffer; reason++ {
		t.Run(reason.String(), func(t *testing.T) {
			t.Parallel()
			c, ok := waits[reason]
			if !ok {
				t.Fatal("no way to wait for it")
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				uuid := w.create(c.knobs)
				c.do(w, uuid)

				st := w.status(uuid)

				if len(st.Shards) != 1 || st.Shards[0].Machine == nil || st.UUID != uuid {
					t.Fatalf("status %+v", st)
				}
				sh := &st.Shards[0]
				i := slices.IndexFunc(sh.Machine.Lanes, func(l esm.LaneState) bool { return l.Wait == reason })
				if i < 0 {
					t.Fatalf("lanes %+v", sh.Machine.Lanes)
				}
				if l := &sh.Machine.Lanes[i]; c.lane != nil && !c.lane(l) || l.Since.IsZero() {
					t.Errorf("lane %+v", *l)
				}
				if c.shard != nil && !c.shard(sh) {
					t.Errorf("shard %+v with %+v", *sh, *sh.Machine)
				}
				w.release()
			})
		})
	}
}

// release ends what a test has made to last.
func (w *world) release() {
	if held := w.notice.Load(); held != nil {
		close(*held)
		w.pass(time.Second)
	}
	w.coord.fail(nil)
}

// A machine that is taken out of service answers with the reason; the others with what they do.
func TestStatusOfAParkedMachine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.restartWith(func(s source.Source) source.Source { return miscounting{s, 0} })
		uuid := w.create(mapping.Knobs{})
		for i := range 20 {
			w.put(fmt.Sprint("key", i), fmt.Sprint(i))
		}
		w.pass(time.Minute)

		st := w.status(uuid)

		parked, other := &st.Shards[0], &st.Shards[1]
		if parked.Machine != nil || !strings.Contains(parked.Parked, "the core counted") || parked.Problem == "" {
			t.Errorf("the parked shard is %+v", *parked)
		}
		if other.Parked != "" || other.Problem != "" || other.Machine == nil || other.Machine.Low == 0 {
			t.Errorf("the other is %+v", *other)
		}
		w.atRest("asked")
	})
}

// Shards that no machine runs say what they wait for.
func TestStatusOfShardsThatDoNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		w.hang("")
		streamtest.Split(t, w.streams, orders, 0)
		w.pass(time.Second)
		st := w.status(uuid)
		if len(st.Shards) != 3 || st.Shards[0].Phase != esm.PhaseRuns || st.Shards[0].Machine == nil {
			t.Fatalf("status %+v", st)
		}
		for _, child := range st.Shards[1:] {
			waits := child.Phase == esm.PhaseParents && slices.Equal(child.Parents, []record.ShardID{0})
			if !waits || child.Machine != nil {
				t.Errorf("a child is %+v", child)
			}
		}

		w.disable(uuid)
		w.pass(2 * time.Hour)
		for _, sh := range w.status(uuid).Shards {
			if sh.Phase != esm.PhaseOff {
				t.Errorf("shard %d of a disabled mapping: %s", sh.Shard, sh.Phase)
			}
		}
	})
}

// sticky is a source that does not say what its oldest record is before hold is closed.
type sticky struct {
	source.Source
	hold chan struct{}
}

func (s sticky) Oldest(ctx context.Context, shard record.ShardID) (record.Position, error) {
	<-s.hold
	return s.Source.Oldest(ctx, shard)
}

// A machine that is busy is not waited for longer than a second, and the others have answered by then.
func TestStatusDoesNotWaitForABusyMachine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		hold := make(chan struct{})
		w.restartWith(func(s source.Source) source.Source { return sticky{s, hold} })
		uuid := w.create(mapping.Knobs{BatchingWindowSeconds: p(int64(5))})
		w.put("k", "1")
		w.pass(10 * time.Second) // the end of the window makes the shard ask what retention has taken
		began := time.Now()

		st := w.status(uuid)

		if took := time.Since(began); took != time.Second || len(st.Shards) != 1 || st.Shards[0].Machine != nil {
			t.Errorf("after %s: %+v", took, st)
		}
		close(hold)
		w.pass(time.Minute)
		w.atRest("busy")
	})
}

// What is not there has no status, and what does not answer is not waited for.
func TestStatusEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		if _, err := w.engine.Status(t.Context(), "none"); fault.CodeOf(err) != engine.CodeNoMapping {
			t.Errorf("an unknown mapping: %v", err)
		}
		hold := make(chan struct{})
		w.coord.fail(func(call, key string) bool {
			if call == "get" && strings.HasPrefix(key, "checkpoint/") {
				<-hold
			}
			return false
		})
		uuid := w.create(mapping.Knobs{})
		began := time.Now()
		_, err := w.engine.Status(t.Context(), uuid)
		if took := time.Since(began); err == nil || took != time.Second {
			t.Errorf("a runner that is held up: %v after %s", err, took)
		}
		close(hold)
		w.atRest("held up")

		w.engine.Stop(t.Context())
		if _, err := w.engine.Status(t.Context(), uuid); err == nil {
			t.Error("an engine that has stopped has a status")
		}
	})
}
