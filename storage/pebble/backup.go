package pebble

import (
	"context"
	"errors"
	"fmt"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/storage"
)

// Backup makes dir, which must not exist, a store with everything that was acknowledged before the call, and with each
// later commit as a whole or not at all. Reads and writes go on meanwhile. On the same file system tables are hard
// links, because they never change; logs are copied. On return the copy is durable, but for the entry of dir in the
// directory above. After an error nothing is left there. storage.ErrFull: the disk of the store is nearly full.
func (s *Store) Backup(ctx context.Context, dir string) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if s.disk.full() {
		return storage.ErrFull
	}
	fs := s.disk.inner
	if exists(fs, dir) {
		return fmt.Errorf("copy the store: %s exists", dir)
	}
	err = s.checkpoint(dir)
	if err == nil {
		err = errors.Join(sign(fs, dir), markCopy(fs, dir))
	}
	if err != nil { // the database itself leaves something where it panics
		return fmt.Errorf("copy the store to %s: %w", dir, errors.Join(firstLine{err}, fs.RemoveAll(dir)))
	}
	return nil
}

func (s *Store) checkpoint(dir string) (err error) {
	defer contain(&err)
	return s.db.Checkpoint(dir, crdb.WithFlushedWAL()) // with what is to be durable soon
}

// markCopy writes into a copy what of it is durable: all that can be read. Without a mark, damage at the end of its
// logs would look like what a crash cuts off.
func markCopy(fs vfs.FS, dir string) error {
	inv, err := readInventory(fs, dir)
	if err != nil {
		return err
	}
	m := mark{turn: 1, at: time.Now(), manifest: extent{inv.number, inv.bytes}}
	numbers, err := logNumbers(fs, dir, inv.minLog)
	if err != nil {
		return err
	}
	for _, number := range numbers {
		scan, err := scanLog(fs, fs.PathJoin(dir, logName(number)), number)
		if err != nil {
			return err
		}
		m.logs = append(m.logs, extent{number, scan.whole})
	}
	f, err := fs.Create(fs.PathJoin(dir, markFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(m.encode(), int64(m.turn%2)*markSlot)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), syncDir(fs, dir))
}
