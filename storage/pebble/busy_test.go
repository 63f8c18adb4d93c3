package pebble_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// While the disk hangs, records queue up to the bound. Later appends are refused at once, every batch of the call, and
// nothing of them is written; calls without records still queue. When the disk goes on, everything accepted is there,
// in order, and appends are accepted again.
func TestRecordsAreRefusedWhileTheQueueIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		release := make(chan struct{})
		inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
			sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
			if sync && stuck.Load() && strings.HasSuffix(op.Path, ".log") {
				<-release
			}
			return nil
		})
		s, w := made(t, pebble.Options{
			Dir: "store", FS: errorfs.Wrap(vfs.NewMem(), inject), MinFree: -1, Ballast: -1,
			Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		})
		pebble.SetQueueBytes(s, 10_000)
		batch := func(name string, size int) storage.Batch {
			return storage.Batch{
				Writer: w, Records: []record.Record{{Key: "k", Data: []byte(name + strings.Repeat(".", size))}},
			}
		}
		var all sync.WaitGroup
		accepted := func(name string, size int) {
			all.Go(func() {
				if err := s.Log().Append(t.Context(), []storage.Batch{batch(name, size)})[0]; err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			synctest.Wait()
		}

		stuck.Store(true)
		accepted("in the commit", 1)
		accepted("first in the queue", 6_000)
		errs := s.Log().Append(t.Context(), []storage.Batch{batch("too much", 2_000), batch("with it", 3_000)})
		if !errors.Is(errs[0], storage.ErrBusy) || !errors.Is(errs[1], storage.ErrBusy) {
			t.Fatalf("beyond the bound: %v", errs)
		}
		accepted("fits", 3_000)
		all.Go(func() {
			if _, err := s.Coord().Commit(t.Context(), "", storage.Op{
				Key: "checkpoint", Value: make([]byte, 20_000), Expect: storage.Any,
			}); err != nil {
				t.Errorf("a checkpoint: %v", err)
			}
		})
		synctest.Wait()
		if _, err := put(t, s, w, strings.Repeat(".", 1_000)); !errors.Is(err, storage.ErrBusy) {
			t.Fatalf("still beyond the bound: %v", err)
		}

		stuck.Store(false)
		close(release)
		all.Wait()
		accepted("one record larger than the bound", 50_000) // an empty queue takes anything
		var got []string
		for _, data := range readAll(t, s, w.Shard) {
			got = append(got, strings.TrimRight(data, "."))
		}
		if want := []string{
			"in the commit", "first in the queue", "fits", "one record larger than the bound",
		}; !slices.Equal(got, want) {
			t.Fatalf("records %q, want %q", got, want)
		}
	})
}
