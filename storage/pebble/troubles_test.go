package pebble_test

import (
	"bytes"
	"errors"
	"io"
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

	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// logged collects log lines.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.b.String(), "\n"), "\n")
}

// full is a disk that takes only logs, as if their blocks had been allocated before it filled up.
type full struct {
	on      atomic.Bool
	refused atomic.Int64
}

func (f *full) MaybeError(op errorfs.Op) error {
	output := strings.HasSuffix(op.Path, ".sst") || strings.HasSuffix(op.Path, ".blob")
	if f.on.Load() && output && op.Kind == errorfs.OpFileWrite {
		f.refused.Add(1)
		return syscall.ENOSPC
	}
	return nil
}

func (f *full) String() string { return "full disk" }

// count returns how many files have that suffix.
func count(t *testing.T, fs vfs.FS, suffix string) (n int) {
	t.Helper()
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			n++
		}
	}
	return n
}

// A flush that finds the disk full is retried with pauses, counted, and logged at once and then once a minute. It
// leaves no half-written files, loses nothing acknowledged, and succeeds by itself once there is space.
func TestAFlushOnAFullDiskWaitsAndRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var disk full
		var said logged
		mem := vfs.NewMem()
		o := pebble.Options{
			Dir: "store", FS: errorfs.Wrap(mem, &disk), MinFree: -1, Ballast: -1, Logger: said.logger(),
			Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		}
		s, w := made(t, o.WithMemTable(256<<10))
		disk.on.Store(true)
		for range 6 {
			if _, err := put(t, s, w, strings.Repeat("x", 50_000)); err != nil {
				t.Fatal(err)
			}
		}

		pass(10 * time.Minute)
		synctest.Wait()

		if n := disk.refused.Load(); n < 20 || n > 400 {
			t.Errorf("the disk was asked %d times in ten minutes, want about twice every five seconds", n)
		}
		if n := s.Retries(); n < 20 || n > 200 {
			t.Errorf("%d retries were counted in ten minutes, want about one every five seconds", n)
		}
		if lines := said.lines(); len(lines) > 11 || !strings.Contains(lines[0], "Make space if the disk is full") ||
			!strings.Contains(lines[0], "times=1 ") {
			t.Errorf("%d lines in ten minutes, want one a minute:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		if n := count(t, mem, ".blob") + count(t, mem, ".sst"); n != 0 {
			t.Errorf("%d files that could not be written were left behind", n)
		}

		disk.on.Store(false)
		pass(5 * time.Second)
		synctest.Wait()

		if n := count(t, mem, ".sst"); n == 0 {
			t.Error("nothing was flushed within five seconds of space")
		}
		before := s.Retries()
		pass(time.Minute)
		if n := s.Retries(); n != before {
			t.Errorf("%d retries after it worked", n-before)
		}
		if n := len(readAll(t, s, w.Shard)); n != 6 {
			t.Errorf("%d records are there, want 6", n)
		}
	})
}

// A start that cannot write the contents of the logs is given up, with how much space it needs and where, although
// Pebble would try for ever.
func TestAStartOnAFullDiskIsGivenUp(t *testing.T) {
	t.Parallel()
	mem := vfs.NewCrashableMem()
	o := pebble.Options{Dir: "store", FS: mem, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	s, w := made(t, o)
	if _, err := put(t, s, w, strings.Repeat("x", 3<<20)); err != nil {
		t.Fatal(err)
	}
	for name, kinds := range map[string][]errorfs.OpKind{
		"tables":       {errorfs.OpFileWrite},
		"the manifest": {errorfs.OpFileWrite},
		"any file":     {errorfs.OpCreate},
	} {
		inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
			of := map[string]string{"tables": ".sst", "the manifest": "MANIFEST", "any file": ""}[name]
			for _, kind := range kinds {
				if op.Kind == kind && strings.Contains(op.Path, of) {
					return syscall.ENOSPC
				}
			}
			return nil
		})
		o := o
		o.FS = newSized(errorfs.Wrap(mem.CrashClone(vfs.CrashCloneCfg{}), inject), 1<<20)
		began := time.Now()
		_, err := pebble.Open(o)
		if err == nil {
			t.Fatalf("%s: it opened", name)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: given up after %s, want 5 s at most", name, took)
		}
		for _, word := range []string{
			"the disk is full", "MiB of free space in store", "finds 1 MiB", "no space left on device",
		} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: error %q does not say %q", name, err, word)
			}
		}
	}
}

// A directory without write permission is refused in one sentence, whichever file fails first.
func TestAStartThatMayNotWriteSaysSo(t *testing.T) {
	t.Parallel()
	for _, cause := range []syscall.Errno{syscall.EROFS, syscall.EACCES, syscall.EPERM} {
		for _, kind := range []errorfs.OpKind{errorfs.OpMkdirAll, errorfs.OpLock, errorfs.OpCreate} {
			inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == kind {
					return cause
				}
				return nil
			})
			_, err := pebble.Open(pebble.Options{
				Dir: "store", FS: errorfs.Wrap(vfs.NewMem(), inject),
				Fatal: func(err error) { t.Errorf("fatal: %v", err) },
			})
			if err == nil ||
				!strings.Contains(
					err.Error(), "it cannot be written to: a start needs a directory that this user may write, store",
				) ||
				!errors.Is(err, cause) {
				t.Errorf("%v at %v: %v", cause, kind, err)
			}
		}
	}
}

// change rewrites a file.
func change(t *testing.T, fs vfs.FS, name string, edit func([]byte) []byte) {
	t.Helper()
	path := fs.PathJoin("store", name)
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	f, err = fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(edit(b))
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// named returns the one file whose name ends in suffix.
func named(t *testing.T, fs vfs.FS, suffix string) (found string) {
	t.Helper()
	names, err := fs.List("store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, suffix) {
			found = max(found, name)
		}
	}
	if found == "" {
		t.Fatalf("no %s among %q", suffix, names)
	}
	return found
}

// A table with a corrupt footer is logged with its name and what to do, at once and then once a minute; an idle store
// does not read it again and again.
func TestACorruptTableIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem()
		o := pebble.Options{Dir: "store", FS: mem, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
		s, w := made(t, o)
		if _, err := put(t, s, w, "kept"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(pebble.DB(s).Flush(), s.Close()); err != nil {
			t.Fatal(err)
		}
		table := named(t, mem, ".sst")
		change(t, mem, table, func(b []byte) []byte {
			for i := range 4 {
				b[len(b)-20+i] ^= 0xff
			}
			return b
		})
		var said logged
		o.Logger = said.logger()

		s = open(t, o)
		defer s.Close()
		pass(10 * time.Minute)
		synctest.Wait()

		lines := said.lines()
		if len(lines) > 11 || !strings.Contains(lines[0], table) ||
			!strings.Contains(lines[0], "restore the data directory from a backup") {
			t.Errorf("%d lines in ten idle minutes, want one a minute:\n%s", len(lines), strings.Join(lines, "\n"))
		}
		if n := s.Retries(); n == 0 || n > 30 {
			t.Errorf("it was read %d times in ten idle minutes", n)
		}
		if _, _, _, err := s.Log().Bounds(t.Context(), w.Shard); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("what lies in it: %v", err)
		}
	})
}

// Close does not wait for a pause to end.
func TestCloseWaitsForNoPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var disk full
		o := pebble.Options{
			Dir: "store", FS: errorfs.Wrap(vfs.NewMem(), &disk), MinFree: -1, Ballast: -1,
			Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		}
		s, w := made(t, o.WithMemTable(256<<10))
		disk.on.Store(true)
		for range 6 {
			if _, err := put(t, s, w, strings.Repeat("x", 50_000)); err != nil {
				t.Fatal(err)
			}
		}
		pass(8500 * time.Millisecond) // four seconds before the next attempt
		began := time.Now()
		_ = s.Close()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}
