package storage_test

import (
	"errors"
	"testing"

	"github.com/shardmill/shardmill/storage"
)

// A loop that other writers keep beating ends, and one that no writer beat ends at once. In between it goes on.
func TestARaceEnds(t *testing.T) {
	t.Parallel()
	var moving storage.Race
	n := 0
	for moving.Lost(storage.Revision(n), storage.ErrConflict) == nil {
		if n++; n > 1000 {
			break
		}
	}
	if n != 100 {
		t.Errorf("a race is given up after %d others, want 100", n)
	}

	var still storage.Race
	for i, c := range []struct {
		read storage.Revision
		on   bool
	}{{1, true}, {2, true}, {2, false}} {
		err := still.Lost(c.read, storage.ErrConflict)
		if (err == nil) != c.on || !c.on && !errors.Is(err, storage.ErrConflict) {
			t.Errorf("attempt %d, over revision %d: %v", i, c.read, err)
		}
	}
}
