package engine_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream/streamtest"
)

// meddledSource is a source of which a test gets hold between what it has read and its return.
type meddledSource struct {
	source.Source
	afterRead   func(records int, end storage.End)
	afterShards func()
}

func (s meddledSource) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (next record.Position, end storage.End, err error) {
	n := 0
	next, end, err = s.Source.Read(ctx, shard, from, limit, func(r record.Record) {
		n++
		visit(r)
	})
	if s.afterRead != nil {
		s.afterRead(n, end)
	}
	return next, end, err
}

func (s meddledSource) Shards(ctx context.Context) ([]source.Shard, error) {
	all, err := s.Source.Shards(ctx)
	if s.afterShards != nil {
		s.afterShards()
	}
	return all, err
}

// What is put between the moment at which a read has found the tail and the one at which it begins to wait is read.
func TestRecordsPutAsAReadEndsWakeIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		var put atomic.Int64
		w.restartWith(func(s source.Source) source.Source {
			return meddledSource{Source: s, afterRead: func(records int, end storage.End) {
				if n := put.Load(); records == 0 && end.Kind == storage.Tail && n < 5 {
					put.Store(n + 1)
					w.put("k", numbered(int(n)+1, int(n)+1)...)
				}
			}}
		})

		w.create(mapping.Knobs{})
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 5)) {
			t.Errorf("delivered %v of 5", got)
		}
	})
}

// meddledCoord is a Coord of which a test gets hold between what it has listed and its return.
type meddledCoord struct {
	storage.Coord
	afterList func(prefix string, entries []storage.Entry)
}

func (c *meddledCoord) List(ctx context.Context, prefix, after string, n int) ([]storage.Entry, error) {
	entries, err := c.Coord.List(ctx, prefix, after, n)
	if c.afterList != nil {
		c.afterList(prefix, entries)
	}
	return entries, err
}

// A mapping that is made between the reading of the mappings and the moment at which the engine waits for a change is
// taken up.
func TestMappingsMadeAsTheyAreReadAreTakenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		coord := &meddledCoord{}
		w := newWorldOn(t, 1, func(c storage.Coord) storage.Coord {
			coord.Coord = c
			return coord
		})
		defer w.close()
		second := ""
		coord.afterList = func(prefix string, entries []storage.Entry) {
			// the last listing that the first one brings about
			if second == "" && prefix == "mapping/uuid/" && len(entries) == 1 &&
				bytes.Contains(entries[0].Value, []byte(`"State":"Enabled"`)) {
				m, _, err := w.mappings.Create(t.Context(), caller, mapping.CreateInput{
					Knobs: mapping.Knobs{FunctionName: p("g")}, EventSourceARN: p(orders.ARN()),
					StartingPosition: p("TRIM_HORIZON"),
				})
				w.must(err)
				second = m.UUID
			}
		}

		w.create(mapping.Knobs{})
		w.pass(time.Minute)

		if second == "" {
			t.Fatal("no second mapping was made")
		}
		if m := w.state(second); m.State != mapping.Enabled {
			t.Errorf("state %s", m.State)
		}
	})
}

// A version of a mapping that comes while its runner is too busy to be told is told later.
func TestBusyRunnersAreToldLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		goOn := make(chan struct{})
		listings := 0
		w.restartWith(func(s source.Source) source.Source {
			return meddledSource{Source: s, afterShards: func() {
				if listings++; listings == 2 {
					<-goOn
				}
			}}
		})
		uuid := w.create(mapping.Knobs{})
		streamtest.Split(t, w.streams, orders, 0)
		w.pass(time.Second) // the runner lists
		var asks sync.WaitGroup
		for range 100 {
			asks.Go(func() { _, _ = w.engine.Status(t.Context(), uuid) })
		}
		w.pass(2 * time.Second) // those who asked have gone, what they asked fills the inbox
		asks.Wait()

		w.update(uuid, mapping.Knobs{BatchSize: p(int64(7))})
		w.pass(time.Second)
		close(goOn)
		w.pass(time.Second)

		if m := w.state(uuid); m.State != mapping.Enabled {
			t.Errorf("state %s", m.State)
		}
	})
}

// heldTracer stops a machine before it takes its release.
type heldTracer struct{ goOn chan struct{} }

func (h heldTracer) Given(_ time.Time, ev esm.Event) {
	if _, ok := ev.(esm.Release); ok {
		<-h.goOn
	}
}

func (heldTracer) Wanted([]esm.Command) {}

// What a read has reserved is given back though its records come too late for the machine that asked for them.
func TestReadsThatNoMachineTakesReserveNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.engine.Stop(t.Context())
		w.budget = 64 << 20
		machine, reads := make(chan struct{}), make(chan struct{})
		w.trace = func(engine.Machine) engine.Tracer { return heldTracer{machine} }
		w.source = func(s source.Source) source.Source {
			return meddledSource{Source: s, afterRead: func(records int, _ storage.End) {
				if records > 0 {
					<-reads
				}
			}}
		}
		w.start()
		uuid := w.create(mapping.Knobs{})
		w.put("k", "1")
		w.pass(time.Second)
		if w.engine.Buffered() == 0 {
			t.Fatal("a read under way has reserved nothing")
		}
		w.update(uuid, mapping.Knobs{Enabled: p(false)})
		w.pass(time.Second) // the machine is about to take its release

		close(reads)
		w.pass(time.Second) // what was read waits behind it
		close(machine)
		w.pass(time.Second)

		if m, n := w.state(uuid), w.engine.Buffered(); m.State != mapping.Disabled || n != 0 {
			t.Errorf("state %s, %d bytes are still reserved", m.State, n)
		}
	})
}

// A read that was replaced while it ran gives back what it has reserved, whatever it has found.
func TestReadsThatAreReplacedReserveNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.engine.Stop(t.Context())
		w.budget = 64 << 20
		first := make(chan struct{})
		var held atomic.Bool
		w.source = func(s source.Source) source.Source {
			return meddledSource{Source: s, afterRead: func(records int, _ storage.End) {
				if records > 0 && held.CompareAndSwap(false, true) {
					<-first
				}
			}}
		}
		w.start()
		uuid := w.create(mapping.Knobs{})
		w.put("k", "1")
		w.pass(time.Second)
		w.update(uuid, mapping.Knobs{ParallelizationFactor: p(int64(3))})
		w.pass(time.Second) // another read takes the place of the one that is held
		close(first)
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, []string{"1"}) {
			t.Errorf("delivered %v", got)
		}
		if n := w.engine.Buffered(); n != 0 {
			t.Errorf("%d bytes are still reserved, and nothing is held or read", n)
		}
	})
}

// A new role of the function is in the payloads from then on.
func TestPayloadsNameTheRoleOfToday(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.create(mapping.Knobs{})
		w.put("k", "1")
		w.pass(time.Second)
		const role = "arn:aws:iam::000000000000:role/another-and-longer-one"
		w.functions.change(func() { w.functions.role = role })
		w.pass(time.Second)
		w.put("k", "2")
		w.pass(time.Second)

		seen := w.functions.seen()
		if len(seen) != 2 || !strings.Contains(seen[1].payload, `"`+role+`"`) {
			t.Errorf("%d invocations, the last with %s", len(seen), seen[len(seen)-1].payload)
		}
	})
}

// The time that a release gives to attempts is its own: what is left of it when the shard has ended cuts no later run
// short.
func TestTimeOfAnEarlierReleaseEndsNoLaterRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		enabled := func(on bool) {
			t.Helper()
			w.update(uuid, mapping.Knobs{Enabled: p(on)})
			synctest.Wait()
		}
		w.functions.duration = 10 * time.Second
		w.put("k", "1")
		w.pass(time.Second)
		enabled(false) // its attempt has 30 s from here on, and takes 9
		w.pass(10 * time.Second)
		enabled(true)
		w.functions.duration = 25 * time.Second
		w.put("k", "2")
		w.pass(time.Second)
		enabled(false)
		w.pass(26 * time.Second)
		enabled(true)
		w.pass(time.Minute)

		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 2)) {
			t.Errorf("delivered %v; the second had the time that it needed", got)
		}
	})
}
