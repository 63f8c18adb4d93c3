package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/storage"
)

// A checkpoint that cannot be used stops its mapping on the shard, with what is wrong and what to do; nothing is
// skipped, delivered or written over, however often it is tried.
func TestACheckpointThatCannotBeUsedIsLeftAlone(t *testing.T) {
	t.Parallel()
	const (
		key     = "checkpoint/%s/0000000000"
		unknown = "unknown checkpoint version; it may come from a newer shardmill"
	)
	encoded := func(change func(*esm.Checkpoint)) func([]byte) []byte {
		return func(b []byte) []byte {
			cp, epoch, _, err := checkpoint.Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			change(&cp)
			return checkpoint.Append(nil, &cp, epoch)
		}
	}
	for name, c := range map[string]struct {
		damage func(value []byte) []byte
		why    string
	}{
		"cut":             {func(b []byte) []byte { return b[:2] }, "checkpoint of 2 bytes does not parse"},
		"empty":           {func([]byte) []byte { return []byte{} }, unknown},
		"of a newer one":  {func(b []byte) []byte { return append([]byte{99}, b[1:]...) }, unknown},
		"with more in it": {func(b []byte) []byte { return append(b, 0) }, "checkpoint of 16 bytes does not parse"},
		"ahead of the shard": {
			encoded(func(cp *esm.Checkpoint) { cp.Low = 1000 }),
			"it speaks of record 1000, and the next one of the shard will be 5",
		},
		"ahead by the next record": {
			encoded(func(cp *esm.Checkpoint) { cp.Low = 5 }),
			"it speaks of record 5, and the next one of the shard will be 5",
		},
		"with a window that the shard never had": {
			encoded(func(cp *esm.Checkpoint) {
				cp.Window = &esm.WindowMark{Width: time.Minute, End: 60_000, First: 3, Last: 7}
			}),
			"it speaks of record 7, and the next one of the shard will be 5",
		},
		"with a batch that the shard never had": {encoded(func(cp *esm.Checkpoint) {
			cp.Lanes = []esm.LaneMark{{Settled: 2, Plan: []esm.SegmentMark{{First: 3, Last: 7}}}}
		}), "it speaks of record 7, and the next one of the shard will be 5"},
		"with a lane that is beyond the shard": {
			encoded(func(cp *esm.Checkpoint) { cp.Lanes = []esm.LaneMark{{Settled: 7}} }),
			"it speaks of record 7, and the next one of the shard will be 5",
		},
		"at the end of an open shard": {
			encoded(func(cp *esm.Checkpoint) { cp.Ended = true }),
			"it says that the shard has ended, and the shard is open",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				w.put("k", "1", "2")
				uuid := w.create(mapping.Knobs{})
				w.pass(2 * time.Second)
				w.engine.Stop(t.Context())
				e, err := w.store.Coord().Get(t.Context(), fmt.Sprintf(key, uuid))
				w.must(err)
				damaged := c.damage(slices.Clone(e.Value))
				_, err = w.store.Coord().Commit(context.Background(), "checkpoint/"+uuid+"/", storage.Op{
					Key: fmt.Sprintf(key, uuid), Value: damaged, Expect: e.Revision,
				})
				w.must(err)
				w.put("k", "3", "4")
				w.start()
				w.pass(time.Minute)

				want := "PROBLEM: checkpoint of mapping " + uuid + " on shardId-000000000000: storage: corrupt data: " + c.why +
					". It is left as it is: run the shardmill that wrote it, or restore a backup of the data directory; " +
					"or delete this mapping and create it anew"
				for _, enabled := range []bool{true, false, true} {
					w.update(uuid, mapping.Knobs{Enabled: &enabled})
					w.pass(time.Minute)
					m := w.state(uuid)
					if (m.State == mapping.Enabled) != enabled || m.LastResult != want {
						t.Errorf("%s, last result %q\nwant %q", m.State, m.LastResult, want)
					}
				}
				if got := w.functions.delivered(); !slices.Equal(got, []string{"1", "2"}) {
					t.Errorf("delivered %v", got)
				}
				e, err = w.store.Coord().Get(t.Context(), fmt.Sprintf(key, uuid))
				if err != nil || !bytes.Equal(e.Value, damaged) {
					t.Errorf("the checkpoint was % x and is % x, %v", damaged, e.Value, err)
				}
				w.atRest("while the checkpoint cannot be used")

				_, err = w.mappings.Delete(t.Context(), caller, uuid)
				w.must(err)
				w.pass(time.Second)
				if left, err := w.store.Coord().List(t.Context(), "checkpoint/", "", 0); err != nil || len(left) > 0 {
					t.Errorf("the deleted mapping has left %v, %v", left, err)
				}
			})
		})
	}
}
