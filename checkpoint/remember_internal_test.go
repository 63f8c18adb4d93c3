package checkpoint

import (
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// Nothing stays in memory of a checkpoint that was forgotten, with its mapping or alone, here or by another process.
func TestNothingIsRememberedOfWhatWasForgotten(t *testing.T) {
	t.Parallel()
	large := &esm.Checkpoint{Low: 9, Factor: 1, Window: &esm.WindowMark{
		Width: time.Minute, Start: 60_000, End: 120_000, First: 1, Last: 9,
		State: `{"s":"` + strings.Repeat("x", 2*maxInline) + `"}`,
	}}
	for name, forget := range map[string]func(s, other *Store) error{
		"a shard":   func(s, _ *Store) error { return s.ForgetShards(t.Context(), "m", []record.ShardID{0}) },
		"a mapping": func(s, _ *Store) error { return s.Forget(t.Context(), "m") },
		"a mapping, by another process": func(s, other *Store) error {
			if err := other.Forget(t.Context(), "m"); err != nil {
				return err
			}
			return s.Forget(t.Context(), "m") // as soon as it has heard
		},
	} {
		store := memory.New(memory.Options{Clock: clock.New(0)})
		s := New(store.Coord())
		for _, mapping := range []string{"m", "n"} {
			if _, err := s.Save(t.Context(), mapping, 0, large, 1, storage.Absent); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.parts) != 2 {
			t.Fatalf("%s: of two large states %v is remembered", name, s.parts)
		}

		if err := forget(s, New(store.Coord())); err != nil {
			t.Fatal(err)
		}

		if len(s.parts) != 1 || s.parts[key("n", 0)] == 0 {
			t.Errorf("%s: %v is remembered", name, s.parts)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Mappings are told once each, in order, however many keys each has.
func TestMappingsWithCheckpointsAreTold(t *testing.T) {
	t.Parallel()
	store := memory.New(memory.Options{Clock: clock.New(0)})
	defer func() { _ = store.Close() }()
	s := New(store.Coord())
	if got, err := s.Mappings(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	for _, mapping := range []string{"b", "a", "ab", "c"} {
		for shard := range record.ShardID(3) {
			_, err := s.Save(t.Context(), mapping, shard, &esm.Checkpoint{Factor: 1}, 1, storage.Absent)
			if err != nil {
				t.Fatal(err)
			}
		}
	}

	got, err := s.Mappings(t.Context())

	if err != nil || strings.Join(got, " ") != "a ab b c" {
		t.Errorf("%v, %v", got, err)
	}
}
