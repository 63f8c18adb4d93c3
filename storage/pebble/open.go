package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// formatVersion is the version of everything in docs/format. A program opens its own version and older ones.
const formatVersion = 1

const (
	signFile = "SHARDMILL" // says what the directory is, before anything else is in it
	signText = "This directory is a shardmill store. Change nothing by hand.\n"
	lockFile = "LOCK" // Pebble's
)

var errForeign = errors.New("not a shardmill data directory: it holds other files; name an empty or a new one, or restore it from a backup")

// claim makes dir, or checks that it is ours or empty. Any other directory is left unchanged.
func claim(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	_, err := signed(fs, dir)
	return err
}

// signed reports whether dir is ours already. A directory that holds anything else is an error.
func signed(fs vfs.FS, dir string) (bool, error) {
	names, err := fs.List(dir)
	if err != nil {
		return false, err
	}
	foreign := false
	for _, name := range names {
		switch name {
		case signFile:
			return true, nil
		case lockFile, "lost+found": // a crash before sign leaves only a lock
		default:
			foreign = true
		}
	}
	if foreign {
		return false, errForeign
	}
	return false, nil
}

// A process that was killed keeps its lock until the system has taken it down, a moment after whoever waits for it may
// know that it has ended. So a directory is tried again for a while before it counts as taken.
const (
	lockPatience = time.Second
	lockPause    = 20 * time.Millisecond
)

// lock takes the directory for this process. It waits up to lockPatience for another process that has it.
func lock(fs vfs.FS, dir string) (*crdb.Lock, error) {
	pause := time.NewTicker(lockPause)
	defer pause.Stop()
	for end := time.Now().Add(lockPatience); ; <-pause.C {
		l, err := crdb.LockDirectory(dir, fs)
		var errno syscall.Errno
		others := errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES)
		switch {
		case err == nil:
			return l, nil
		case others && time.Now().Before(end):
		case others, !errors.As(err, &errno): // the last means this very process: Pebble saw that without a system call
			return nil, fmt.Errorf("in use by another process: end it, or choose another directory (%w)", err)
		default:
			return nil, fmt.Errorf("lock: %w", err)
		}
	}
}

// sign marks the directory as ours, durably, before Pebble puts its first file into it.
func sign(fs vfs.FS, dir string) error {
	path := fs.PathJoin(dir, signFile)
	if f, err := fs.Open(path); err == nil {
		text, err := io.ReadAll(io.LimitReader(f, int64(len(signText))+1))
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		switch {
		case string(text) == signText:
			return nil
		case len(text) > 0 && !strings.HasPrefix(signText, string(text)): // a crash may leave a part of it
			return errForeign
		}
	}
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, signText)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// formatMarker is the name under which Pebble keeps the version of its own format.
const formatMarker = "format-version"

// checkPebble refuses a directory in a Pebble format that this program does not know. Pebble itself reports all other
// problems.
func checkPebble(fs vfs.FS, dir string) error {
	marker, text, err := atomicfs.LocateMarker(fs, dir, formatMarker)
	if err != nil {
		return nil //nolint:nilerr // opening the database says it better
	}
	if err := marker.Close(); err != nil {
		return err
	}
	if v, err := strconv.ParseUint(text, 10, 64); err == nil && v > uint64(crdb.FormatNewest) {
		return fmt.Errorf(
			"written by a newer program, in version %d of Pebble's format, of which this one knows %d: use that one, or newer",
			v, crdb.FormatNewest,
		)
	}
	return nil
}

// explainOpen adds to an error of Pebble what to do.
func explainOpen(err error) error {
	switch {
	case isDamage(err):
		return fmt.Errorf("corrupt: check the disk, then restore it from a backup (%w)", firstLine{err})
	}
	return err
}

// newerFormat returns an error if the store has a format that this program does not know, and crdb.ErrNotFound if it
// says nothing.
func newerFormat(db *crdb.DB) (err error) {
	defer contain(&err)
	b, closer, err := db.Get(formatKey)
	if err != nil {
		return err
	}
	defer closer.Close()
	if len(b) != 4 {
		return fmt.Errorf("corrupt: a format version of %d bytes; restore it from a backup", len(b))
	}
	if v := binary.LittleEndian.Uint32(b); v > formatVersion {
		return fmt.Errorf("format version %d is newer than this program's %d: use a newer program", v, formatVersion)
	}
	return nil
}

// checkFormat checks the format version in the database, or writes it into a new one.
func checkFormat(db *crdb.DB, o Options) (err error) {
	if err := newerFormat(db); !errors.Is(err, crdb.ErrNotFound) {
		return explainOpen(err)
	}
	found, err := anything(db)
	if err != nil {
		return explainOpen(err)
	}
	if found && !o.AcceptLoss { // the sign says that it is ours, and this key is written before any other
		return &lost{o.Dir, "its beginning is missing: a log of the store was deleted or lost"}
	}
	defer contain(&err)
	return db.Set(formatKey, binary.LittleEndian.AppendUint32(nil, formatVersion), crdb.Sync)
}

// anything reports whether the database has any row.
func anything(db *crdb.DB) (found bool, err error) {
	defer contain(&err)
	it, err := db.NewIter(nil)
	if err != nil {
		return false, err
	}
	found = it.First()
	return found, errors.Join(it.Error(), it.Close())
}
