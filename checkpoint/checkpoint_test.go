package checkpoint_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/pebble"
)

func open(t *testing.T) storage.Coord {
	s := memory.New(memory.Options{Clock: clock.New(0)})
	t.Cleanup(func() { _ = s.Close() })
	return s.Coord()
}

func aggregated(bytes int) *esm.Checkpoint {
	return &esm.Checkpoint{Low: 9, Factor: 1, Window: &esm.WindowMark{
		Width: time.Minute, Start: 60_000, End: 120_000, First: 1, Last: 9,
		State: `{"s":"` + strings.Repeat("x", bytes-8) + `"}`,
	}}
}

func keys(t *testing.T, c storage.Coord) (names []string) {
	t.Helper()
	entries, err := c.List(t.Context(), "checkpoint/", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, strings.TrimPrefix(e.Key, "checkpoint/m/"))
	}
	return names
}

// A state of any size that a window can have comes back as it was. Up to 64 KB it lies in the checkpoint, beyond that
// in keys beside it, of which no more are left than it needs.
func TestStateOfAWindowComesBack(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		comesBack(t, open(t))
	})
	t.Run("pebble", func(t *testing.T) {
		t.Parallel()
		s, err := pebble.Open(pebble.Options{Dir: t.TempDir(), MinFree: 1, Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		comesBack(t, s.Coord())
	})
}

func comesBack(t *testing.T, coord storage.Coord) {
	s := checkpoint.New(coord)
	revision := storage.Absent
	for _, c := range []struct{ bytes, parts int }{
		{8, 0}, {64 << 10, 0}, {64<<10 + 1, 2}, {esm.MaxState, 16}, {100_000, 2}, {100, 0},
	} {
		want := aggregated(c.bytes)
		var err error
		if revision, err = s.Save(t.Context(), "m", 0, want, 3, revision); err != nil {
			t.Fatal(err)
		}

		for name, s := range map[string]*checkpoint.Store{"the same": s, "the next": checkpoint.New(coord)} {
			got, found, err := s.Load(t.Context(), "m", 0)
			if err != nil || !found || got.Revision != revision || got.Epoch != 3 {
				t.Fatalf("%d bytes, %s process: %+v, found %t, %v", c.bytes, name, got.Epoch, found, err)
			}
			if d := cmp.Diff(want, &got.Checkpoint); d != "" {
				t.Errorf("%d bytes, %s process: %.300s", c.bytes, name, d)
			}
		}
		if n := len(keys(t, coord)); n != 1+c.parts {
			t.Errorf("%d bytes: %q", c.bytes, keys(t, coord))
		}
	}
}

// A checkpoint and the state beside it change together: an owner that has been replaced changes neither.
func TestConflictLeavesTheStateAlone(t *testing.T) {
	t.Parallel()
	coord := open(t)
	old, taker := checkpoint.New(coord), checkpoint.New(coord)
	first, err := old.Save(t.Context(), "m", 0, aggregated(70_000), 1, storage.Absent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := taker.Save(t.Context(), "m", 0, aggregated(80_000), 2, first); err != nil {
		t.Fatal(err)
	}

	_, err = old.Save(t.Context(), "m", 0, aggregated(90_000), 1, first)

	if !errors.Is(err, storage.ErrConflict) {
		t.Errorf("saving over what is not there any more: %v", err)
	}
	if got, _, err := old.Load(t.Context(), "m", 0); err != nil || len(got.Checkpoint.Window.State) != 80_000 {
		t.Errorf("%d bytes, %v", len(got.Checkpoint.Window.State), err)
	}
}

// racing writes a new checkpoint between the reading of one and that of the state beside it.
type racing struct {
	storage.Coord
	race func()
}

func (r *racing) Get(ctx context.Context, key string) (storage.Entry, error) {
	e, err := r.Coord.Get(ctx, key)
	if race := r.race; race != nil {
		r.race = nil
		race()
	}
	return e, err
}

// A state is never put together from two checkpoints.
func TestLoadSeesOneMoment(t *testing.T) {
	t.Parallel()
	coord := open(t)
	writer := checkpoint.New(coord)
	revision, err := writer.Save(t.Context(), "m", 0, aggregated(70_000), 1, storage.Absent)
	if err != nil {
		t.Fatal(err)
	}
	r := &racing{Coord: coord, race: func() {
		if _, err := writer.Save(t.Context(), "m", 0, aggregated(200_000), 1, revision); err != nil {
			t.Error(err)
		}
	}}

	got, _, err := checkpoint.New(r).Load(t.Context(), "m", 0)

	if err != nil || len(got.Checkpoint.Window.State) != 200_000 || got.Revision == revision {
		t.Errorf("%d bytes at revision %d, %v", len(got.Checkpoint.Window.State), got.Revision, err)
	}
}

// What is missing of a state is not made up.
func TestMissingStateIsCorrupt(t *testing.T) {
	t.Parallel()
	coord := open(t)
	s := checkpoint.New(coord)
	if _, err := s.Save(t.Context(), "m", 0, aggregated(70_000), 1, storage.Absent); err != nil {
		t.Fatal(err)
	}
	if _, err := coord.Commit(t.Context(), "checkpoint/m/", storage.Op{
		Key: "checkpoint/m/0000000000/state/01", Expect: storage.Any,
	}); err != nil {
		t.Fatal(err)
	}

	if _, _, err := s.Load(t.Context(), "m", 0); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestForgetLeavesNothing(t *testing.T) {
	t.Parallel()
	coord := open(t)
	s := checkpoint.New(coord)
	if _, err := s.Save(t.Context(), "m", 0, aggregated(esm.MaxState), 1, storage.Absent); err != nil {
		t.Fatal(err)
	}

	if err := s.Forget(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if left := keys(t, coord); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

// A shard that has expired is forgotten with all that lies beside its checkpoint, and no other.
func TestForgetShardLeavesTheOthers(t *testing.T) {
	t.Parallel()
	coord := open(t)
	s := checkpoint.New(coord)
	for _, shard := range []record.ShardID{3, 30, 300} {
		if _, err := s.Save(t.Context(), "m", shard, aggregated(esm.MaxState), 1, storage.Absent); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.ForgetShards(t.Context(), "m", []record.ShardID{30}); err != nil {
			t.Fatal(err)
		}
	}
	left, err := s.Shards(t.Context(), "m")
	if err != nil || !slices.Equal(left, []record.ShardID{3, 300}) || len(keys(t, coord)) != 2*17 {
		t.Errorf("left %v in %d keys, %v", left, len(keys(t, coord)), err)
	}
}
