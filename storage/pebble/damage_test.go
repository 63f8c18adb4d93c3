package pebble_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
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

// killed returns what kill -9 leaves of a store with a few logs and 40 records, after a mark that covers all of them.
func killed(t *testing.T) *vfs.MemFS {
	t.Helper()
	mem := vfs.NewCrashableMem()
	o := pebble.Options{Dir: "store", FS: mem, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	s, w := made(t, o)
	for i := range 40 {
		if _, err := put(t, s, w, fmt.Sprint(i, "/", strings.Repeat("x", 10_000))); err != nil {
			t.Fatal(err)
		}
	}
	pass(2 * time.Second)
	synctest.Wait()
	if n := count(t, mem, ".log"); n < 2 {
		t.Fatalf("%d logs; the test wants more than one", n)
	}
	return kill(mem)
}

// kill returns the file system as a killed process leaves it: with everything written, synced or not.
func kill(mem *vfs.MemFS) *vfs.MemFS {
	return mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
}

func oldest(t *testing.T, fs vfs.FS, suffix string) (found string) {
	t.Helper()
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, suffix) && (found == "" || name < found) {
			found = name
		}
	}
	return found
}

func remove(t *testing.T, fs vfs.FS, name string) {
	t.Helper()
	if err := fs.Remove(fs.PathJoin("store", name)); err != nil {
		t.Fatal(err)
	}
}

func flip(at func(n int) int) func([]byte) []byte {
	return func(b []byte) []byte {
		b[at(len(b))] ^= 0xff
		return b
	}
}

// If durable bytes are missing, opening is refused with what is missing and what to do. If the loss is accepted it is
// logged, and everything before it is there.
func TestALossThatTheMarkKnowsOfIsRefusedUnlessAccepted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(t *testing.T, fs vfs.FS)
		says   string
		left   int // records at least
	}{
		"a byte flipped at 30 %": {func(t *testing.T, fs vfs.FS) {
			change(t, fs, named(t, fs, ".log"), flip(func(n int) int { return n * 30 / 100 }))
		}, "it was cut or is corrupt", 15},
		"a byte flipped at 90 %": {func(t *testing.T, fs vfs.FS) {
			change(t, fs, named(t, fs, ".log"), flip(func(n int) int { return n * 90 / 100 }))
		}, "it was cut or is corrupt", 30},
		"5,000 bytes cut": {func(t *testing.T, fs vfs.FS) {
			change(t, fs, named(t, fs, ".log"), func(b []byte) []byte { return b[:len(b)-5000] })
		}, "it was cut or is corrupt", 38},
		"the newest log deleted": {
			func(t *testing.T, fs vfs.FS) { remove(t, fs, named(t, fs, ".log")) }, "is missing: at least", 10,
		},
		"an older log cut": {func(t *testing.T, fs vfs.FS) {
			change(t, fs, oldest(t, fs, ".log"), func(b []byte) []byte { return b[:len(b)/2] })
		}, "it was cut or is corrupt", 5},
		"an older log deleted": {
			func(t *testing.T, fs vfs.FS) { remove(t, fs, oldest(t, fs, ".log")) }, "is missing: at least", 0,
		},
		"everything but the mark": {func(t *testing.T, fs vfs.FS) {
			names, _ := fs.List("store")
			for _, n := range names {
				if n != "MARK" && n != "SHARDMILL" {
					remove(t, fs, n)
				}
			}
		}, "its files are gone", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fs := killed(t)
				c.damage(t, fs)
				o := pebble.Options{Dir: "store", FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
				_, err := pebble.Open(o)
				var hint interface{ Hint() string }
				if err == nil || !strings.Contains(err.Error(), c.says) || !errors.As(err, &hint) ||
					!strings.Contains(hint.Hint(), "--accept-loss") {
					t.Fatalf("error %v; want one that says %q, with the advice --accept-loss", err, c.says)
				}

				var said logged
				o.Logger, o.AcceptLoss = said.logger(), true
				s := open(t, o)
				defer s.Close()
				if n := left(t, s); n < c.left || n > 39 {
					t.Errorf("%d records are left, want %d to 39", n, c.left)
				}
				if text := strings.Join(said.lines(), "\n"); c.left > 0 &&
					!strings.Contains(text, "as --accept-loss asks") {
					t.Errorf("nothing was said of what is lost: %s", text)
				}
				pass(2 * time.Second)
				synctest.Wait()
				if _, err := openQuietly(t, kill(fs)); err != nil {
					t.Errorf("what was accepted is refused again: %v", err)
				}
			})
		})
	}
}

// left returns how many records a shard has without a gap, from its first; 0 without a shard.
func left(t *testing.T, s *pebble.Store) (n int) {
	t.Helper()
	_, _, err := s.Log().Scan(t.Context(), storage.Shard{Stream: 1}, 1, storage.Limit{}, func(r record.Record) {
		if want := fmt.Sprint(n, "/"); !strings.HasPrefix(string(r.Data), want) {
			t.Errorf("record %d begins with %.5q", n, r.Data)
		}
		n++
	})
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		t.Fatal(err)
	}
	return n
}

// Damage that no mark covers cannot be told from a write that a crash cut off. It is logged with the number of bytes.
func TestDamageThatNoMarkKnowsOfIsSaid(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func([]byte) []byte{
		"a byte flipped in the last block": flip(func(n int) int { return n - 12_000 }),
		"5,000 bytes cut":                  func(b []byte) []byte { return b[:len(b)-5000] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fs := killed(t)
				remove(t, fs, "MARK")
				newest := named(t, fs, ".log")
				change(t, fs, newest, edit)
				var said logged

				s, err := pebble.Open(pebble.Options{
					Dir: "store", FS: fs, Logger: said.logger(), Fatal: func(err error) { t.Errorf("fatal: %v", err) },
				})
				if err != nil { // a chunk behind the damage promises that it was on disk
					if !strings.Contains(err.Error(), "is corrupt at byte") {
						t.Fatal(err)
					}
					return
				}
				defer s.Close()
				if text := strings.Join(said.lines(), "\n"); !strings.Contains(
					text, "ends in bytes that cannot be read",
				) ||
					!strings.Contains(text, newest) || !strings.Contains(text, " bytes=") {
					t.Errorf("said: %s", text)
				}
			})
		})
	}
}

// Copies of a closed and of a killed store both open without a word in the log.
func TestWhatIsWholeOpensWithoutAWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said logged
		fs := killed(t)
		o := pebble.Options{
			Dir: "store", FS: fs, Logger: said.logger(), Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		}
		for range 3 {
			s := open(t, o)
			if n := left(t, s); n != 40 {
				t.Errorf("%d records, want 40", n)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if text := strings.Join(said.lines(), ""); text != "" {
			t.Errorf("said: %s", text)
		}
	})
}

// A mark that a crash cut short is ignored, and the one before it stands.
func TestATornMarkRefusesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, slot := range []int{0, 4096} {
			fs := killed(t)
			change(t, fs, "MARK", func(b []byte) []byte {
				for i := slot + 20; i < min(slot+60, len(b)); i++ {
					b[i] ^= 0x55
				}
				return b
			})
			s, err := openQuietly(t, fs)
			if err != nil {
				t.Fatal(err)
			}
			if n := left(t, s); n != 40 {
				t.Errorf("%d records, want 40", n)
			}
		}
	})
}

// flushed returns a closed store whose records lie in tables and blobs.
func flushed(t *testing.T) (*vfs.MemFS, pebble.Options) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	o := pebble.Options{Dir: "store", FS: mem, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	s, w := made(t, o)
	if err := s.Log().Create(t.Context(), storage.Shard{Stream: 2}, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if _, err := put(t, s, w, fmt.Sprint(i, "/", strings.Repeat("x", 10_000))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(pebble.DB(s).Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return mem, o
}

// A start looks for every file that it relies on: without one, records would be missing in the middle of shards.
func TestMissingAndCutFilesAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{".blob", ".sst"} {
		for name, c := range map[string]struct {
			damage func(fs vfs.FS, file string)
			says   string
		}{
			"missing": {func(fs vfs.FS, file string) { remove(t, fs, file) }, "which holds records, is missing"},
			"cut": {
				func(fs vfs.FS, file string) { change(t, fs, file, func(b []byte) []byte { return b[:len(b)/2] }) },
				"it was cut or overwritten",
			},
			"empty": {
				func(fs vfs.FS, file string) { change(t, fs, file, func([]byte) []byte { return nil }) },
				"has 0 bytes and not",
			},
		} {
			fs, o := flushed(t)
			file := named(t, fs, suffix)
			c.damage(fs, file)
			_, err := pebble.Open(o)
			var hint interface{ Hint() string }
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), c.says) ||
				!errors.As(err, &hint) || !strings.Contains(hint.Hint(), "restore store from a backup") {
				t.Errorf("%s %s: %v", suffix, name, err)
			}
		}
	}
	fs, o := flushed(t)
	change(t, fs, "MANIFEST-000001", func(b []byte) []byte { return b[:len(b)-20] })
	if _, err := pebble.Open(o); err == nil ||
		!strings.Contains(err.Error(), "the list of its files, MANIFEST-000001, can be read up to byte") {
		t.Errorf("the manifest cut: %v", err)
	}
	remove(t, fs, "MANIFEST-000001")
	remove(t, fs, "MARK")
	if _, err := pebble.Open(o); err == nil || !strings.Contains(err.Error(), "the list of its files is missing") {
		t.Errorf("no manifest, and no mark: %v", err)
	}
}

// Bytes that change or vanish while the store is open are an error to their readers, with the place and what to do.
// Nothing panics, and other shards go on.
func TestDamagedBlobsAreErrorsOfTheirReaders(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(fs vfs.FS, file string){
		"a byte of a block": func(fs vfs.FS, file string) {
			change(t, fs, file, flip(func(int) int { return 100 }))
		},
		"a byte of the index": func(fs vfs.FS, file string) {
			change(t, fs, file, flip(func(n int) int { return n - 45 }))
		},
		"a byte of the footer": func(fs vfs.FS, file string) {
			change(t, fs, file, flip(func(n int) int { return n - 10 }))
		},
		"half of it": func(fs vfs.FS, file string) {
			change(t, fs, file, func(b []byte) []byte { return b[:len(b)/2] })
		},
		"all but 10 bytes": func(fs vfs.FS, file string) {
			change(t, fs, file, func(b []byte) []byte { return b[:10] })
		},
		"all of it": func(fs vfs.FS, file string) { remove(t, fs, file) },
	} {
		fs, o := flushed(t)
		var said logged
		o.Logger = said.logger()
		s := open(t, o)
		damage(fs, named(t, fs, ".blob"))

		_, _, err := s.Log().Scan(t.Context(), storage.Shard{Stream: 1}, 1, storage.Limit{}, func(record.Record) {})

		if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "shardId-000000000000 of stream 1") ||
			!strings.Contains(err.Error(), "restore store from a backup") {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(fmt.Sprint(err), "panicked") {
			t.Errorf("%s: Pebble panicked: %v", name, err)
		}
		if text := strings.Join(said.lines(), "\n"); !strings.Contains(text, "a file of the store is corrupt") {
			t.Errorf("%s: said %q", name, text)
		}
		w, _, err := s.Log().Acquire(t.Context(), storage.Shard{Stream: 2})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := put(t, s, w, "goes on"); err != nil {
			t.Errorf("%s: another shard: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}

// The inventory lists exactly the files that Pebble counts on, after flushes, compactions and deletions, and in a new
// manifest.
func TestTheInventoryIsThatOfPebble(t *testing.T) {
	t.Parallel()
	mem := vfs.NewCrashableMem()
	o := pebble.Options{
		Dir: "store", FS: mem, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	}.WithMemTable(64 << 10)
	for round := range 3 {
		s := open(t, o)
		id := storage.Shard{Stream: uint32(round + 1)}
		if err := s.Log().Create(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		w, _, err := s.Log().Acquire(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			if _, err := put(t, s, w, strings.Repeat("x", 20_000)); err != nil {
				t.Fatal(err)
			}
		}
		if round > 0 {
			if err := s.Log().Delete(t.Context(), uint32(round)); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(
			pebble.DB(s).Flush(), pebble.DB(s).Compact(t.Context(), []byte{0}, []byte{0xff}, false),
		); err != nil {
			t.Fatal(err)
		}
		got, err := pebble.Inventory(mem, "store")
		if err != nil {
			t.Fatal(err)
		}
		tables, err := pebble.DB(s).SSTables()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]uint64{}
		for _, level := range tables {
			for _, table := range level {
				want[fmt.Sprintf("%06d.sst", table.BackingSSTNum)] = table.Size
			}
		}
		blobs := pebble.DB(s).Metrics().BlobFiles.LiveCount
		for name, size := range got {
			if strings.HasSuffix(name, ".blob") {
				blobs--
				if info, err := mem.Stat(mem.PathJoin("store", name)); err != nil || uint64(info.Size()) != size {
					t.Errorf("%s: %d bytes expected: %v, %v", name, size, info, err)
				}
				delete(got, name)
			}
		}
		if !maps.Equal(got, want) || blobs != 0 || len(want) == 0 {
			t.Errorf(
				"round %d: tables %v, want %v; %d blobs are not listed", round, slices.Sorted(maps.Keys(got)),
				slices.Sorted(maps.Keys(want)), blobs,
			)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Logs that are no longer needed are deleted while the store runs.
func TestObsoleteLogsAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		o := pebble.Options{Dir: "store", FS: mem, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
		s, w := made(t, o.WithMemTable(8<<20))
		bytes := func() (sum int64) {
			names, err := mem.List("store")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if strings.HasSuffix(name, ".log") || name == "SPARE" {
					info, err := mem.Stat(mem.PathJoin("store", name))
					if err != nil {
						t.Fatal(err)
					}
					sum += info.Size()
				}
			}
			return sum
		}
		for range 40 {
			if _, err := put(t, s, w, strings.Repeat("x", 1_000_000)); err != nil {
				t.Fatal(err)
			}
		}
		if err := pebble.DB(s).Flush(); err != nil {
			t.Fatal(err)
		}
		pass(11 * time.Second)
		synctest.Wait()
		if n := bytes(); n > 10<<20 {
			t.Errorf("logs take %d bytes when all 40 MB lie in tables; want one of 8 MB at most", n)
		}
		if n := count(t, mem, "SPARE"); n != 0 {
			t.Error("the spare log was kept")
		}
	})
}

// A spare log that a killed process left is deleted by the next start: no log will use it.
func TestASpareLogOfAKilledProcessIsGivenBack(t *testing.T) {
	t.Parallel()
	fs, o := flushed(t)
	write(t, fs, "SPARE", "of a process that was killed")
	s := open(t, o)
	defer s.Close()
	if n := count(t, fs, "SPARE"); n != 0 {
		t.Error("it was kept")
	}
}

// An older log without its end is refused even if no mark covers it: the next log builds on it.
func TestAnOlderLogWithoutItsEndIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for what, cut := range map[string]func(b []byte) []byte{
			"in the middle": func(b []byte) []byte { return b[:len(b)/2] },
			"at its end":    func(b []byte) []byte { return b[:len(b)-11] }, // the mark that another log follows
		} {
			fs := killed(t)
			remove(t, fs, "MARK")
			change(t, fs, oldest(t, fs, ".log"), cut)
			_, err := openQuietly(t, fs)
			var hint interface{ Hint() string }
			if err == nil || !strings.Contains(err.Error(), "without the end that it had") || !errors.As(err, &hint) ||
				!strings.Contains(hint.Hint(), "--accept-loss") {
				t.Errorf("%s: got %v", what, err)
			}
		}
	})
}

// A crash right after a loss was accepted, before any mark is written, is like any other crash; and files set aside
// before stay beside those set aside now.
func TestAnAcceptedLossStaysAcceptedAndKept(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, fs vfs.FS, newest string){
		"flipped": func(t *testing.T, fs vfs.FS, newest string) {
			change(t, fs, newest, flip(func(n int) int { return n * 30 / 100 }))
		},
		"everything but the mark": func(t *testing.T, fs vfs.FS, _ string) {
			names, _ := fs.List("store")
			for _, n := range names {
				if n != "MARK" && n != "SHARDMILL" {
					remove(t, fs, n)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fs := killed(t)
				newest := named(t, fs, ".log")
				content := func(name string) (b []byte) {
					change(t, fs, name, func(now []byte) []byte { b = slices.Clone(now); return now })
					return b
				}
				earlier := "LOST-" + newest
				if err := fs.Link(fs.PathJoin("store", "SHARDMILL"), fs.PathJoin("store", earlier)); err != nil {
					t.Fatal(err)
				}
				sign := content("SHARDMILL")
				damage(t, fs, newest)
				var found []byte
				if name == "flipped" {
					found = content(newest)
				}
				noMark := errorfs.InjectorFunc(func(op errorfs.Op) error {
					if strings.HasSuffix(op.Path, "MARK") && op.Kind == errorfs.OpFileWriteAt {
						return syscall.EIO
					}
					return nil
				})
				s := open(t, pebble.Options{
					Dir: "store", FS: errorfs.Wrap(fs, noMark), AcceptLoss: true,
					Fatal: func(err error) { t.Errorf("fatal: %v", err) },
				})
				defer s.Close()

				if _, err := openQuietly(t, kill(fs)); err != nil {
					t.Errorf("what was accepted is refused again: %v", err)
				}
				if found != nil &&
					(!slices.Equal(content(earlier), sign) || !slices.Equal(content(earlier+".2"), found)) {
					t.Error("what was set aside was written over, or is not what was found")
				}
			})
		})
	}
}

// A clean stop leaves no spare log.
func TestACleanEndGivesTheSpareBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		s, w := made(
			t,
			pebble.Options{
				Dir: "store", FS: mem, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
			}.WithMemTable(8<<20),
		)
		for puts := 0; count(t, mem, "SPARE") == 0; puts++ { // when there is a spare depends on the flushes
			if _, err := put(t, s, w, strings.Repeat("x", 1_000_000)); err != nil || puts > 200 {
				t.Fatalf("after %d puts: %v", puts, err)
			}
			synctest.Wait()
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, mem, "SPARE"); n != 0 {
			t.Error("the spare log was left")
		}
	})
}
