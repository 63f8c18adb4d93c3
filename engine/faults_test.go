package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
)

var errDisk = errors.New("the disk is on fire")

// faultyCoord is a Coord whose calls fail while fail says so. call is "get", "list" or "commit".
type faultyCoord struct {
	storage.Coord
	mu    sync.Mutex
	fault func(call, key string) bool
}

func (c *faultyCoord) fail(fault func(call, key string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

func (c *faultyCoord) err(call, key string) error {
	c.mu.Lock()
	fault := c.fault
	c.mu.Unlock()
	if fault != nil && fault(call, key) {
		return errDisk
	}
	return nil
}

func (c *faultyCoord) Get(ctx context.Context, key string) (storage.Entry, error) {
	if err := c.err("get", key); err != nil {
		return storage.Entry{}, err
	}
	return c.Coord.Get(ctx, key)
}

func (c *faultyCoord) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	if err := c.err("list", prefix); err != nil {
		return nil, err
	}
	return c.Coord.List(ctx, prefix, after, n)
}

func (c *faultyCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if err := c.err("commit", group); err != nil {
		return 0, err
	}
	return c.Coord.Commit(ctx, group, ops...)
}

// atRest fails unless nothing counts as under way.
func (w *world) atRest(when string) {
	w.t.Helper()
	synctest.Wait()
	if !w.engine.Idle() {
		w.t.Errorf("%s: something still counts as under way", when)
	}
}

// failing returns a fault for calls of one kind on keys with a prefix.
func failing(call, prefix string) func(string, string) bool {
	return func(c, key string) bool { return c == call && strings.HasPrefix(key, prefix) }
}

// A checkpoint that cannot be read stops its shard for as long as that lasts, with the reason, and no longer.
func TestUnreadableCheckpointIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", "1", "2")
		w.coord.fail(failing("get", "checkpoint/"))
		uuid := w.create(mapping.Knobs{})
		w.pass(time.Minute)
		if m := w.state(uuid); m.LastResult != "PROBLEM: The checkpoint of shardId-000000000000 cannot be read" {
			t.Errorf("last result %q", m.LastResult)
		}

		w.coord.fail(nil)
		w.pass(11 * time.Second)

		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 2)) {
			t.Errorf("delivered %v", got)
		}
		if m := w.state(uuid); m.LastResult != "OK" {
			t.Errorf("last result %q", m.LastResult)
		}
		w.atRest("after the checkpoint was read")
	})
}

// A shard that waits for its checkpoint runs nothing, so a disable, a delete and a stop have nothing to wait for.
func TestUnreadableCheckpointHoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.put("k", "1")
		w.coord.fail(failing("get", "checkpoint/"))
		uuid := w.create(mapping.Knobs{})
		w.update(uuid, mapping.Knobs{Enabled: p(false)})
		w.pass(time.Second)
		if m := w.state(uuid); m.State != mapping.Disabled {
			t.Errorf("state %s", m.State)
		}
		w.coord.fail(nil)
		w.pass(time.Minute)
		if got := w.functions.delivered(); len(got) != 0 {
			t.Errorf("delivered %v while disabled", got)
		}
	})
}

// What cannot be written or read when a mapping changes is tried again until it can.
func TestFailuresOfTheStoreAreTriedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		call, prefix string
	}{
		{"the mappings cannot be listed", "list", "mapping/"},
		{"the state cannot be recorded", "commit", "mapping/"},
		{"the checkpoints cannot be cleared", "list", "checkpoint/"},
		{"the checkpoints cannot be written", "commit", "checkpoint/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.put("k", "1")
				uuid := w.create(mapping.Knobs{})
				w.pass(time.Second)

				_, err := w.mappings.Delete(t.Context(), caller, uuid)
				w.must(err)
				w.coord.fail(failing(c.call, c.prefix)) // before the engine has moved
				w.pass(time.Minute)
				w.coord.fail(nil)
				w.pass(time.Minute)

				if _, err := w.mappings.Get(t.Context(), caller, uuid); err == nil {
					t.Error("the mapping is still there")
				}
				left, err := w.store.Coord().List(t.Context(), "checkpoint/", "", 0)
				w.must(err)
				if len(left) != 0 {
					t.Errorf("%d checkpoints left", len(left))
				}
				w.atRest("after the delete")
			})
		})
	}
}

// A report that a transition is complete is not lost with the write that failed.
func TestTransitionIsReportedOnceItCanBe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		w.update(uuid, mapping.Knobs{BatchSize: p(int64(7))})
		w.coord.fail(failing("commit", "mapping/"))
		w.pass(time.Minute)
		w.coord.fail(nil)
		if m := w.state(uuid); m.State != mapping.Updating {
			t.Fatalf("state %s", m.State)
		}
		w.pass(11 * time.Second)
		if m := w.state(uuid); m.State != mapping.Enabled {
			t.Errorf("state %s", m.State)
		}
	})
}

// A shard list that cannot be read is read again, without another change of the stream.
func TestShardListIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var fails atomic.Int64
		fails.Store(3)
		w.restartWith(func(s source.Source) source.Source { return unlistable{s, &fails} })
		w.put("k", "1")
		w.create(mapping.Knobs{})
		w.pass(10 * time.Second)
		if got := w.functions.delivered(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// unlistable is a source whose list of shards cannot be read so many times.
type unlistable struct {
	source.Source
	fails *atomic.Int64
}

func (u unlistable) Shards(ctx context.Context) ([]source.Shard, error) {
	if u.fails.Add(-1) >= 0 {
		return nil, errDisk
	}
	return u.Source.Shards(ctx)
}

// restartWith starts the engine anew, over sources as wrap shows them.
func (w *world) restartWith(wrap func(source.Source) source.Source) {
	w.engine.Stop(w.t.Context())
	w.source = wrap
	w.start()
}

// miscounting is a source that counts the payloads of one shard wrongly: a bug of ours.
type miscounting struct {
	source.Source
	in record.ShardID
}

func (m miscounting) Format(shard record.ShardID, role string) source.Format {
	f := m.Source.Format(shard, role)
	if shard == m.in {
		return oneMore{f}
	}
	return f
}

type oneMore struct{ source.Format }

func (o oneMore) Envelope() int { return o.Format.Envelope() + 1 }

// A broken invariant parks one machine. It is named, whatever the other shards come to; they go on, and the mapping can
// be deleted.
func TestBrokenMachineIsParkedAndNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.restartWith(func(s source.Source) source.Source { return miscounting{s, 0} })
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
		for i := range 20 {
			w.put(fmt.Sprint("key", i), fmt.Sprint(i))
		}
		w.pass(time.Minute)
		for _, c := range w.functions.seen() {
			if c.shard != "shardId-000000000001" {
				t.Errorf("%s is at work", c.shard)
			}
		}
		if len(w.functions.seen()) == 0 {
			t.Error("the other shard does not go on")
		}
		m := w.state(uuid)
		if !strings.HasPrefix(m.LastResult, "PROBLEM: shardId-000000000000 is parked") || m.State != mapping.Enabled {
			t.Errorf("state %s, last result %q", m.State, m.LastResult)
		}
		w.atRest("parked")

		_, err := w.mappings.Delete(t.Context(), caller, uuid)
		w.must(err)
		w.pass(time.Second)
		if _, err := w.mappings.Get(t.Context(), caller, uuid); err == nil {
			t.Error("the mapping cannot be deleted")
		}
		w.atRest("deleted")
	})
}

// A notice that the old destination refuses goes to the new one.
func TestWaitingNoticeGoesToTheNewDestination(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.handle = poisoned("1")
		uuid := w.create(mapping.Knobs{
			MaxRetries:  p(int64(0)),
			Destination: &mapping.DestinationConfig{OnFailure: "arn:aws:sqs:us-east-1:000000000000:gone"},
		})
		w.put("k", "1")
		w.pass(500 * time.Millisecond) // refused once
		w.update(uuid, mapping.Knobs{Destination: &mapping.DestinationConfig{OnFailure: deadARN}})
		w.pass(time.Minute)
		if n := len(w.notices()); n != 1 {
			t.Errorf("%d notices at the new destination", n)
		}
		if n := len(w.functions.seen()); n != 1 {
			t.Errorf("%d invocations for a batch that may be tried once", n)
		}
		w.atRest("after the notice")
	})
}

// Start and Stop may come twice, in any order, and at the same time.
func TestStartAndStopTwiceAreHarmless(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.put("k", numbered(1, 3)...)
		w.create(mapping.Knobs{})
		w.must(w.engine.Start(t.Context()))
		w.pass(time.Second)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { w.engine.Stop(t.Context()) })
		}
		both.Wait()
		w.engine.Stop(t.Context())
		w.must(w.engine.Start(t.Context()))
		w.put("k", "4")
		w.pass(time.Second)
		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 3)) {
			t.Errorf("delivered %v", got)
		}
		w.atRest("stopped")

		never := engine.New(engine.Options{
			Mappings: w.mappings, Functions: w.functions, Clock: w.clock, Destinations: destination.Table{},
		})
		never.Stop(t.Context())
	})
}

// A start that fails has begun nothing, and can be tried again.
func TestFailedStartLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.engine.Stop(t.Context())
		w.put("k", "1")
		w.coord.fail(failing("list", "mapping/"))
		e := w.newEngine()
		if err := e.Start(t.Context()); !errors.Is(err, errDisk) {
			t.Fatalf("started with %v", err)
		}
		e.Stop(t.Context())
		w.coord.fail(nil)
		w.must(e.Start(t.Context()))
		w.engine = e
		w.create(mapping.Knobs{})
		w.pass(time.Second)
		if got := w.functions.delivered(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// A stop that may not wait abandons what runs; it comes again at the next start.
func TestAbandonedStopRepeatsWhatRan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.functions.duration = time.Hour
		w.put("k", "1")
		w.create(mapping.Knobs{})
		w.pass(time.Second)
		now, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		w.engine.Stop(now)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %s", took)
		}
		w.atRest("abandoned")
		w.functions.duration = time.Millisecond
		w.start()
		w.pass(time.Second)
		if got := w.functions.delivered(); !slices.Equal(got, []string{"1", "1"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// Whatever happens to mappings, in the end nothing counts as under way: the clock could never be advanced again
// otherwise.
func TestActivityReturnsToZero(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3)
		defer w.close()
		w.functions.limit = 2
		n := 0
		w.functions.handle = func(invocation) function.Result {
			w.functions.mu.Lock()
			defer w.functions.mu.Unlock()
			if n++; n%3 == 0 {
				return failure()
			}
			return ok()
		}
		for round := range 12 {
			uuid := w.create(mapping.Knobs{
				BatchSize: p(int64(2)), ParallelizationFactor: p(int64(1 + round%10)), MaxRetries: p(int64(1)),
				Bisect:      p(round%2 == 0),
				Destination: &mapping.DestinationConfig{OnFailure: deadARN},
			})
			for i := range 40 {
				w.put(fmt.Sprint("key", i), fmt.Sprint(round, " ", i))
			}
			w.pass(time.Duration(round*7) * time.Millisecond)
			w.functions.change(func() { w.functions.role += "x" })
			w.update(uuid, mapping.Knobs{ParallelizationFactor: p(int64(10 - round%10))})
			w.pass(time.Duration(round*3) * time.Millisecond)
			w.update(uuid, mapping.Knobs{Enabled: p(false)})
			if round%2 == 0 {
				w.pass(time.Second)
			}
			_, err := w.mappings.Delete(t.Context(), caller, uuid)
			w.must(err)
			w.pass(time.Minute)
			w.atRest(fmt.Sprint("round ", round))
		}
	})
}

// closing is a Coord that can be closed: then nothing is read, and something has always changed.
type closing struct {
	storage.Coord
	closed atomic.Bool
	lists  atomic.Int64 // of mappings, while it is closed
}

func (c *closing) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	if c.closed.Load() {
		if strings.HasPrefix(prefix, "mapping/") {
			c.lists.Add(1)
		}
		return nil, storage.ErrClosed
	}
	return c.Coord.List(ctx, prefix, after, n)
}

func (c *closing) Changed(prefix string) <-chan struct{} {
	if !c.closed.Load() {
		return c.Coord.Changed(prefix)
	}
	always := make(chan struct{})
	close(always)
	return always
}

// Mappings that cannot be read are read again after a pause, however much changes meanwhile.
func TestUnreadableMappingsAreReadAgainAfterAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		coord := &closing{}
		w := newWorldOn(t, 1, func(c storage.Coord) storage.Coord {
			coord.Coord = c
			return coord
		})
		defer w.close()

		coord.closed.Store(true)
		w.pass(time.Second) // nothing has told the engine yet
		w.put("k", "1")
		_, err := coord.Commit(t.Context(), "mapping/", storage.Op{Key: "mapping/x", Expect: storage.Any})
		w.must(err)
		w.pass(time.Second)
		coord.closed.Store(false)

		if n := coord.lists.Load(); n < 5 || n > 25 {
			t.Errorf("the mappings were read %d times in a second", n)
		}
	})
}
