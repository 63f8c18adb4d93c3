package engine_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/stream"
	"github.com/shardmill/shardmill/stream/streamtest"
)

func (w *world) split(id record.ShardID) { streamtest.Split(w.t, w.streams, orders, id) }

func (w *world) merge(low, high record.ShardID) { streamtest.Merge(w.t, w.streams, orders, low, high) }

func (w *world) rescale(n int) {
	w.t.Helper()
	_, err := w.streams.UpdateShardCount(w.t.Context(), orders, n)
	w.must(err)
}

// lineage returns the parents of every shard.
func (w *world) lineage() map[string][]string {
	w.t.Helper()
	info, err := w.streams.Lookup(w.t.Context(), orders)
	w.must(err)
	parents := map[string][]string{}
	for _, s := range info.Shards {
		for _, p := range []*record.ShardID{s.Parent, s.AdjacentParent} {
			if p != nil {
				parents[s.ID.String()] = append(parents[s.ID.String()], p.String())
			}
		}
	}
	return parents
}

// descends checks that no invocation of a shard began before the last one of any shard above it had ended; lasts is how
// long an invocation takes.
func (w *world) descends(lasts time.Duration) {
	w.t.Helper()
	parents := w.lineage()
	first, last := map[string]time.Time{}, map[string]time.Time{}
	for _, c := range w.functions.seen() {
		if first[c.shard].IsZero() {
			first[c.shard] = c.at
		}
		last[c.shard] = c.at.Add(lasts)
	}
	for shard := range first {
		above := slices.Clone(parents[shard])
		for len(above) > 0 {
			up := above[0]
			above = append(above[1:], parents[up]...)
			if first[shard].Before(last[up]) {
				w.t.Errorf("%s is invoked at %s, while %s above it ends at %s", shard, first[shard], up, last[up])
			}
		}
	}
}

// S-38, S-39 and S-40 over chains: a shard is split, its half is split again and merged, and the whole stream is
// rescaled, all while the first batch is in flight. No record of a shard is invoked before all shards above it are
// settled, shards that were closed within the rescale cause no invocation, every record is delivered, and each key
// keeps its order.
func TestChainsOfReshards(t *testing.T) {
	t.Parallel()
	for name, factor := range map[string]int64{"factor 1": 1, "factor 3": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				defer w.close()
				w.functions.duration = 10 * time.Second
				w.create(mapping.Knobs{BatchSize: p(int64(3)), ParallelizationFactor: p(factor)})
				n := 0
				put := func() {
					n++
					for k := range 12 {
						w.put(fmt.Sprint("k", k), fmt.Sprintf("k%d %d", k, n))
					}
				}
				put()
				synctest.Wait() // the first batches are in flight
				w.split(0)      // 2, 3
				put()
				w.split(2) // 4, 5
				w.merge(5, 3)
				put()
				w.merge(6, 1)
				put()
				w.rescale(3)
				w.rescale(5)
				put()
				w.rescale(4)
				put()
				w.pass(30 * time.Minute)

				w.complete(12 * n)
				w.descends(w.functions.duration)
				if !w.engine.Idle() {
					t.Error("something is under way")
				}
			})
		})
	}
}

// complete checks that want records "KEY NUMBER" were delivered, each key's in order when repeats are left out.
func (w *world) complete(want int) {
	w.t.Helper()
	next := map[string]int{}
	seen := map[string]bool{}
	for _, d := range w.functions.delivered() {
		if seen[d] {
			continue
		}
		seen[d] = true
		key, number, _ := strings.Cut(d, " ")
		if i, err := strconv.Atoi(number); err != nil || i != next[key]+1 {
			w.t.Fatalf("%q is delivered after %d", d, next[key])
		}
		next[key]++
	}
	if len(seen) != want {
		w.t.Errorf("%d records were delivered, want %d", len(seen), want)
	}
}

// S-39: a child of a merge waits for both parents, of which one is stuck on a poison record.
func TestAMergedShardWaitsForBothParents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.functions.handle = poisoned("bad")
		w.create(mapping.Knobs{BatchSize: p(int64(1)), MaxRetries: p(int64(12))})
		w.put("a", "one") // shard 0
		w.put("b", "bad") // shard 1
		w.merge(0, 1)
		w.put("a", "two")
		w.put("b", "three")
		w.pass(5 * time.Minute)
		if got := w.functions.delivered(); slices.Contains(got, "two") || slices.Contains(got, "three") {
			t.Errorf("delivered before both parents were settled: %v", got)
		}
		w.pass(10 * time.Minute)
		if got := w.functions.delivered(); !slices.Equal(got[len(got)-2:], []string{"two", "three"}) {
			t.Errorf("delivered %v", got)
		}
	})
}

// S-40: a LATEST mapping and a split later; children get records at once. No child record is lost: not if the mapping
// runs, nor if it is disabled or its engine is down in the meantime, and over a whole chain.
func TestLatestOverAReshard(t *testing.T) {
	t.Parallel()
	for _, meanwhile := range []string{"running", "disabled", "stopped"} {
		t.Run(meanwhile, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.put("k0", "old")
				m, _, err := w.mappings.Create(t.Context(), caller, mapping.CreateInput{
					Knobs: mapping.Knobs{FunctionName: p("f")}, EventSourceARN: p(orders.ARN()),
					StartingPosition: p(mapping.Latest),
				})
				w.must(err)
				synctest.Wait()
				enable := func(on bool) {
					_, _, err := w.mappings.Update(t.Context(), caller, m.UUID, mapping.UpdateInput{
						Knobs: mapping.Knobs{Enabled: p(on)},
					})
					w.must(err)
					w.pass(time.Minute)
				}
				switch meanwhile {
				case "disabled":
					enable(false)
				case "stopped":
					w.engine.Stop(t.Context())
				}
				put := func(i int) {
					for k := range 8 {
						w.put(fmt.Sprint("k", k), fmt.Sprintf("k%d %d", k, i))
					}
				}
				put(1)
				w.split(0)
				put(2)
				w.rescale(3)
				put(3)
				switch meanwhile {
				case "disabled":
					enable(true)
				case "stopped":
					w.start()
				}
				w.pass(time.Minute)
				w.complete(3 * 8)
			})
		})
	}
}

// S-38: a shard closes while its batch is in flight, fails, and is bisected: its children wait for the last half.
func TestAShardClosesWithABatchInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.functions.duration = 20 * time.Second
		w.functions.handle = poisoned("k0 3")
		w.create(mapping.Knobs{
			Bisect: p(true), MaxRetries: p(int64(1)),
			Destination: &mapping.DestinationConfig{OnFailure: deadARN},
		})
		w.put("k0", "k0 1", "k0 2", "k0 3", "k0 4")
		synctest.Wait()
		w.pass(time.Second)
		w.split(0)
		w.put("k0", "k0 5")
		w.put("k1", "k1 1")
		w.pass(10 * time.Minute)

		w.complete(6)
		w.descends(w.functions.duration)
		if n := len(w.notices()); n != 1 {
			t.Errorf("%d notices", n)
		}
	})
}

// S-93 over a rescale: windows of shards that close get a final invocation, those of shards that were closed within the
// rescale none, and the new shards begin the same wall-clock window with {}.
func TestARescaleEndsWindows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		defer w.close()
		w.functions.handle = summing
		w.create(mapping.Knobs{TumblingWindowSeconds: p(int64(300))})
		w.pass(10 * time.Second)
		for k := range 16 {
			w.put(fmt.Sprint("k", k), fmt.Sprintf("k%d 1", k))
		}
		w.pass(10 * time.Second)
		w.rescale(3)
		for k := range 16 {
			w.put(fmt.Sprint("k", k), fmt.Sprintf("k%d 2", k))
		}
		w.pass(10 * time.Minute)

		w.complete(32)
		w.descends(w.functions.duration)
		begun, ended, sum := map[string]int{}, map[string]int{}, 0
		for _, c := range w.functions.seen() {
			if begun[c.shard] == 0 && string(c.state) != "{}" {
				t.Errorf("%s begins with %s", c.shard, c.state)
			}
			begun[c.shard]++
			if c.final {
				ended[c.shard]++
				sum += c.count()
			}
		}
		// 4, 5, 7 and 8 are opened and closed within the rescale
		if got := slices.Sorted(maps.Keys(begun)); len(got) != 7 {
			t.Errorf("invoked are %v", got)
		}
		for shard := range begun {
			if ended[shard] != 1 {
				t.Errorf("%s has %d final invocations", shard, ended[shard])
			}
		}
		if sum != 32 {
			t.Errorf("the final states count %d records", sum)
		}
	})
}

// Checkpoints of shards that have expired are forgotten over a chain, those that never held records included.
func TestTheCheckpointsOfAChainAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 4)
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		w.put("a", "a 1")
		w.rescale(3)
		w.rescale(4)
		w.pass(30 * time.Hour)
		w.put("a", "a 2")
		w.pass(time.Minute)

		info, err := w.streams.Lookup(t.Context(), orders)
		w.must(err)
		if len(info.Shards) != 4 {
			t.Fatalf("%d shards are listed", len(info.Shards))
		}
		for _, id := range w.keptShards(uuid) {
			n, err := strconv.Atoi(id)
			w.must(err)
			if _, listed := info.Shard(record.ShardID(n)); !listed {
				t.Errorf("a checkpoint of shard %d is kept", n)
			}
		}
		if starts := w.state(uuid).Starts; len(starts) > 4 {
			t.Errorf("starts are kept of %v", starts)
		}
		w.complete(2)
	})
}

// S-42 when the horizon moves because the retention period is made shorter: a mapping that reads behind it goes on at
// the oldest surviving record, without an error, whether it is stuck on a batch or disabled.
func TestAShorterRetentionMovesAReader(t *testing.T) {
	t.Parallel()
	for name, disabled := range map[string]bool{"stuck on a batch": false, "disabled": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.must(w.streams.IncreaseRetention(t.Context(), orders, 48))
				w.functions.handle = func(invocation) function.Result { return failure() }
				uuid := w.create(mapping.Knobs{BatchSize: p(int64(1)), Enabled: p(!disabled)})
				w.put("a", "a 1", "a 2")
				w.pass(30 * time.Hour)
				w.put("a", "a 3")
				w.pass(time.Hour)
				if n := w.total(metric.RetentionLosses, metric.MappingUUID, uuid); n.Sum != 0 {
					t.Errorf("%g losses within 48 hours", n.Sum)
				}

				w.must(w.streams.DecreaseRetention(t.Context(), orders, 24))
				w.pass(20 * time.Minute)
				w.functions.change(func() { w.functions.handle, w.functions.calls = nil, nil })
				if disabled {
					w.update(uuid, mapping.Knobs{Enabled: p(true)})
				}
				w.pass(20 * time.Minute)

				if got := w.functions.delivered(); !slices.Equal(got, []string{"a 3"}) {
					t.Errorf("delivered %v", got)
				}
				if n := w.total(metric.RetentionLosses, metric.MappingUUID, uuid); n.Sum == 0 {
					t.Error("the loss is not counted")
				}
				if m := w.state(uuid); m.State != mapping.Enabled || strings.HasPrefix(m.LastResult, "PROBLEM") {
					t.Errorf("%s, %s", m.State, m.LastResult)
				}
			})
		})
	}
}

// Whatever is done to shards, mapping and engine, in whatever order, and wherever it meets work in flight: every record
// is delivered, and keys keep their order through all generations.
func TestAnyStoryOfReshardsIsDelivered(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { reshardStory(t, seed) })
		})
	}
}

func reshardStory(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(t, 1+rng.IntN(4))
	defer w.close()
	w.functions.duration = time.Duration(1+rng.IntN(3000)) * time.Millisecond
	failing := rand.New(rand.NewPCG(seed, 8))
	w.functions.handle = func(invocation) function.Result {
		w.functions.mu.Lock()
		defer w.functions.mu.Unlock()
		if failing.IntN(6) == 0 {
			return failure()
		}
		return ok()
	}
	knobs := func() mapping.Knobs {
		return mapping.Knobs{
			BatchSize: p(int64(1 + rng.IntN(8))), ParallelizationFactor: p(int64(1 + rng.IntN(4))),
			Bisect: p(rng.IntN(2) == 0),
		}
	}
	uuid := w.create(knobs())
	const keys = 10
	next := make([]int, keys)
	for range 60 {
		switch rng.IntN(9) {
		case 0, 1, 2, 3:
			for range 1 + rng.IntN(8) {
				k := rng.IntN(keys)
				next[k]++
				w.put(fmt.Sprint("k", k), fmt.Sprintf("k%d %d", k, next[k]))
			}
		case 4:
			w.meddle(rng)
		case 5:
			w.rescaleSome(rng)
		case 6:
			w.pass(time.Duration(rng.IntN(10_000)) * time.Millisecond)
		case 7:
			_, _, err := w.mappings.Update(t.Context(), caller, uuid, mapping.UpdateInput{Knobs: knobs()})
			w.must(err)
			w.pass(time.Second)
		case 8:
			w.engine.Stop(t.Context())
			w.start()
		}
	}
	w.functions.change(func() { w.functions.handle = nil })
	w.pass(time.Hour)
	want := 0
	for _, n := range next {
		want += n
	}
	w.complete(want)
	if !w.engine.Idle() {
		t.Error("something is under way")
	}
}

// meddle splits an open shard or merges two.
func (w *world) meddle(rng *rand.Rand) {
	w.t.Helper()
	info, err := w.streams.Lookup(w.t.Context(), orders)
	w.must(err)
	open := openShards(info)
	i := rng.IntN(len(open))
	if len(open) < 9 && rng.IntN(2) == 0 {
		w.split(open[i].ID)
	} else if i+1 < len(open) {
		w.merge(open[i].ID, open[i+1].ID)
	}
}

func (w *world) rescaleSome(rng *rand.Rand) {
	w.t.Helper()
	info, err := w.streams.Lookup(w.t.Context(), orders)
	w.must(err)
	n := len(openShards(info))
	w.rescale(min(10, (n+1)/2+rng.IntN(2*n-(n+1)/2+1)))
}

// openShards returns the open shards of a stream by their ranges.
func openShards(info *stream.Info) []stream.ShardInfo {
	open := slices.DeleteFunc(slices.Clone(info.Shards), func(s stream.ShardInfo) bool { return s.Closed != 0 })
	slices.SortFunc(open, func(a, b stream.ShardInfo) int { return a.Range.Start.Compare(b.Range.Start) })
	return open
}

// countedLists counts how often the shards of a source are listed.
type countedLists struct {
	source.Source
	n *atomic.Int64
}

func (s countedLists) Shards(ctx context.Context) ([]source.Shard, error) {
	s.n.Add(1)
	return s.Source.Shards(ctx)
}

// Shards that end at once have their children started without a list for each of them: what a rescale costs grows with
// the shards, not with their square.
func TestARescaleListsTheShardsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 50)
		defer w.close()
		var lists atomic.Int64
		w.restartWith(func(s source.Source) source.Source { return countedLists{s, &lists} })
		w.create(mapping.Knobs{})
		lists.Store(0)

		w.rescale(100)
		for k := range 200 {
			w.put(fmt.Sprint("k", k), fmt.Sprintf("k%d 1", k))
		}
		w.pass(time.Second)

		w.complete(200)
		if n := lists.Load(); n > 5 {
			t.Errorf("the shards were listed %d times when 50 ended", n)
		}
	})
}
