package pebble

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"syscall"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// open takes the directory, checks what is in it, and opens the database.
func (s *Store) open(o Options) (err error) {
	s.troubles = newTroubles(o.Dir, o.Logger)
	s.disk = newDisk(o, s.troubles)
	fs := s.disk.fs
	if o.MustExist && !o.AcceptLoss {
		if err := s.mustExist(fs); err != nil {
			return err
		}
	}
	if err := claim(fs, s.dir); err != nil {
		return s.explain(err, 0)
	}
	if s.lock, err = lock(fs, s.dir); err != nil {
		return s.explain(err, 0)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Close())
		}
	}()
	if err := sign(fs, s.dir); err != nil {
		return s.explain(err, 0)
	}
	if err := checkPebble(fs, s.dir); err != nil {
		return err
	}
	old, err := s.check(fs, o.AcceptLoss)
	if err != nil {
		return s.explain(err, 0)
	}
	if err := s.dropName(fs); err != nil {
		return s.explain(err, 0)
	}
	o = o.fit()
	s.disk.minFree, s.disk.size = o.MinFree, o.Ballast
	s.files = s.newFiles(fs)
	if s.marker, err = newMarker(fs, s.dir, old, cmp.Or(o.markEvery, markEvery), s.files.logs, s.troubles); err != nil {
		return s.explain(err, 0)
	}
	s.files.logs.synced = s.marker.notify
	s.files.logs.least = o.leastLog
	s.disk.unflushed = s.files.logs.bytes
	if spare := fs.PathJoin(s.dir, spareFile); exists(fs, spare) { // left by a killed process
		if err := fs.Remove(spare); err != nil {
			return s.explain(err, 0)
		}
	}
	err = s.openDatabase(o)
	if err == nil {
		err = s.explain(s.troubles.opened(), s.replayed())
	}
	if err != nil {
		return errors.Join(err, s.marker.file.Close())
	}
	go s.marker.run() // not before: a failed opening must leave the marks as they are
	return s.failure()
}

func (s *Store) newFiles(fs vfs.FS) *files {
	return &files{
		FS: fs, dir: fs.PathDir(fs.PathJoin(s.dir, "a")), troubles: s.troubles,
		logs: &logs{fs: fs, dir: s.dir, failed: s.logFailed},
	}
}

// openDatabase opens the database and checks its format, or gives up when it cannot write: Pebble itself would try for
// ever. The goroutine inside Pebble then waits until the process ends.
func (s *Store) openDatabase(o Options) error {
	type opened struct {
		db  *crdb.DB
		err error
	}
	done := make(chan opened, 1)
	go func() {
		db, err := s.tryOpen(o)
		if err == nil {
			if err = checkFormat(db, o); err != nil {
				err = errors.Join(err, closeQuietly(db))
			}
		}
		done <- opened{db, err}
	}()
	select {
	case r := <-done:
		s.db = r.db
		return s.explain(r.err, s.replayed())
	case <-s.troubles.gaveUp:
		return s.explain(s.troubles.cause, s.replayed())
	}
}

func (s *Store) tryOpen(o Options) (db *crdb.DB, err error) {
	defer contain(&err)
	return crdb.Open(s.dir, s.pebbleOptions(o.memTable))
}

func closeQuietly(db *crdb.DB) (err error) {
	defer contain(&err)
	return db.Close()
}

func exists(fs vfs.FS, path string) bool {
	_, err := fs.Stat(path)
	return err == nil
}

// replayed returns how many bytes the logs hold: a start writes them into tables.
func (s *Store) replayed() int64 {
	names, err := s.files.List(s.dir)
	if err != nil {
		return 0
	}
	sum := int64(0)
	for _, name := range names {
		if kind, _ := fileKind(name); kind != logFile {
			continue
		}
		if info, err := s.files.Stat(s.files.PathJoin(s.dir, name)); err == nil {
			sum += info.Size()
		}
	}
	return sum
}

// logFailed ends the store: a log could not be written, or the directory that lists it. During opening, Open returns
// the error instead.
func (s *Store) logFailed(err error) {
	err = fmt.Errorf("write the log: %w", err)
	if s.troubles.giveUp(err) {
		select {} // see files.refused
	}
	s.fail(err)
}

// startNeeds is how many bytes a start writes beside the contents of logs: a manifest, options, an empty log.
const startNeeds = 4 << 20

// explain adds to an error of opening what to do. logged is how many bytes of logs had to be written into tables. nil
// stays nil.
func (s *Store) explain(err error, logged int64) error {
	switch {
	case err == nil:
		return nil
	case noSpace(err):
		need := (logged + startNeeds + 1<<20 - 1) >> 20
		free := "an unknown amount"
		if usage, err := s.disk.inner.GetDiskUsage(s.dir); err == nil {
			free = fmt.Sprintf("%d MiB", usage.AvailBytes>>20)
		}
		return fmt.Errorf(
			"the disk is full: a start needs about %d MiB of free space in %s, and finds %s (%w)", need, s.dir, free,
			root(err),
		)
	case errors.Is(err, syscall.EROFS), errors.Is(err, os.ErrPermission):
		return fmt.Errorf(
			"it cannot be written to: a start needs a directory that this user may write, %s (%w)", s.dir, root(err),
		)
	case errors.As(err, new(*lost)), errors.As(err, new(*ruined)):
		return err
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf(
			"too many files are open: raise the limit of open files to 1,024 or more, ulimit -n (%w)", root(err),
		)
	}
	return explainOpen(err)
}

func noSpace(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// root returns the innermost error, because its wrappers name steps of Pebble.
func root(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
