package checkpoint_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// counting counts commits.
type counting struct {
	storage.Coord
	commits int
}

func (c *counting) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	c.commits++
	return c.Coord.Commit(ctx, group, ops...)
}

// A claim rewrites the checkpoint as it is, with the state beside it, under the new epoch. From then on the owner
// before conflicts, whatever it saves, and the taker goes on.
func TestClaimFencesTheOwnerBefore(t *testing.T) {
	t.Parallel()
	for _, bytes := range []int{100, 200_000} {
		coord := open(t)
		old, taker := checkpoint.New(coord), checkpoint.New(coord)
		want := aggregated(bytes)
		first, err := old.Save(t.Context(), "m", 0, want, 1, storage.Absent)
		if err != nil {
			t.Fatal(err)
		}

		held, err := taker.Claim(t.Context(), "m", 0, 2, 77)
		if err != nil || held.Epoch != 2 || held.Revision <= first {
			t.Fatalf("claimed epoch %d at revision %d, %v", held.Epoch, held.Revision, err)
		}
		if d := cmp.Diff(want, &held.Checkpoint); d != "" {
			t.Errorf("%d bytes: %.300s", bytes, d)
		}
		if _, err := old.Save(t.Context(), "m", 0, aggregated(bytes), 1, first); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("the owner before saves: %v", err)
		}
		if got, _, err := old.Load(t.Context(), "m", 0); err != nil || got.Epoch != 2 || got.Revision != held.Revision {
			t.Errorf("epoch %d at revision %d, %v", got.Epoch, got.Revision, err)
		}
		if _, err := taker.Save(t.Context(), "m", 0, aggregated(bytes), 2, held.Revision); err != nil {
			t.Errorf("the taker saves: %v", err)
		}
	}
}

// The epoch that is written is also read: an owner of an older one gets nothing, however it asks, and changes nothing.
func TestAnOlderEpochIsRefused(t *testing.T) {
	t.Parallel()
	coord := &counting{Coord: open(t)}
	s := checkpoint.New(coord)
	if _, err := s.Claim(t.Context(), "m", 0, 5, 0); err != nil {
		t.Fatal(err)
	}
	before := coord.commits

	for name, ask := range map[string]func() (checkpoint.Held, error){
		"claim":  func() (checkpoint.Held, error) { return s.Claim(t.Context(), "m", 0, 4, 0) },
		"resume": func() (checkpoint.Held, error) { return s.Resume(t.Context(), "m", 0, 4, 0) },
	} {
		_, err := ask()
		if !errors.Is(err, storage.ErrConflict) || !strings.Contains(err.Error(), "epoch 5") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if coord.commits != before {
		t.Errorf("%d commits", coord.commits-before)
	}
}

// An owner that has claimed a shard keeps it: a second claim under the same epoch writes nothing.
func TestClaimUnderTheSameEpochWritesNothing(t *testing.T) {
	t.Parallel()
	coord := &counting{Coord: open(t)}
	s := checkpoint.New(coord)
	first, err := s.Claim(t.Context(), "m", 0, 5, 9)
	if err != nil {
		t.Fatal(err)
	}
	again, err := checkpoint.New(coord).Claim(t.Context(), "m", 0, 5, 20)
	if err != nil || coord.commits != 1 {
		t.Errorf("%d commits, %v", coord.commits, err)
	}
	if d := cmp.Diff(first, again); d != "" {
		t.Error(d)
	}
}

// Where nothing was ever settled, the claim writes where the mapping starts, so that a writer before it, which believes
// that there is nothing, conflicts.
func TestClaimOfAMissingCheckpoint(t *testing.T) {
	t.Parallel()
	for start, low := range map[int]int{0: 0, 1: 0, 42: 41} {
		coord := open(t)
		s := checkpoint.New(coord)
		held, err := s.Claim(t.Context(), "m", 3, 2, record.Position(start))
		if err != nil || held.Checkpoint.Low != record.Position(low) || held.Revision == storage.Absent {
			t.Fatalf("from %d: %+v, %v", start, held, err)
		}
		_, err = s.Save(t.Context(), "m", 3, &esm.Checkpoint{Low: 50, Factor: 1}, 1, storage.Absent)
		if !errors.Is(err, storage.ErrConflict) {
			t.Errorf("the owner before saves: %v", err)
		}
		if got, found, err := s.Load(t.Context(), "m", 3); err != nil || !found ||
			got.Checkpoint.Low != record.Position(low) {
			t.Errorf("%+v, %t, %v", got, found, err)
		}
	}
}

// An owner before that saves in between has settled something: the taker goes on from that, and no save is lost.
func TestClaimGoesOnFromTheLastSave(t *testing.T) {
	t.Parallel()
	coord := open(t)
	old := checkpoint.New(coord)
	revision, err := old.Save(t.Context(), "m", 0, &esm.Checkpoint{Low: 1, Factor: 1}, 1, storage.Absent)
	if err != nil {
		t.Fatal(err)
	}
	r := &racing{Coord: coord, race: func() {
		if _, err := old.Save(t.Context(), "m", 0, aggregated(100_000), 1, revision); err != nil {
			t.Error(err)
		}
	}}

	held, err := checkpoint.New(r).Claim(t.Context(), "m", 0, 2, 0)

	if err != nil || held.Checkpoint.Low != 9 || len(held.Checkpoint.Window.State) != 100_000 || held.Epoch != 2 {
		t.Errorf("%d, epoch %d, %v", held.Checkpoint.Low, held.Epoch, err)
	}
}

// Of two takers the one with the higher epoch has the shard, in whatever order they come.
func TestTheHigherClaimWins(t *testing.T) {
	t.Parallel()
	coord := open(t)
	s := checkpoint.New(coord)
	if _, err := s.Claim(t.Context(), "m", 0, 1, 0); err != nil {
		t.Fatal(err)
	}
	r := &racing{Coord: coord, race: func() {
		if _, err := s.Claim(t.Context(), "m", 0, 3, 0); err != nil {
			t.Error(err)
		}
	}}

	_, err := checkpoint.New(r).Claim(t.Context(), "m", 0, 2, 0)

	if !errors.Is(err, storage.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if got, _, err := s.Load(t.Context(), "m", 0); err != nil || got.Epoch != 3 {
		t.Errorf("epoch %d, %v", got.Epoch, err)
	}
}

// A claim whose answer is lost is found out about; where it cannot be, a second one finishes it, and no owner is fenced
// by their own claim.
func TestClaimWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range storagetest.Losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			coord := &storagetest.Faulty{Coord: open(t)}
			s := checkpoint.New(coord)
			if _, err := s.Save(t.Context(), "m", 0, aggregated(70_000), 1, storage.Absent); err != nil {
				t.Fatal(err)
			}

			tried := false
			coord.Fail(func([]storage.Op) storagetest.Fault { tried = true; return c.Fault })
			coord.Unread(func(string) bool { return c.Unread && tried })
			_, err := s.Claim(t.Context(), "m", 0, 2, 0)
			coord.Fail(nil)
			coord.Unread(nil)
			if errors.Is(err, storage.ErrConflict) {
				t.Fatalf("the lost one: %v", err)
			}
			held, err := s.Claim(t.Context(), "m", 0, 2, 0)
			if err != nil || held.Epoch != 2 || len(held.Checkpoint.Window.State) != 70_000 {
				t.Fatalf("the next one: epoch %d, %v", held.Epoch, err)
			}
			if _, err := s.Save(t.Context(), "m", 0, aggregated(100), 2, held.Revision); err != nil {
				t.Errorf("a save under it: %v", err)
			}
		})
	}
}

// An owner that waits for the end of a shard that another runs is woken by the save that tells it.
func TestChangedTellsOfASave(t *testing.T) {
	t.Parallel()
	s := checkpoint.New(open(t))
	changed, other := s.Changed("m", 1), s.Changed("m", 2)
	if _, err := s.Save(t.Context(), "m", 1, &esm.Checkpoint{Ended: true}, 1, storage.Absent); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("the save did not wake the one who waits")
	}
	select {
	case <-other:
		t.Error("the save of another shard woke one who does not wait for it")
	default:
	}
}

// The epoch of a directory is 1 until something is handed over, and reading it writes nothing. A raise is never given
// out twice, to whomever.
func TestEpochsAreRaisedOnce(t *testing.T) {
	t.Parallel()
	coord := &counting{Coord: open(t)}
	a, b := checkpoint.New(coord), checkpoint.New(coord)
	if epoch, err := a.Epoch(t.Context()); err != nil || epoch != 1 || coord.commits != 0 {
		t.Fatalf("epoch %d after %d commits, %v", epoch, coord.commits, err)
	}
	for want, s := range []*checkpoint.Store{2: a, 3: b, 4: b, 5: a} {
		if s == nil {
			continue
		}
		if epoch, err := s.RaiseEpoch(t.Context()); err != nil || epoch != uint64(want) {
			t.Errorf("raised to %d, want %d, %v", epoch, want, err)
		}
	}
	if epoch, err := checkpoint.New(coord).Epoch(t.Context()); err != nil || epoch != 5 {
		t.Errorf("epoch %d, %v", epoch, err)
	}
}

// A raise that did not happen is not taken for done because another process has raised to the same epoch.
func TestALostRaiseIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	for _, fault := range []storagetest.Fault{storagetest.LoseIt, storagetest.LoseWord} {
		coord := &storagetest.Faulty{Coord: open(t)}
		a, b := checkpoint.New(coord), checkpoint.New(coord.Coord)
		given := map[uint64]bool{}
		raise := func(s *checkpoint.Store) {
			if epoch, err := s.RaiseEpoch(t.Context()); err == nil {
				if given[epoch] {
					t.Errorf("%d is given out twice", epoch)
				}
				given[epoch] = true
			}
		}
		lost := false
		coord.Fail(func([]storage.Op) storagetest.Fault {
			if lost {
				return storagetest.None
			}
			lost = true
			if fault == storagetest.LoseIt {
				raise(b)
			}
			return fault
		})
		raise(a)
		raise(b)
		raise(a)
		if len(given) < 2 {
			t.Errorf("given out: %v", given)
		}
	}
}

// docs/format/checkpoint.md: a value that is no epoch is refused, so that no shard is claimed under one that is too
// low.
func TestWhatIsNoEpochIsRefused(t *testing.T) {
	t.Parallel()
	raiser := strings.Repeat("x", 16)
	for value, want := range map[string]uint64{
		"\x01\x07" + raiser: 7, "\x01\xac\x02" + raiser: 300, "": 0, "\x01": 0, "\x01\x07": 0, "\x02\x07" + raiser: 0,
		"\x01\x00" + raiser: 0, "\x01\x07x" + raiser: 0,
	} {
		coord := open(t)
		op := storage.Op{Key: "owner/epoch", Value: []byte(value), Expect: storage.Absent}
		if _, err := coord.Commit(t.Context(), "owner/", op); err != nil {
			t.Fatal(err)
		}
		epoch, err := checkpoint.New(coord).Epoch(t.Context())
		if epoch != want || (want == 0) != errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%x: %d, %v", value, epoch, err)
		}
	}
}
