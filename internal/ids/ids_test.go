package ids

import "testing"

// Notices and invocations are recognised as repeats by these ids, also by a process that starts after a crash: they may never change.
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
