package engine_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/engine/enginetest"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/pebble"
	"github.com/shardmill/shardmill/stream"
)

var (
	ownersRounds = flag.Int("owners.rounds", 6, "how often TestTwoOwners hands shards over")
	ownersSeed   = flag.Uint64("owners.seed", 1, "what TestTwoOwners does, and when")
)

// TestTwoOwners lets two engines over one store hand shards over, in both directions and under load, for many rounds:
// planned, at once, to a taker that leaves a zombie behind, by the death of an owner; while shards are split and merged
// and the mapping is changed. A ledger outside judges: every record that was acknowledged is processed, first
// deliveries keep the order of their key, no checkpoint goes back in position or epoch or passes a record that was not
// processed. make owners N=150 runs it at length.
func TestTwoOwners(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T, *clock.Clock) storage.Store{
		"memory": func(_ *testing.T, c *clock.Clock) storage.Store { return memory.New(memory.Options{Clock: c}) },
		"pebble": func(t *testing.T, c *clock.Clock) storage.Store {
			s, err := pebble.Open(pebble.Options{
				Dir: t.TempDir(), Clock: c, MinFree: 1, Fatal: func(err error) { t.Error(err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clock.New(0)
			r := newRounds(t, open(t, c), c)
			defer r.end()
			for i := range *ownersRounds {
				r.round(i)
			}
			r.settle()
		})
	}
}

// rounds is a run of TestTwoOwners.
type rounds struct {
	*owners
	rng    *rand.Rand
	client *stream.Streams // puts, and reshards
	uuid   string
	owner  map[record.ShardID]*owner // whom the shards were given to last
	live   []*owner
	names  int

	producing chan struct{} // closed: no more puts
	produced  sync.WaitGroup
	buried    sync.WaitGroup

	mu     sync.Mutex // guards the ledger
	acked  []acked
	done   map[string]bool // processed, by data
	order  map[string]int  // by key, the record that was processed last for the first time
	calls  int
	wrong  []string
	before map[record.ShardID]checkpoint.Held
}

type acked struct {
	shard record.ShardID
	pos   record.Position
	data  string
}

const producers = 6 // each puts records of a key of its own, in order

func newRounds(t *testing.T, store storage.Store, c *clock.Clock) *rounds {
	r := &rounds{
		owners: newOwners(t, store, c, 2, "a", "b"), rng: rand.New(rand.NewPCG(*ownersSeed, 1)),
		owner: map[record.ShardID]*owner{}, producing: make(chan struct{}), done: map[string]bool{},
		order:  map[string]int{},
		before: map[record.ShardID]checkpoint.Held{},
	}
	r.functions.duration = time.Millisecond
	r.functions.handle = r.process
	r.live = slices.Clone(r.all)
	r.client = stream.New(stream.Options{Store: store, Clock: c})
	r.must(r.client.Start(t.Context()))
	m, _, err := r.all[0].mappings.Create(t.Context(), caller, mapping.CreateInput{
		Knobs:          mapping.Knobs{FunctionName: p("f"), BatchSize: p(int64(5)), ParallelizationFactor: p(int64(2))},
		EventSourceARN: p(orders.ARN()), StartingPosition: p("TRIM_HORIZON"),
	})
	r.must(err)
	r.uuid = m.UUID
	r.give(r.shards, r.live[0], nil)
	for i := range producers {
		r.produced.Go(func() { r.produce(fmt.Sprint("key", i)) })
	}
	return r
}

// give hands shards to an engine under a new epoch, and takes them from others.
func (r *rounds) give(shards []storage.Shard, to *owner, from []*owner) {
	r.owners.give(to, shards, from...)
	for _, s := range shards {
		r.owner[s.Index] = to
	}
}

// produce puts records of a key until it is told to stop, and notes where each went.
func (r *rounds) produce(key string) {
	for n := 1; ; n++ {
		select {
		case <-r.producing:
			return
		default:
		}
		data := key + " " + strconv.Itoa(n)
		placed, err := r.client.PutRecords(context.Background(), orders, []record.Record{
			{Key: key, Data: []byte(data)},
		})
		r.mu.Lock()
		if err != nil || placed[0].Fault != nil {
			r.wrong = append(r.wrong, fmt.Sprintf("put %s: %+v, %v", data, placed, err))
			r.mu.Unlock()
			return
		}
		r.acked = append(r.acked, acked{placed[0].Shard, placed[0].Pos, data})
		waiting := len(r.acked) - len(r.done)
		r.mu.Unlock()
		if waiting > 300 { // more would only make the run longer
			eventually.Within(eventually.Patience, func() (bool, string) {
				r.mu.Lock()
				defer r.mu.Unlock()
				return len(r.acked)-len(r.done) < 200, ""
			})
		}
	}
}

// process is the function. It fails now and then.
func (r *rounds) process(i invocation) function.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls++; r.calls%500 == 0 {
		return failure()
	}
	for k, key := range i.keys {
		data := i.data[k]
		if r.done[data] {
			continue
		}
		r.done[data] = true
		n, err := strconv.Atoi(data[len(key)+1:])
		if err != nil || n != r.order[key]+1 {
			r.wrong = append(r.wrong, fmt.Sprintf("%s is processed after %s %d", data, key, r.order[key]))
		}
		r.order[key] = n
	}
	return ok()
}

// some draws shards, one at least.
func (r *rounds) some() (out []storage.Shard) {
	for len(out) == 0 {
		for _, s := range r.shards {
			if r.rng.IntN(2) == 0 {
				out = append(out, s)
			}
		}
	}
	return out
}

// other returns the engine of the two that live that is not w.
func (r *rounds) other(w *owner) *owner {
	if r.live[0] == w {
		return r.live[1]
	}
	return r.live[0]
}

// round waits for some records to be processed, and then changes who owns what.
func (r *rounds) round(i int) {
	r.more(20 + r.rng.IntN(150))
	switch kind := r.rng.IntN(10); {
	case kind < 3: // at once
		for _, s := range r.some() {
			from := r.owner[s.Index]
			r.give([]storage.Shard{s}, r.other(from), []*owner{from})
		}
	case kind < 5: // planned: the one before comes to rest first, if nothing else keeps it
		for _, s := range r.some() {
			from := r.owner[s.Index]
			from.grants.Revoke(s)
			eventually.Within(time.Second/10, func() (bool, string) { return from.engine.Idle(), "" })
			r.give([]storage.Shard{s}, r.other(from), nil)
		}
	case kind < 7: // a zombie, which is told later or never
		for _, s := range r.some() {
			from := r.owner[s.Index]
			r.give([]storage.Shard{s}, r.other(from), nil)
			if r.rng.IntN(2) == 0 {
				r.more(20)
				from.grants.Revoke(s)
			}
		}
	case kind < 8:
		r.reshard()
	case kind < 9:
		r.configure(i)
	default:
		r.kill(r.live[r.rng.IntN(2)])
	}
	r.audit()
}

// more waits until so many more records are processed.
func (r *rounds) more(n int) {
	r.t.Helper()
	done := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.done)
	}
	until := done() + n
	eventually.Reaches(r.t, "more records", func() (bool, string) {
		return done() >= until || r.failed(), fmt.Sprintf("%d of %d", done(), until)
	})
}

func (r *rounds) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.wrong) > 0
}

// kill ends an engine as a crash does, gives its shards to the other, and starts another one in its place.
func (r *rounds) kill(w *owner) {
	w.cut.die()
	r.buried.Go(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		w.engine.Stop(now)
		w.streams.Stop()
	})
	heir := r.other(w)
	var orphans []storage.Shard
	for _, s := range r.shards {
		if r.owner[s.Index] == w {
			orphans = append(orphans, s)
		}
	}
	if w.grants.Decides("") {
		heir.grants.Decide(true)
	}
	r.all = slices.DeleteFunc(r.all, func(x *owner) bool { return x == w })
	if len(orphans) > 0 {
		r.give(orphans, heir, nil)
	}
	r.names++
	r.live = []*owner{heir, r.begin(fmt.Sprint("c", r.names), &enginetest.Grants{})}
}

// reshard splits a shard or merges all that are open in two steps, and gives the children to whomever.
func (r *rounds) reshard() {
	info, err := r.client.Lookup(r.t.Context(), orders)
	r.must(err)
	var open []stream.ShardInfo
	for _, s := range info.Shards {
		if s.Closed == 0 {
			open = append(open, s)
		}
	}
	slices.SortFunc(open, func(a, b stream.ShardInfo) int { return a.Range.Start.Compare(b.Range.Start) })
	at := r.rng.IntN(len(open))
	if len(open) > 3 {
		at = min(at, len(open)-2)
		whole := record.HashKeyRange{Start: open[at].Range.Start, End: open[at+1].Range.End}
		r.must(r.client.Reshard(r.t.Context(), orders, []record.ShardID{open[at].ID, open[at+1].ID},
			[]record.HashKeyRange{whole}))
	} else {
		left, right := open[at].Range, open[at].Range
		middle := left.Start
		middle[1] = left.Start[1] + 0x40 // far enough from both ends for as often as shards are split here
		right.Start = middle
		left.End = before(middle)
		if left.Start.Compare(left.End) >= 0 || right.Start.Compare(right.End) >= 0 {
			return
		}
		r.must(
			r.client.Reshard(r.t.Context(), orders, []record.ShardID{open[at].ID}, []record.HashKeyRange{left, right}),
		)
	}
	info, err = r.client.Lookup(r.t.Context(), orders)
	r.must(err)
	for _, s := range info.Shards[len(r.shards):] {
		shard := storage.Shard{Stream: info.ID, Index: s.ID}
		r.shards = append(r.shards, shard)
		r.give([]storage.Shard{shard}, r.live[r.rng.IntN(2)], nil)
	}
}

// before returns the hash key before h.
func before(h record.HashKey) record.HashKey {
	for i := len(h) - 1; i >= 0; i-- {
		h[i]--
		if h[i] != 0xff {
			break
		}
	}
	return h
}

// configure changes the mapping by way of one engine's rooms; both must put it into effect.
func (r *rounds) configure(i int) {
	eventually.Holds(r.t, "the mapping takes an update", func() bool {
		knobs := mapping.Knobs{
			BatchSize: p(int64(1 + r.rng.IntN(10))), ParallelizationFactor: p(int64(1 + r.rng.IntN(3))),
		}
		_, _, err := r.live[i%2].mappings.Update(r.t.Context(), caller, r.uuid, mapping.UpdateInput{Knobs: knobs})
		return err == nil
	})
}

// audit looks at the checkpoints: none goes back, and none passes what was not processed.
func (r *rounds) audit() {
	r.t.Helper()
	now := map[record.ShardID]checkpoint.Held{}
	for _, s := range r.shards {
		now[s.Index] = r.held(r.uuid, s.Index)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, h := range now {
		was := r.before[id]
		if h.Checkpoint.Low < was.Checkpoint.Low || h.Epoch < was.Epoch || was.Checkpoint.Ended && !h.Checkpoint.Ended {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: the checkpoint goes back from %+v to %+v", id, was, h))
		}
	}
	for _, a := range r.acked {
		if a.pos <= now[a.shard].Checkpoint.Low && !r.done[a.data] {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: the checkpoint is at %d and passes %q at %d, not processed",
				a.shard, now[a.shard].Checkpoint.Low, a.data, a.pos))
		}
	}
	r.before = now
	if len(r.wrong) > 0 {
		r.t.Fatalf("seed %d: %q", *ownersSeed, r.wrong)
	}
}

// settle lets everything come to its end, and judges.
func (r *rounds) settle() {
	r.t.Helper()
	close(r.producing)
	r.produced.Wait()
	missing := func() (data []string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, a := range r.acked {
			if !r.done[a.data] {
				data = append(data, a.data)
			}
		}
		return data
	}
	eventually.Reaches(r.t, fmt.Sprintf("seed %d: every record is processed", *ownersSeed), func() (bool, string) {
		m := missing()
		return len(m) == 0 || r.failed(), fmt.Sprintf("%d are missing: %.10q", len(m), m)
	})
	eventually.Reaches(r.t, fmt.Sprintf("seed %d: closed shards end", *ownersSeed), func() (bool, string) {
		info, err := r.client.Lookup(r.t.Context(), orders)
		r.must(err)
		for _, s := range info.Shards {
			if h := r.held(r.uuid, s.ID); s.Closed != 0 && !h.Checkpoint.Ended {
				return r.failed(), fmt.Sprintf("%s is at %+v", s.ID, h)
			}
		}
		return true, ""
	})
	eventually.Holds(r.t, "the mapping is at rest", func() bool {
		m, err := r.live[0].mappings.Get(r.t.Context(), caller, r.uuid)
		return err == nil && m.State == mapping.Enabled
	})
	r.audit()
	r.mu.Lock()
	defer r.mu.Unlock()
	owned := map[string]int{}
	for _, w := range r.owner {
		owned[w.name]++
	}
	r.t.Logf("%d records in %d calls over %d shards; owned in the end: %v", len(r.acked), r.calls, len(r.shards),
		slices.Sorted(maps.Keys(owned)))
}

// end stops everything, however the run went.
func (r *rounds) end() {
	select {
	case <-r.producing:
	default:
		close(r.producing)
	}
	r.produced.Wait()
	r.buried.Wait()
	r.client.Stop()
	r.owners.end()
}

var _ engine.Functions = (*owner)(nil)
