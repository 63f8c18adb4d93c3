package checkpoint_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// A save whose answer is lost is found out about, whether it was applied or not, and is no conflict with the next one,
// whose owner believes in the revision before it where nothing could be found out. What is left is the last state, and
// no part of another one.
func TestSaveDoesNotConflictWithItself(t *testing.T) {
	t.Parallel()
	for name, c := range storagetest.Losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			coord := &storagetest.Faulty{Coord: open(t)}
			s := checkpoint.New(coord)
			revision, err := s.Save(t.Context(), "m", 0, aggregated(200_000), 7, storage.Absent)
			if err != nil {
				t.Fatal(err)
			}

			coord.FailNext(1, c.Fault)
			coord.Unread(func(string) bool { return c.Unread })
			lost, err := s.Save(t.Context(), "m", 0, aggregated(300_000), 7, revision)
			coord.Unread(nil)
			if errors.Is(err, storage.ErrConflict) || (err == nil) != (c.Fault == storagetest.LoseWord && !c.Unread) {
				t.Fatalf("the lost one: %v", err)
			}
			if err == nil {
				revision = lost
			}
			want := aggregated(70_000)
			revision, err = s.Save(t.Context(), "m", 0, want, 7, revision)
			if err != nil {
				t.Fatalf("the next one: %v", err)
			}

			got, _, err := s.Load(t.Context(), "m", 0)
			if err != nil || got.Revision != revision {
				t.Fatalf("%d, %v; want %d", got.Revision, err, revision)
			}
			if d := cmp.Diff(want, &got.Checkpoint); d != "" {
				t.Errorf("%.300s", d)
			}
			if n := len(keys(t, coord)); n != 3 {
				t.Errorf("keys %q", keys(t, coord))
			}
		})
	}
}

// Forgetting is carried through.
func TestForgetWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, fault := range []storagetest.Fault{storagetest.LoseWord, storagetest.LoseIt} {
		coord := &storagetest.Faulty{Coord: open(t)}
		s := checkpoint.New(coord)
		if _, err := s.Save(t.Context(), "m", 0, &esm.Checkpoint{Low: 1, Factor: 1}, 7, storage.Absent); err != nil {
			t.Fatal(err)
		}

		coord.FailNext(1, fault)

		if err := s.Forget(t.Context(), "m"); err != nil || len(keys(t, coord)) != 0 {
			t.Errorf("%v, left %q", err, keys(t, coord))
		}
	}
}
