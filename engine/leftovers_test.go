package engine_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/engine/enginetest"
	"github.com/shardmill/shardmill/mapping"
)

// What an engine has claimed of a mapping that was deleted meanwhile is forgotten in the end, though it cannot be for a
// while, and though the process dies before it could: the next one finds it when it starts. Mappings that stand keep
// theirs.
func TestALateClaimIsForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(o *owners, b *owner){
		"nothing can be deleted for a while": func(_ *owners, b *owner) { b.cut.keeps.Store(false) },
		"the process dies": func(o *owners, b *owner) {
			b.cut.die()
			o.begin("c", &enginetest.Grants{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, 1, func(t *testing.T, o *owners, a, b *owner) {
				deleted := a.create(mapping.Knobs{})
				o.give(a, o.shards)
				a.put("k", "1")
				pass(time.Minute)
				b.cut.claims = make(chan struct{})
				b.cut.keeps.Store(true)
				o.give(b, o.shards, a)
				b.cut.claims <- struct{}{} // it is about to look for a checkpoint
				_, err := a.mappings.Delete(t.Context(), caller, deleted)
				o.must(err)
				pass(time.Minute) // a forgets it
				close(b.cut.claims)
				pass(time.Minute)
				stands := a.create(mapping.Knobs{})
				o.give(a, o.shards, b)
				pass(time.Minute)
				left, err := o.checkpoints.Mappings(t.Context())
				if err != nil || !slices.Equal(left, []string{deleted, stands}) {
					t.Fatalf("checkpoints of %v are left, %v", left, err)
				}

				after(o, b)
				pass(2 * time.Second)

				left, err = o.checkpoints.Mappings(t.Context())
				if err != nil || !slices.Equal(left, []string{stands}) {
					t.Errorf("checkpoints of %v are left, want those of %s, %v", left, stands, err)
				}
			})
		})
	}
}

// An engine that cannot look for them when it starts looks again.
func TestLeftoversAreLookedForUntilTheyAreFound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.engine.Stop(t.Context())
		store := checkpoint.New(w.store.Coord())
		_, err := store.Claim(t.Context(), "00000000-0000-4000-8000-000000000001", 0, 1, 0)
		w.must(err)
		w.coord.fail(failing("list", "checkpoint/"))
		w.start()
		w.pass(time.Minute)

		w.coord.fail(nil)
		w.pass(2 * time.Second)

		if left, err := store.Mappings(t.Context()); err != nil || len(left) > 0 {
			t.Errorf("checkpoints of %v are left, %v", left, err)
		}
	})
}

// While the mappings cannot be read, none of them is taken for one that is gone.
func TestNothingIsForgottenWhileMappingsCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.engine.Stop(t.Context())
		checkpoints, mappings := failing("list", "checkpoint/"), failing("list", "mapping/result/")
		w.coord.fail(checkpoints)
		w.start()
		w.coord.fail(func(call, key string) bool { return checkpoints(call, key) || mappings(call, key) })
		store, uuid := checkpoint.New(w.store.Coord()), w.create(mapping.Knobs{})
		_, err := store.Claim(t.Context(), uuid, 0, 1, 0)
		w.must(err)

		w.coord.fail(mappings)
		w.pass(time.Minute)

		if left, err := store.Mappings(t.Context()); err != nil || !slices.Equal(left, []string{uuid}) {
			t.Errorf("checkpoints of %v are left, %v", left, err)
		}
		w.coord.fail(nil)
	})
}

// A mapping that is made while an engine starts keeps its checkpoints.
func TestAnEngineThatStartsForgetsNothingThatIsNew(t *testing.T) {
	t.Parallel()
	inBubble(t, 1, func(t *testing.T, o *owners, a, _ *owner) {
		o.give(a, o.shards)
		store := &cut{Store: o.store, gone: make(chan struct{}), looks: make(chan struct{})}
		o.beginOn(store, "c", &enginetest.Grants{})
		store.looks <- struct{}{} // it has read the mappings, and is about to look
		uuid := a.create(mapping.Knobs{})
		a.put("k", "1")
		pass(time.Minute)

		close(store.looks)
		pass(time.Minute)

		if h := o.held(uuid, 0); h.Checkpoint.Low != 1 {
			t.Errorf("the checkpoint is %+v", h)
		}
	})
}
