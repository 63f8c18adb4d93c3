package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// ofCheckpoints returns a fault of commits of checkpoints only.
func ofCheckpoints(fault storagetest.Fault) func([]storage.Op) storagetest.Fault {
	return func(ops []storage.Op) storagetest.Fault {
		if strings.HasPrefix(ops[0].Key, "checkpoint/") {
			return fault
		}
		return storagetest.None
	}
}

// Saves whose answers are lost for a while, applied or not, and whatever can be read meanwhile, are no other process:
// the shard goes on, and what was saved holds over a restart.
func TestLostAnswersOfSavesAreNoOtherProcess(t *testing.T) {
	t.Parallel()
	for name, c := range storagetest.Losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				faulty := &storagetest.Faulty{}
				w := newWorldOn(t, 1, func(c storage.Coord) storage.Coord { faulty.Coord = c; return faulty })
				defer w.close()
				uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
				w.put("k", numbered(1, 3)...)
				w.pass(5 * time.Second)

				faulty.Fail(ofCheckpoints(c.Fault))
				faulty.Unread(func(key string) bool { return c.Unread && strings.HasPrefix(key, "checkpoint/") })
				w.put("k", numbered(4, 6)...)
				w.pass(10 * time.Second)
				faulty.Fail(nil)
				faulty.Unread(nil)
				w.put("k", numbered(7, 9)...)
				w.pass(5 * time.Minute)

				if m := w.state(uuid); m.LastResult != "OK" {
					t.Errorf("last result %s", m.LastResult)
				}
				w.engine.Stop(t.Context())
				w.start()
				w.pass(time.Second)
				if got := w.functions.delivered(); !slices.Equal(got, numbered(1, 9)) {
					t.Errorf("delivered %v", got)
				}
			})
		})
	}
}

// A shard that another process has taken is let go of. Disable and enable let it be tried again.
func TestDisableAndEnableTryAFencedShardAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
		w.put("k", "1")
		w.pass(time.Second)
		entries, err := w.coord.List(t.Context(), "checkpoint/", "", 0)
		if err != nil || len(entries) != 1 {
			t.Fatal(entries, err)
		}
		_, err = w.coord.Commit(t.Context(), "checkpoint/", storage.Op{
			Key: entries[0].Key, Value: entries[0].Value, Expect: storage.Any,
		})
		w.must(err)
		w.put("k", "2", "3")
		w.pass(time.Minute)
		if m := w.state(uuid); m.LastResult != "PROBLEM: shardId-000000000000 is run by another process" {
			t.Fatalf("last result %s", m.LastResult)
		}

		for _, on := range []bool{false, true} {
			w.update(uuid, mapping.Knobs{Enabled: p(on)})
			w.pass(time.Second)
		}
		w.put("k", "4")
		w.pass(time.Minute)

		got := w.functions.delivered()
		if m := w.state(uuid); m.LastResult != "OK" || m.State != mapping.Enabled || got[len(got)-1] != "4" {
			t.Errorf("state %s, last result %s, delivered %v", m.State, m.LastResult, got)
		}
	})
}

// Everything else of a mapping that is written, too: states, results, the end.
func TestLostAnswersOfMappings(t *testing.T) {
	t.Parallel()
	for _, fault := range []storagetest.Fault{storagetest.LoseWord, storagetest.LoseIt} {
		synctest.Test(t, func(t *testing.T) {
			faulty := &storagetest.Faulty{}
			w := newWorldOn(t, 1, func(c storage.Coord) storage.Coord { faulty.Coord = c; return faulty })
			defer w.close()
			uuid := w.create(mapping.Knobs{BatchSize: p(int64(1))})
			w.put("k", "1")
			every := 0
			faulty.Fail(func([]storage.Op) storagetest.Fault { // one of two
				if every++; every%2 == 0 {
					return fault
				}
				return storagetest.None
			})
			for _, on := range []bool{false, true, false, true} {
				for try := 0; ; try++ { // what was not applied is said, and done again
					if _, _, err := w.mappings.Update(t.Context(), caller, uuid, mapping.UpdateInput{
						Knobs: mapping.Knobs{Enabled: p(on)},
					}); err == nil {
						break
					} else if try == 5 {
						t.Fatal(err)
					}
				}
				w.pass(time.Minute)
				want := mapping.Disabled
				if on {
					want = mapping.Enabled
				}
				if m := w.state(uuid); m.State != want {
					t.Fatalf("state %s, want %s", m.State, want)
				}
			}
			if _, err := w.mappings.Delete(t.Context(), caller, uuid); err != nil {
				_, err = w.mappings.Delete(t.Context(), caller, uuid)
				w.must(err)
			}
			w.pass(time.Minute)

			left, err := w.coord.List(t.Context(), "", "", 0)
			w.must(err)
			for _, e := range left {
				if strings.HasPrefix(e.Key, "mapping/") || strings.HasPrefix(e.Key, "checkpoint/") {
					t.Errorf("left: %s", e.Key)
				}
			}
		})
	}
}
