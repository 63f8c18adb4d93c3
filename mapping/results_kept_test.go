package mapping

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

var errDisk = errors.New("the disk is on fire")

// failingCoord is a Coord whose commits fail while fail holds an error.
type failingCoord struct {
	storage.Coord
	fail atomic.Pointer[error]
}

func (c *failingCoord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if err := c.fail.Load(); err != nil {
		return 0, *err
	}
	return c.Coord.Commit(ctx, group, ops...)
}

// shown returns the last result that a process which starts now shows.
func (b bundle) shown(t *testing.T, uuid string) string {
	t.Helper()
	m, err := reopen(b).Get(t.Context(), me, uuid)
	if err != nil {
		t.Fatal(err)
	}
	return m.LastResult
}

// A result of an earlier owner does not take the place of one of a later owner, neither while both wait to be written
// nor when the later one is written between the reading and the writing of the earlier.
func TestResultsOfEarlierOwnersComeTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		b.settle(t)
		b.SetResult(t.Context(), m.UUID, Result{Epoch: 2, Text: "second owner"})
		b.SetResult(t.Context(), m.UUID, Result{Epoch: 1, Text: "first owner"})
		if got := b.get(t, m.UUID).LastResult; got != "second owner" {
			t.Errorf("shown: %q", got)
		}
		<-time.After(resultDelay)
		synctest.Wait()

		third := reopen(b)
		b.coord.before = func() {
			third.SetResult(t.Context(), m.UUID, Result{Epoch: 3, Text: "third owner"})
			if err := third.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		b.SetResult(t.Context(), m.UUID, Result{Epoch: 2, Text: "second owner again"})
		<-time.After(2 * resultDelay)
		synctest.Wait()

		if got := b.shown(t, m.UUID); got != "third owner" {
			t.Errorf("written: %q", got)
		}
	})
}

// A result that comes while the one before is written is written next.
func TestResultsThatComeDuringAWriteAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		b.settle(t)
		b.coord.before = func() { b.SetResult(t.Context(), m.UUID, Result{Text: "second"}) }
		b.SetResult(t.Context(), m.UUID, Result{Text: "first"})
		<-time.After(2 * resultDelay)
		synctest.Wait()

		if got := b.shown(t, m.UUID); got != "second" {
			t.Errorf("written: %q", got)
		}
	})
}

// A result that conflicts with another owner's write is written next, and holds up those of no other mapping.
func TestResultsThatConflictAreWrittenLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		first := b.create(t)
		second := b.create(t, func(in *CreateInput) { in.FunctionName = new("g") })
		b.settle(t)
		b.coord.before = func() { // whichever is written first
			other := reopen(b)
			for _, m := range []*Mapping{first, second} {
				other.SetResult(t.Context(), m.UUID, Result{Epoch: 1, Text: "an earlier owner's"})
			}
			if err := other.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		b.SetResult(t.Context(), first.UUID, Result{Epoch: 2, Text: "first"})
		b.SetResult(t.Context(), second.UUID, Result{Epoch: 2, Text: "second"})
		<-time.After(resultDelay)
		synctest.Wait()
		written := 0
		for _, m := range []*Mapping{first, second} {
			if b.shown(t, m.UUID) != "an earlier owner's" {
				written++
			}
		}
		if written != 1 {
			t.Errorf("%d of two mappings are written when one was in conflict", written)
		}
		<-time.After(resultDelay)
		synctest.Wait()

		if one, two := b.shown(t, first.UUID), b.shown(t, second.UUID); one != "first" || two != "second" {
			t.Errorf("written: %q and %q", one, two)
		}
	})
}

// A result that cannot be written is written once that can be done, though no other is reported.
func TestResultsThatCannotBeWrittenAreTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		coord := &failingCoord{}
		b := setup(t, func(o *Options) { coord.Coord, o.Coord = o.Coord, coord })
		m := b.create(t)
		b.settle(t)
		coord.fail.Store(&errDisk)
		b.SetResult(t.Context(), m.UUID, Result{Text: "OK"})
		<-time.After(2 * resultDelay)
		synctest.Wait()
		coord.fail.Store(nil)
		<-time.After(resultDelay)
		synctest.Wait()

		if got := b.shown(t, m.UUID); got != "OK" {
			t.Errorf("written: %q", got)
		}
	})
}

// A problem that is over is written as such, though its text is the same.
func TestTheEndOfAProblemIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		b.settle(t)
		b.SetResult(t.Context(), m.UUID, Result{Shard: 3, Text: "it stands still", Standing: true})
		<-time.After(resultDelay)
		synctest.Wait()
		b.SetResult(t.Context(), m.UUID, Result{Shard: 3, Text: "it stands still"})
		<-time.After(resultDelay)
		synctest.Wait()

		all, err := reopen(b).All(t.Context())
		if err != nil || len(all) != 1 || len(all[0].Standing) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// What stands still is known to a process that starts.
func TestTheNextOwnerKnowsWhatStandsStill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		b.settle(t)
		b.SetResult(t.Context(), m.UUID, Result{Shard: 3, Text: "it stands still", Standing: true})
		<-time.After(resultDelay)
		synctest.Wait()

		all, err := reopen(b).All(t.Context())
		if err != nil || len(all) != 1 || all[0].Standing[record.ShardID(3)] != "it stands still" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// Close waits for a write under way: the store may be closed after it.
func TestCloseWaitsForAWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := b.create(t)
		b.settle(t)
		goOn := make(chan struct{})
		b.coord.before = func() { <-goOn }
		b.SetResult(t.Context(), m.UUID, Result{Text: "OK"})
		<-time.After(resultDelay)
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- b.Close(t.Context()) }()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("closed while a result is written")
		default:
		}
		close(goOn)
		synctest.Wait()
		if len(b.results.pending) != 0 {
			t.Errorf("pending: %v", b.results.pending)
		}
	})
}

// A report that cannot be written says so: the engine tries again, and the mapping stays in its transition.
func TestReportsThatCannotWinSaySo(t *testing.T) {
	t.Parallel()
	coord := &failingCoord{}
	b := setup(t, func(o *Options) { coord.Coord, o.Coord = o.Coord, coord })
	m := b.create(t)
	coord.fail.Store(&storage.ErrConflict)

	err := b.Settled(t.Context(), m.UUID, m.Version, Enabled)

	if !errors.Is(err, storage.ErrConflict) {
		t.Errorf("got %v", err)
	}
	coord.fail.Store(nil)
	b.settle(t)
}

// glancedCoord is a Coord whose next Get is followed by something before its caller goes on.
type glancedCoord struct {
	storage.Coord
	after func()
}

func (c *glancedCoord) Get(ctx context.Context, key string) (storage.Entry, error) {
	e, err := c.Coord.Get(ctx, key)
	if f := c.after; f != nil {
		c.after = nil
		f()
	}
	return e, err
}

// A transition that ends between the moment at which a call has seen it and the one at which it begins to wait is not
// waited for.
func TestTransitionsThatEndAsTheyAreSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		coord := &glancedCoord{}
		b := setup(t, func(o *Options) { coord.Coord, o.Coord = o.Coord, coord })
		m := b.create(t)
		coord.after = func() { b.settle(t) }
		began := time.Now()

		_, err := b.Delete(t.Context(), me, m.UUID)

		if took := time.Since(began); err != nil || took > 0 {
			t.Errorf("%v after %s", err, took)
		}
	})
}
