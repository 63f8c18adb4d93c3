package pebble

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// After a recovery the next failure starts over: it is logged at once and has the shortest pause. The recovery is
// logged once.
func TestTroublesThatEndBeginAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		tr := newTroubles("store", slog.New(slog.NewTextHandler(&out, nil)))
		if err := tr.opened(); err != nil {
			t.Error(err)
		}
		for range 5 {
			tr.failed(flushing, syscall.EIO)
		}
		tr.announce(flushing, nil)
		tr.announce(flushing, nil)
		synctest.Wait()
		tr.failed(flushing, syscall.EIO)

		if n := tr.states[flushing].failures; n != 1 {
			t.Errorf("%d failures since it worked, want 1", n)
		}
		if text := out.String(); strings.Count(text, "tries again until it works") != 2 ||
			strings.Count(text, "works again") != 1 {
			t.Errorf("said:\n%s", text)
		}
	})
}

// What fails in the background of an opening may fail when that is done already. The store is not open then: what waits
// in the background waits for ever, and puts would too.
func TestAnOpeningThatHasGivenUpIsNotOpen(t *testing.T) {
	t.Parallel()
	tr := newTroubles("store", slog.New(slog.DiscardHandler))
	if !tr.giveUp(syscall.ENOSPC) {
		t.Error("the store counts as open")
	}
	if err := tr.opened(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("it has opened, %v", err)
	}
	if tr.giveUp(syscall.EIO) {
		t.Error("the store counts as not open yet")
	}
}

// Opening waits only for flushes: one that fails for any reason but space ends it at once, and a failed compaction ends
// nothing.
func TestOpeningGivesUpForFlushesOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what task
		err  error
		ends bool
	}{
		{compacting, syscall.EIO, false},
		{reading, errors.New("a table"), false},
		{flushing, syscall.ENOSPC, false},
		{flushing, syscall.EIO, true},
	} {
		tr := newTroubles("store", slog.New(slog.DiscardHandler))
		tr.failed(c.what, c.err)
		select {
		case <-tr.gaveUp:
			if !c.ends {
				t.Errorf("a %s that fails with %v ends the opening", c.what, c.err)
			}
		default:
			if c.ends {
				t.Errorf("a %s that fails with %v does not end the opening", c.what, c.err)
			}
		}
	}
}
