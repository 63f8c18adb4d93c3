package ids

import (
	"testing"

	"github.com/google/uuid"
)

// These ids mark notices and invocations as repeats, even for a process that starts after a crash: they may never
// change.
func TestNamedIdsAreTheSameForEver(t *testing.T) {
	t.Parallel()
	if got, want := Named("notice", "a", "b"), "6ab6b7d0-a860-5bd3-8aed-bf980ec0d354"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNamedIdsDoNotMixParts(t *testing.T) {
	t.Parallel()
	if Named("k", "ab", "c") == Named("k", "a", "bc") || Named("k", "") == Named("k") {
		t.Error("different parts share an id")
	}
}

func TestNewIdsAreRandomUUIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := New()
		u, err := uuid.Parse(id)
		if err != nil || u.Version() != 4 || u.Variant() != uuid.RFC4122 || u.String() != id || seen[id] {
			t.Fatalf("%q: version %d, variant %s, %v; seen before: %v", id, u.Version(), u.Variant(), err, seen[id])
		}
		seen[id] = true
	}
}
