package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// stuck is a store whose disk holds syncs of the log back on demand, so that a test decides what is in one group of the
// committer. Use it in a synctest bubble.
type stuck struct {
	*pebble.Store
	t      *testing.T
	writer storage.Writer
	mem    *vfs.MemFS
	gate   atomic.Pointer[chan struct{}]
	calls  sync.WaitGroup
}

func newStuck(t *testing.T) *stuck {
	t.Helper()
	s := &stuck{t: t, mem: vfs.NewCrashableMem()}
	inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
		if gate := s.gate.Load(); gate != nil && sync && strings.HasSuffix(op.Path, ".log") {
			<-*gate
		}
		return nil
	})
	s.Store, s.writer = made(t, pebble.Options{
		Dir: "store", FS: errorfs.Wrap(s.mem, inject), MinFree: -1, Ballast: -1,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	return s
}

// hold makes the next group wait before it is durable, until release is called, which then waits for all calls.
func (s *stuck) hold() (release func()) {
	gate := make(chan struct{})
	s.gate.Store(&gate)
	return func() {
		s.gate.Store(nil)
		close(gate)
		s.calls.Wait()
	}
}

// start makes a call that may wait, and returns when it does, or has ended.
func (s *stuck) start(call func() error) (ended *atomic.Bool) {
	ended = new(atomic.Bool)
	s.calls.Go(func() {
		if err := call(); err != nil {
			s.t.Error(err)
		}
		ended.Store(true)
	})
	synctest.Wait()
	return ended
}

func (s *stuck) set(key, value string) error {
	_, err := s.Coord().Commit(s.t.Context(), "", storage.Op{Key: key, Value: []byte(value), Expect: storage.Any})
	return err
}

func (s *stuck) note(d storage.Durability, key string) error {
	return s.Local().Apply(s.t.Context(), d, storage.LocalOp{Key: []byte(key), Value: []byte("v")})
}

// afterPowerLoss opens what is left when the power fails now and everything unsynced is lost.
func (s *stuck) afterPowerLoss() *pebble.Store {
	s.t.Helper()
	left := open(s.t, pebble.Options{Dir: "store", FS: s.mem.CrashClone(vfs.CrashCloneCfg{}), MinFree: -1, Ballast: -1})
	s.t.Cleanup(func() { _ = left.Close() })
	return left
}

// What a call has acknowledged outlives a loss of power right after it, whatever call it was.
func TestEveryAcknowledgedCallOutlivesAPowerLoss(t *testing.T) {
	t.Parallel()
	shard := storage.Shard{Stream: 1}
	bounds := func(s storage.Store, id storage.Shard) string {
		oldest, end, closed, err := s.Log().Bounds(t.Context(), id)
		return fmt.Sprint(oldest, end, closed, errors.Is(err, storage.ErrNotFound))
	}
	for name, c := range map[string]struct {
		call func(*stuck) error
		show func(storage.Store) string
		want string
	}{
		"create": {
			func(s *stuck) error { return s.Log().Create(t.Context(), storage.Shard{Stream: 2}, 7) },
			func(s storage.Store) string { return bounds(s, storage.Shard{Stream: 2}) }, "7 7 false false",
		},
		"append": {
			func(s *stuck) error { _, err := put(t, s.Store, s.writer, "x"); return err },
			func(s storage.Store) string { return bounds(s, shard) }, "1 2 false false",
		},
		"close": {
			func(s *stuck) error { _, err := s.Log().Close(t.Context(), shard); return err },
			func(s storage.Store) string { return bounds(s, shard) }, "1 1 true false",
		},
		"delete": {
			func(s *stuck) error { return s.Log().Delete(t.Context(), 1) },
			func(s storage.Store) string { return bounds(s, shard) }, "0 0 false true",
		},
		"commit": {
			func(s *stuck) error { return s.set("k", "v") },
			func(s storage.Store) string {
				e, err := s.Coord().Get(t.Context(), "k")
				return fmt.Sprintf("%s %v", e.Value, err)
			}, "v <nil>",
		},
		"apply": {
			func(s *stuck) error { return s.note(storage.Sync, "k") },
			func(s storage.Store) string {
				v, _, err := s.Local().Get([]byte("k"))
				return fmt.Sprintf("%s %v", v, err)
			}, "v <nil>",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStuck(t)
			if err := c.call(s); err != nil {
				t.Fatal(err)
			}
			if got := c.show(s.afterPowerLoss()); got != c.want {
				t.Errorf("the store holds %q, want %q", got, c.want)
			}
		})
	}
}

// A change that may become durable later does not make others of its group do so: they are durable once acknowledged.
func TestALateChangeDelaysNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		release := s.hold()
		s.start(func() error { return s.set("before", "v") })
		s.start(func() error { return s.set("k", "v") })
		s.start(func() error { return s.note(storage.Soon, "late") })
		release()

		left := s.afterPowerLoss()
		if e, err := left.Coord().Get(t.Context(), "k"); err != nil || string(e.Value) != "v" {
			t.Errorf("the commit is acknowledged, and %q is left of it, %v", e.Value, err)
		}
	})
}

// A change that may become durable later does so within about a second, although others follow all the time.
func TestLateChangesAreNotPutOffForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		for i := range 20 {
			if err := s.note(storage.Soon, fmt.Sprintf("k%02d", i)); err != nil {
				t.Fatal(err)
			}
			<-time.After(100 * time.Millisecond)
		}
		synctest.Wait()

		left := s.afterPowerLoss()
		for _, key := range []string{"k00", "k07"} {
			if _, found, err := left.Local().Get([]byte(key)); err != nil || !found {
				t.Errorf("%s is not there after more than a second: %v", key, err)
			}
		}
	})
}

// Calls that change nothing come in between: what may become durable later does so all the same.
func TestACallThatChangesNothingPutsNoLateChangeOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		if err := errors.Join(s.note(storage.Soon, "k"), s.Local().Apply(t.Context(), storage.Sync)); err != nil {
			t.Fatal(err)
		}
		<-time.After(1100 * time.Millisecond)
		synctest.Wait()

		if _, found, err := s.afterPowerLoss().Local().Get([]byte("k")); err != nil || !found {
			t.Errorf("it is not there after more than a second: %v", err)
		}
	})
}

// Pebble shows records before they are durable. A reader who needs the database, because no block is in memory, stops
// before those and waits for them at the tip.
func TestAReaderOfTheDatabaseStopsBeforeWhatIsNotDurable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		pebble.SetTailBytes(s.Store, 0)
		if _, err := put(t, s.Store, s.writer, "durable"); err != nil {
			t.Fatal(err)
		}
		release := s.hold()
		s.start(func() error { _, err := put(t, s.Store, s.writer, "in the commit"); return err })
		read := 0
		next, end, err := s.Log().Scan(
			t.Context(), s.writer.Shard, 1, storage.Limit{}, func(record.Record) { read++ },
		)
		if err != nil || read != 1 || next != 2 || end.Kind != storage.Tail {
			t.Errorf("read %d records, next %d, end %d, %v; want the durable one, and the tail", read, next, end.Kind, err)
		}
		release()
		if got := readAll(t, s.Store, s.writer.Shard); len(got) != 2 {
			t.Errorf("records %q", got)
		}
	})
}

// A shard that is created while its stream is being deleted is not there afterwards, nor after a restart: its creator
// learns that the stream is gone.
func TestNoShardIsCreatedBehindTheDeletionOfItsStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		second := storage.Shard{Stream: 1, Index: 1} // beside the first, whose group is in memory
		release := s.hold()
		s.start(func() error { return s.set("in the commit", "v") })
		s.start(func() error { return s.Log().Delete(t.Context(), 1) })
		s.start(func() error {
			if err := s.Log().Create(t.Context(), second, 0); !errors.Is(err, storage.ErrNotFound) {
				return fmt.Errorf("creating it: %w", err)
			}
			return nil
		})
		release()
		if _, _, _, err := s.afterPowerLoss().Log().Bounds(t.Context(), second); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("after a restart: %v", err)
		}
	})
}

// A caller who leaves while the commit is under way waits for its outcome, since the committer still reads the records:
// the records are there, and no later call gets the answer that was meant for it.
func TestACallerWhoLeavesWaitsForACommitUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		release := s.hold()
		ctx, leave := context.WithCancel(t.Context())
		ended := s.start(func() error {
			rs := []record.Record{{Key: "k", Data: []byte("x")}}
			err := s.Log().Append(ctx, []storage.Batch{{Writer: s.writer, Records: rs}})[0]
			if err == nil && rs[0].Pos != 1 {
				err = fmt.Errorf("acknowledged at position %d", rs[0].Pos)
			}
			return err
		})
		leave()
		synctest.Wait()
		if ended.Load() {
			t.Error("the call returned while the committer used its records")
		}
		release()
		if got := readAll(t, s.Store, s.writer.Shard); len(got) != 1 {
			t.Errorf("records %q", got)
		}
	})
}

// While small values are being written, nothing of them is read: a reader of one of them, or of a list that they belong
// in, waits until they are durable, and others do not wait.
func TestSmallValuesShowOnceTheyAreDurable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStuck(t)
		get := func(key, want string) func() error {
			return func() error {
				e, err := s.Coord().Get(t.Context(), key)
				if err == nil && string(e.Value) != want {
					err = fmt.Errorf("%s is %q, want %q", key, e.Value, want)
				}
				return err
			}
		}
		list := func(prefix string, want int) func() error {
			return func() error {
				es, err := s.Coord().List(t.Context(), prefix, "", 0)
				if err == nil && len(es) != want {
					err = fmt.Errorf("%d values under %s, want %d", len(es), prefix, want)
				}
				return err
			}
		}
		release := s.hold()
		s.start(func() error { return s.set("a/1", "v") })
		waiting := []*atomic.Bool{s.start(get("a/1", "v")), s.start(list("a/", 1)), s.start(list("", 1))}
		others := []*atomic.Bool{s.start(get("a/2", "")), s.start(get("a/", "")), s.start(list("b/", 0))}
		changed := s.Coord().Changed("a/")
		for i := range others {
			if waiting[i].Load() || !others[i].Load() {
				t.Errorf("reader %d has an answer: %t; another: %t", i, waiting[i].Load(), others[i].Load())
			}
		}
		release()
		select {
		case <-changed:
		default:
			t.Error("a reader who waits for what was being written was not woken when it showed")
		}
	})
}
