package pebble_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// refuses opens a store and wants an error that contains each of words.
func refuses(t *testing.T, fs vfs.FS, words ...string) {
	t.Helper()
	s, err := openQuietly(t, fs)
	if err == nil {
		t.Fatalf("%v opened", s)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("error %q does not say %q", err, w)
		}
	}
}

func write(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	if err := fs.MkdirAll("store", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(fs.PathJoin("store", name), vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestForeignDirectoriesAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	write(t, fs, "thesis.txt", "years of work")
	refuses(t, fs, "open store store", "not a shardmill data directory", "name an empty or a new one")

	other := vfs.NewMem()
	db, err := crdb.Open("store", &crdb.Options{FS: other})
	if err == nil {
		err = errors.Join(db.Set([]byte("theirs"), []byte("x"), crdb.Sync), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, other, "not a shardmill data directory")

	forged := vfs.NewMem()
	write(t, forged, "SHARDMILL", "something else\n")
	refuses(t, forged, "not a shardmill data directory")

	for _, c := range []vfs.FS{fs, other} {
		names, err := c.List("store")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if n == "SHARDMILL" || c == fs && n != "thesis.txt" {
				t.Fatalf("%s was put into a foreign directory", n)
			}
		}
	}
}

// The directory of a new disk can be opened, and so can whatever a crash leaves in the middle of making a store.
func TestHalfMadeDirectoriesAreFinished(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(fs vfs.FS){
		"new disk":       func(fs vfs.FS) { write(t, fs, "lost+found", "") },
		"locked only":    func(fs vfs.FS) { write(t, fs, "LOCK", "") },
		"nothing signed": func(fs vfs.FS) { write(t, fs, "SHARDMILL", "") },
		"half signed":    func(fs vfs.FS) { write(t, fs, "SHARDMILL", "This direc") },
		"only the name of a manifest": func(fs vfs.FS) {
			write(t, fs, "SHARDMILL", pebble.SignText)
			write(t, fs, "marker.manifest.000001.MANIFEST-000001", "")
		},
		"no format": func(fs vfs.FS) {
			s, err := openQuietly(t, fs)
			if err == nil {
				err = errors.Join(pebble.DB(s).Delete(pebble.FormatKey(), crdb.Sync), s.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		fs := vfs.NewMem()
		make(fs)
		if _, err := openQuietly(t, fs); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, err := openQuietly(t, fs)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, fs, "in use by another process", "choose another directory")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openQuietly(t, fs); err != nil {
		t.Fatalf("after the other one ended: %v", err)
	}
}

// A process that was killed a moment ago may still hold its lock: whoever starts the next one by a script need not
// wait.
func TestALockOfAKilledProcessIsWaitedFor(t *testing.T) {
	t.Parallel()
	for held, want := range map[time.Duration]time.Duration{
		300 * time.Millisecond: 300 * time.Millisecond,
		time.Hour:              time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			s, err := pebble.Open(pebble.Options{Dir: "store", FS: &lockedFS{vfs.NewMem(), start.Add(held)}})
			if waited := time.Since(start).Truncate(100 * time.Millisecond); waited != want {
				t.Errorf("a lock that is held for %s is waited for %s", held, waited)
			}
			if held < time.Second {
				if err == nil {
					err = s.Close()
				}
				if err != nil {
					t.Error(err)
				}
			} else if err == nil || !strings.Contains(err.Error(), "in use by another process") {
				t.Errorf("with the lock of another process: %v", err)
			}
		})
	}
}

// lockedFS is a file system in which another process has every lock until a time.
type lockedFS struct {
	vfs.FS
	until time.Time
}

func (fs *lockedFS) Lock(name string) (io.Closer, error) {
	if time.Now().Before(fs.until) {
		return nil, &os.PathError{Op: "lock", Path: name, Err: syscall.EAGAIN}
	}
	return fs.FS.Lock(name)
}

func TestNewerFormatsAreRefused(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, err := openQuietly(t, fs)
	if err == nil {
		err = errors.Join(
			pebble.DB(s).Set(pebble.FormatKey(), binary.LittleEndian.AppendUint32(nil, 2), crdb.Sync), s.Close(),
		)
	}
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, fs, "format version 2 is newer than this program's 1", "use a newer program")
}

func TestNewerFormatsOfPebbleAreRefused(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, err := openQuietly(t, fs)
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, fs, "marker.format-version.999999.4711", "")
	refuses(t, fs, "written by a newer program, in version 4711", "use that one, or newer")
}

// A damaged block is reported with its place and what to do. It is never skipped, and nothing else suffers.
func TestACorruptBlockIsNamedAndNeverSkipped(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, w := made(t, pebble.Options{Dir: "store", FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	pebble.SetTailBytes(s, 0)
	other := storage.Shard{Stream: 2}
	if err := s.Log().Create(t.Context(), other, 0); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := put(t, s, w, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	key := pebble.BlockKey(w.Shard, 2)
	value, closer, err := pebble.DB(s).Get(key)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte(nil), value...)
	bad[len(bad)-1] ^= 1
	if err := errors.Join(closer.Close(), pebble.DB(s).Set(key, bad, crdb.Sync)); err != nil {
		t.Fatal(err)
	}

	seen := 0
	next, _, err := s.Log().Scan(t.Context(), w.Shard, 1, storage.Limit{}, func(record.Record) { seen++ })

	if !errors.Is(err, storage.ErrCorrupt) || seen != 1 || next != 2 {
		t.Fatalf("%d records, next %d, %v; want the one before the damage", seen, next, err)
	}
	for _, word := range []string{"shardId-000000000000", "stream 1", "position 2", "restore store from a backup"} {
		if !strings.Contains(err.Error(), word) {
			t.Fatalf("error %q does not say %q", err, word)
		}
	}
	if _, _, _, err := s.Log().Bounds(t.Context(), other); err != nil {
		t.Fatalf("another stream: %v", err)
	}
	if err := s.Log().Trim(t.Context(), w.Shard, 3); err != nil {
		t.Fatalf("giving the damaged record up: %v", err)
	}
	if _, _, err := s.Log().Scan(
		t.Context(), w.Shard, 3, storage.Limit{}, func(r record.Record) { seen = int(r.Pos) },
	); err != nil ||
		seen != 3 {
		t.Fatalf("behind the damage: position %d, %v", seen, err)
	}
}

// The newest block of a shard tells where the shard ends. If that block cannot be read, the shard and the four that
// share its counter go on behind it, so that the advice in the error can be followed.
func TestACorruptLastBlockStopsNoOtherRecords(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	fs := vfs.NewMem()
	o := pebble.Options{Dir: "store", FS: fs, Clock: c, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	s, w := made(t, o)
	neighbour := storage.Shard{Stream: 1, Index: 1}
	if err := s.Log().Create(t.Context(), neighbour, 0); err != nil {
		t.Fatal(err)
	}
	const inLast = 5 // records of the block that is damaged
	for _, n := range []int{1, 1, inLast} {
		rs := make([]record.Record, n)
		if err := s.Log().Append(t.Context(), []storage.Batch{{Writer: w, Records: rs}})[0]; err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		pebble.DB(s).Set(pebble.BlockKey(w.Shard, 3), []byte("no block"), crdb.Sync), s.Close(),
	); err != nil {
		t.Fatal(err)
	}

	again := open(t, o)
	t.Cleanup(func() { _ = again.Close() })
	seen := 0
	next, _, err := again.Log().Scan(t.Context(), w.Shard, 1, storage.Limit{}, func(record.Record) { seen++ })
	if !errors.Is(err, storage.ErrCorrupt) || seen != 2 || next != 3 {
		t.Fatalf("%d records, next %d, %v; want the two before the damage", seen, next, err)
	}
	if advice := "at position 3: "; !strings.Contains(err.Error(), advice) {
		t.Errorf("error %q does not say %q", err, advice)
	}
	advice := "; check the disk, then restore store from a backup; without one, these records are lost: read on behind them with a later AT_TIMESTAMP, " +
		"until retention removes this place"
	if !strings.HasSuffix(err.Error(), advice) {
		t.Errorf("error %q does not end in %q", err, advice)
	}

	c.SetOffset(2 * time.Second)
	for _, id := range []storage.Shard{w.Shard, neighbour} {
		w, end, err := again.Log().Acquire(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		rs := []record.Record{{Key: "k", Data: []byte("after")}}
		err = again.Log().Append(t.Context(), []storage.Batch{{Writer: w, Records: rs}})[0]
		if err != nil || rs[0].Pos < end || rs[0].Pos < 3+inLast {
			t.Fatalf("%s: a record behind the damage: position %d, end %d, %v", id.Index, rs[0].Pos, end, err)
		}
		from, err := again.Log().Seek(t.Context(), id, rs[0].Arrival)
		if err != nil || from != rs[0].Pos {
			t.Fatalf("%s: seek behind the damage: %d, %v; want %d", id.Index, from, err, rs[0].Pos)
		}
		if err := again.Log().Trim(t.Context(), id, from); err != nil {
			t.Fatalf("%s: retention passes: %v", id.Index, err)
		}
		if got := readAllFrom(t, again, id, from); len(got) != 1 || got[0] != "after" {
			t.Fatalf("%s: behind the damage: %q", id.Index, got)
		}
	}
}

// Once a shard was trimmed its end is also stored elsewhere: a missing last block is damage, not an early end.
func TestAMissingBlockIsNoEarlyEnd(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, w := made(t, pebble.Options{Dir: "store", FS: fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) }})
	for i := range 3 {
		if _, err := put(t, s, w, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		s.Log().Trim(t.Context(), w.Shard, 2), pebble.DB(s).Delete(pebble.BlockKey(w.Shard, 3), crdb.Sync), s.Close(),
	)
	if err != nil {
		t.Fatal(err)
	}
	again, err := openQuietly(t, fs)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = again.Log().Scan(t.Context(), w.Shard, 2, storage.Limit{}, func(record.Record) {})
	if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "records up to position 3 are missing") {
		t.Fatalf("scan over the hole: %v", err)
	}
}

// The real file system: locks, preallocation and the free space of the disk.
func TestOnARealDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/a/b"
	o := pebble.Options{Dir: dir, MinFree: 1, Ballast: 1 << 20, Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	s, w := made(t, o)
	if _, err := put(t, s, w, "kept"); err != nil {
		t.Fatal(err)
	}
	if _, err := pebble.Open(o); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Fatalf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir + "/BALLAST"); err != nil {
		t.Fatalf("ballast: %v", err)
	}
	again := open(t, o)
	defer again.Close()
	if got := readAll(t, again, w.Shard); len(got) != 1 || got[0] != "kept" {
		t.Fatalf("read %q", got)
	}
}
