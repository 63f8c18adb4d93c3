package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
	"github.com/shardmill/shardmill/stream/streamtest"
)

// A shard that was split and has outlived its records leaves nothing of a mapping behind: neither its checkpoint nor
// the place where the mapping started on it. Its children go on where they are, also over a restart, and a shard that
// expired while no engine ran is forgotten at the next start.
func TestExpiredShardsAreForgotten(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]bool{"while it runs": false, "while nobody runs": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				faulty := &storagetest.Faulty{}
				w := newWorldOn(t, 2, func(c storage.Coord) storage.Coord { faulty.Coord = c; return faulty })
				defer w.close()
				w.put("a", numbered(1, 3)...)
				w.put("b", numbered(4, 6)...)
				uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
				w.pass(time.Second)
				streamtest.Split(t, w.streams, orders, 0)
				w.pass(time.Second)
				if got := w.keptShards(uuid); !slices.Equal(got, []string{"0000000000", "0000000001"}) {
					t.Fatalf("checkpoints of %v", got)
				}
				if stopped {
					w.engine.Stop(t.Context())
				} else {
					faulty.FailNext(1, storagetest.LoseIt) // it is tried again
				}

				w.pass(30 * time.Hour)
				if stopped {
					w.start()
				}
				w.put("a", "7")
				w.put("b", "8")
				w.put("c", "9")
				w.pass(time.Minute)

				if got := w.keptShards(uuid); slices.Contains(got, "0000000000") ||
					!slices.Contains(got, "0000000001") {
					t.Errorf("checkpoints of %v", got)
				}
				if starts := w.state(uuid).Starts; len(starts) != 1 || starts[1] == 0 {
					t.Errorf("starts at %v", starts)
				}
				got := w.functions.delivered()
				slices.Sort(got)
				if !slices.Equal(got, numbered(1, 9)) {
					t.Errorf("delivered %v", got)
				}
			})
		})
	}
}

// So is where the mapping would have started on a shard that expired before anything was saved of it: a mapping that is
// switched off has no checkpoints.
func TestTheStartsOfExpiredShardsAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		uuid := w.create(mapping.Knobs{Enabled: p(false)})
		w.pass(time.Second)
		if starts := w.state(uuid).Starts; len(starts) != 2 {
			t.Fatalf("starts at %v", starts)
		}
		streamtest.Split(t, w.streams, orders, 0)

		w.pass(30 * time.Hour)

		starts, kept := w.state(uuid).Starts, w.keptShards(uuid)
		if len(starts) != 1 || starts[1] == 0 || len(kept) > 0 {
			t.Errorf("starts at %v, checkpoints of %v", starts, kept)
		}
	})
}

// keptShards are the shards that have a checkpoint.
func (w *world) keptShards(uuid string) (shards []string) {
	w.t.Helper()
	entries, err := w.coord.List(w.t.Context(), "checkpoint/"+uuid+"/", "", 0)
	w.must(err)
	for _, e := range entries {
		shards = append(shards, strings.TrimPrefix(e.Key, "checkpoint/"+uuid+"/"))
	}
	return shards
}

// countedCommits counts the commits that write a mapping or delete a checkpoint.
type countedCommits struct {
	storage.Coord
	n *atomic.Int64
}

func (c countedCommits) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if strings.HasPrefix(ops[0].Key, "mapping/uuid/") || strings.HasPrefix(ops[0].Key, "checkpoint/") {
		c.n.Add(1)
	}
	return c.Coord.Commit(ctx, group, ops...)
}

// Shards that expire at once are forgotten at once: what that costs grows with the shards, not with their square, of
// which a rescale makes thousands.
func TestShardsThatExpireTogetherAreForgottenTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var commits atomic.Int64
		w := newWorldOn(t, 50, func(c storage.Coord) storage.Coord { return countedCommits{c, &commits} })
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		for k := range 50 {
			w.put(fmt.Sprint("k", k), "1")
		}
		w.rescale(100)
		w.pass(time.Second)
		commits.Store(0)

		w.pass(30 * time.Hour)

		if got, n := w.keptShards(uuid), commits.Load(); len(got) != 0 || n > 5 {
			t.Errorf("checkpoints of %v after %d commits for 50 expired shards", got, n)
		}

		commits.Store(0) // and it is over with that
		for i := range int64(10) {
			w.update(uuid, mapping.Knobs{BatchSize: p(10 + i)})
			w.pass(time.Second)
		}
		if n := commits.Load(); n > 20 {
			t.Errorf("%d commits for ten updates after the shards have expired", n)
		}
	})
}

// Expired shards that cannot be forgotten are tried again after a pause that grows to ten seconds, whatever else the
// mapping does meanwhile: each of its turns comes by here.
func TestForgettingKeepsToItsPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		w.put("a", "1")
		w.put("b", "2")
		w.pass(time.Second)
		streamtest.Split(t, w.streams, orders, 0)
		w.pass(time.Second)
		var tries atomic.Int64
		w.coord.fail(func(call, key string) bool {
			if call != "commit" || !strings.HasPrefix(key, "checkpoint/") {
				return false
			}
			tries.Add(1)
			return true
		})
		w.pass(30 * time.Hour)
		if kept := w.keptShards(uuid); tries.Load() == 0 || !slices.Contains(kept, "0000000000") {
			t.Fatalf("checkpoints of %v after %d commits", kept, tries.Load())
		}

		tries.Store(0)
		for i := range int64(50) {
			w.update(uuid, mapping.Knobs{BatchSize: p(10 + i)})
			w.pass(100 * time.Millisecond)
		}

		if n := tries.Load(); n > 3 { // each asks the store once more what has become of it
			t.Errorf("%d commits in five seconds", n)
		}
		w.coord.fail(nil)
		w.pass(11 * time.Second)
		if kept := w.keptShards(uuid); slices.Contains(kept, "0000000000") {
			t.Errorf("checkpoints of %v", kept)
		}
	})
}

// tipless is a source in which the first shard expires between the list of shards and its start.
type tipless struct{ source.Source }

func (s tipless) Tip(ctx context.Context, shard record.ShardID) (record.Position, bool, error) {
	if shard == 0 {
		return 0, false, fault.New(fault.CodeNotFound, "shard 0 has expired")
	}
	return s.Source.Tip(ctx, shard)
}

// A shard that expires between the list of shards and its start is no problem of the mapping, which says nothing about
// it: reading will tell what has become of it.
func TestAShardThatExpiresAsItStartsIsNoProblem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{})
		w.put("k", "1")
		w.pass(time.Second) // and saved: a checkpoint is held against its shard

		w.restartWith(func(s source.Source) source.Source { return tipless{s} })
		w.put("k", "2")
		w.pass(time.Minute)

		if m := w.state(uuid); m.LastResult != "OK" {
			t.Errorf("last result %q", m.LastResult)
		}
		if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 2)) {
			t.Errorf("delivered %v", got)
		}
	})
}
