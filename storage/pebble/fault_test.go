package pebble_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// made returns a store with one shard and its writer.
func made(t *testing.T, o pebble.Options) (*pebble.Store, storage.Writer) {
	t.Helper()
	s := open(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := s.Log().Create(t.Context(), storage.Shard{Stream: 1}, 0); err != nil {
		t.Fatal(err)
	}
	w, _, err := s.Log().Acquire(t.Context(), storage.Shard{Stream: 1})
	if err != nil {
		t.Fatal(err)
	}
	return s, w
}

func put(t *testing.T, s *pebble.Store, w storage.Writer, data string) (record.Position, error) {
	rs := []record.Record{{Key: "k", Data: []byte(data)}}
	err := s.Log().Append(t.Context(), []storage.Batch{{Writer: w, Records: rs}})[0]
	return rs[0].Pos, err
}

func readAll(t *testing.T, s *pebble.Store, shard storage.Shard) (data []string) {
	t.Helper()
	return readAllFrom(t, s, shard, 1)
}

func readAllFrom(t *testing.T, s *pebble.Store, shard storage.Shard, from record.Position) (data []string) {
	t.Helper()
	if _, _, err := s.Log().Scan(t.Context(), shard, from, storage.Limit{}, func(r record.Record) {
		data = append(data, string(r.Data))
	}); err != nil {
		t.Fatal(err)
	}
	return data
}

// An fsync is never retried: after it failed, the kernel may have dropped the bytes and still report success for the
// next one.
func TestAFailedWriteEndsTheStoreAndLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData} {
		for at := range int32(6) {
			t.Run(fmt.Sprintf("op=%d/at=%d", kind, at), func(t *testing.T) {
				t.Parallel()
				fs := vfs.NewCrashableMem()
				var armed atomic.Bool
				var left atomic.Int32
				left.Store(at * 3)
				inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
					if armed.Load() && op.Kind == kind && strings.HasSuffix(op.Path, ".log") && left.Add(-1) == -1 {
						return errorfs.ErrInjected // once: a retry would succeed
					}
					return nil
				})
				var told atomic.Int32
				s, w := made(t, pebble.Options{
					Dir: "store", FS: errorfs.Wrap(fs, inject), Fatal: func(error) { told.Add(1) },
				})
				armed.Store(true)

				var mu sync.Mutex
				acked := map[record.Position]string{}
				var unknown atomic.Int32
				var all sync.WaitGroup
				for i := range 4 {
					all.Go(func() {
						for n := range 50 {
							data := fmt.Sprintf("%d/%d", i, n)
							p, err := put(t, s, w, data)
							if err != nil {
								if !errors.Is(err, storage.ErrClosed) {
									t.Errorf("append failed with %v", err)
								}
								if errors.Is(err, storage.ErrUnknown) {
									unknown.Add(1)
								}
								return
							}
							mu.Lock()
							acked[p] = data
							mu.Unlock()
						}
					})
				}
				all.Wait()

				if left.Load() >= 0 {
					if told.Load() != 0 {
						t.Fatal("fatal without a fault")
					}
					return // Pebble does not use this call
				}
				if told.Load() != 1 {
					t.Fatalf("fatal was told %d times, want once", told.Load())
				}
				if unknown.Load() == 0 {
					t.Error("no caller learned that the outcome of the failed write is unknown")
				}
				if _, err := put(t, s, w, "late"); !errors.Is(err, storage.ErrClosed) || !storage.Unchanged(err) {
					t.Fatalf("an append after the failure: %v", err)
				}
				if _, err := s.Coord().Get(t.Context(), "k"); !errors.Is(err, storage.ErrClosed) {
					t.Fatalf("a read after the failure: %v", err)
				}
				left2, _ := openQuietly(t, fs.CrashClone(vfs.CrashCloneCfg{}))
				there := map[string]bool{}
				for _, data := range readAll(t, left2, w.Shard) {
					there[data] = true
				}
				for p, data := range acked {
					if !there[data] {
						t.Fatalf("position %d (%s) was acknowledged and is gone", p, data)
					}
				}
			})
		}
	}
}

func openQuietly(t *testing.T, fs vfs.FS) (*pebble.Store, error) {
	t.Helper()
	s, err := pebble.Open(pebble.Options{Dir: "store", FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

// pass lets the time of a synctest bubble pass.
func pass(d time.Duration) { <-time.After(d) }

// sized is a file system in memory whose disk has a size.
type sized struct {
	vfs.FS
	free *atomic.Uint64
	asks *atomic.Int32
}

func newSized(fs vfs.FS, free uint64) sized {
	s := sized{fs, new(atomic.Uint64), new(atomic.Int32)}
	s.free.Store(free)
	return s
}

func (s sized) GetDiskUsage(string) (vfs.DiskUsage, error) {
	s.asks.Add(1)
	return vfs.DiskUsage{AvailBytes: s.free.Load(), TotalBytes: 1 << 40}, nil
}

// Below the minimum records are refused before anything is written; everything else goes on, and it recovers by itself
// within a second.
func TestRecordsAreRefusedBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := newSized(vfs.NewMem(), 100<<20)
		s, w := made(t, pebble.Options{
			Dir: "store", FS: fs, MinFree: 10 << 20, Ballast: -1, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		})
		if _, err := put(t, s, w, "enough space"); err != nil {
			t.Fatal(err)
		}
		asked := fs.asks.Load()
		for range 100 {
			if _, err := put(t, s, w, "again"); err != nil {
				t.Fatal(err)
			}
		}
		if n := fs.asks.Load() - asked; n != 0 {
			t.Fatalf("the disk was asked %d times within the same second", n)
		}

		fs.free.Store(9 << 20)
		pass(time.Second)
		if _, err := put(t, s, w, "no space"); !errors.Is(err, storage.ErrFull) {
			t.Fatalf("below the minimum: %v", err)
		}
		if n := len(readAll(t, s, w.Shard)); n != 101 {
			t.Fatalf("%d records are readable, want 101", n)
		}
		if err := s.Log().Trim(t.Context(), w.Shard, 50); err != nil {
			t.Fatalf("trim: %v", err)
		}
		if _, err := s.Coord().Commit(t.Context(), "", storage.Op{
			Key: "checkpoint", Value: []byte("x"), Expect: storage.Any,
		}); err != nil {
			t.Fatalf("checkpoint: %v", err)
		}
		brought := storage.LocalOp{Key: []byte("k"), Value: []byte("x"), Refusable: true}
		if err := s.Local().Apply(
			t.Context(), storage.Sync, storage.LocalOp{Key: []byte("own"), Value: []byte("x")}, brought,
		); !errors.Is(err, storage.ErrFull) {
			t.Fatalf("what is brought to Local: %v", err)
		}
		if _, ok, _ := s.Local().Get([]byte("own")); ok {
			t.Fatal("a part of the refused batch was applied")
		}
		for _, op := range []storage.LocalOp{{Key: []byte("own"), Value: []byte("x")}, {Key: []byte("own")}} {
			if err := s.Local().Apply(t.Context(), storage.Sync, op); err != nil {
				t.Fatalf("our own bookkeeping: %v", err)
			}
		}

		fs.free.Store(11 << 20)
		pass(time.Second)
		if _, err := put(t, s, w, "space again"); err != nil {
			t.Fatalf("with space again: %v", err)
		}
		if err := s.Local().Apply(t.Context(), storage.Sync, brought); err != nil {
			t.Fatalf("with space again: %v", err)
		}
	})
}

// When the disk fills up all the same, the ballast is deleted for the log, once.
func TestTheBallastIsGivenUpWhenTheDiskIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		fs := newSized(mem, 1<<40)
		var full, forever atomic.Bool
		there := func() bool {
			_, err := mem.Stat(mem.PathJoin("store", "BALLAST"))
			return err == nil
		}
		inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if full.Load() && op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") &&
				(there() || forever.Load()) {
				return syscall.ENOSPC
			}
			return nil
		})
		var told atomic.Int32
		s, w := made(t, pebble.Options{
			Dir: "store", FS: sized{errorfs.Wrap(mem, inject), fs.free, fs.asks}, Fatal: func(error) { told.Add(1) },
		})
		synctest.Wait()
		if !there() {
			t.Fatal("no ballast was laid")
		}
		if _, err := put(t, s, w, "enough space"); err != nil { // the free space is known for the next second
			t.Fatal(err)
		}

		full.Store(true)
		fs.free.Store(0)
		if _, err := put(t, s, w, "on the ballast"); err != nil || there() || told.Load() != 0 {
			t.Fatalf("the disk is full: %v; ballast there: %v; fatal %d times", err, there(), told.Load())
		}
		if _, err := put(t, s, w, "refused"); !errors.Is(err, storage.ErrFull) {
			t.Fatalf("after the ballast: %v", err)
		}

		full.Store(false)
		fs.free.Store(1 << 40)
		pass(time.Second)
		if _, err := put(t, s, w, "space"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !there() {
			t.Fatal("the ballast was not laid again")
		}

		full.Store(true)
		forever.Store(true)
		if _, err := put(t, s, w, "nothing helps"); !errors.Is(err, storage.ErrClosed) || told.Load() != 1 {
			t.Fatalf("a disk that stays full: %v, fatal %d times; want the store to end", err, told.Load())
		}
	})
}

// What is applied with Soon is durable within a second, even if no write asks for a sync.
func TestSoonIsDurableWithinASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewCrashableMem()
		s, _ := made(t, pebble.Options{Dir: "store", FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
		for i := range 3 { // each time again
			key := fmt.Append(nil, "key", i)
			if err := s.Local().Apply(t.Context(), storage.Soon, storage.LocalOp{
				Key: key, Value: []byte("v"),
			}); err != nil {
				t.Fatal(err)
			}
			if _, ok, _ := s.Local().Get(key); !ok {
				t.Fatal("an applied value is not there")
			}
			pass(time.Second)
			synctest.Wait()
			after, err := openQuietly(t, fs.CrashClone(vfs.CrashCloneCfg{}))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok, err := after.Local().Get(key); !ok {
				t.Fatalf("%s is gone after a second and a power loss: %v", key, err)
			}
		}
	})
}

// What only the logs hold needs its space once more when it is flushed, and counts as taken.
func TestWhatIsNotFlushedCountsAsTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := newSized(vfs.NewMem(), 12<<20)
		s, w := made(t, pebble.Options{
			Dir: "store", FS: fs, MinFree: 10 << 20, Ballast: -1, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		})
		for range 2 {
			if _, err := put(t, s, w, strings.Repeat("x", 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		if _, err := put(t, s, w, "no space"); !errors.Is(err, storage.ErrFull) {
			t.Fatalf("with more to flush than there is to spare: %v", err)
		}
		if err := pebble.DB(s).Flush(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		pass(time.Second)
		if _, err := put(t, s, w, "flushed"); err != nil {
			t.Fatal(err)
		}
	})
}

// When a disk becomes full and free in turn, the last log line is true, and the full disk is logged again for as long
// as it lasts.
func TestWhatIsSaidOfSpaceIsWhatIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said logged
		fs := newSized(vfs.NewMem(), 100<<20)
		s, w := made(t, pebble.Options{
			Dir: "store", FS: fs, MinFree: 10 << 20, Ballast: -1, Logger: slog.New(slog.NewTextHandler(&said, nil)),
			Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		})
		look := func(free uint64, seconds int) (last string) {
			fs.free.Store(free)
			for range seconds {
				pass(time.Second)
				_, _ = put(t, s, w, "x") // whether it is refused or not
			}
			lines := said.lines()
			return lines[len(lines)-1]
		}
		look(9<<20, 1)
		look(100<<20, 1)
		if last := look(9<<20, 90); !strings.Contains(last, "nearly full") {
			t.Errorf("while it is full: %s", last)
		}
		if last := look(100<<20, 1); !strings.Contains(last, "space again") {
			t.Errorf("once it has space: %s", last)
		}
		if n := len(said.lines()); n > 5 {
			t.Errorf("%d lines in a minute and a half:\n%s", n, strings.Join(said.lines(), "\n"))
		}
	})
}
