package pebble

import (
	"errors"
	"fmt"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/storage"
)

// Finding is something in a store that is not as it must be.
type Finding struct {
	Where string `json:"where"` // a file, a shard, a key
	What  string `json:"what"`
}

// Inspection is a store that is open for reading only: nothing in its directory changes, but for its lock.
type Inspection struct {
	s    *Store
	lost []Finding // by the files alone
}

// Inspect opens the store in o.Dir to check it. It refuses what Open refuses, but for damage: what is left then can be
// inspected, unless too much is missing, which is an error. A directory in which no store was ever completed is an
// empty one.
func Inspect(o Options) (*Inspection, error) {
	o = o.withDefaults()
	o.Fatal = func(error) {} // nothing is written
	s := newStore(o)
	s.queue.closed = true
	close(s.committed)
	i := &Inspection{s: s}
	if err := i.open(o); err != nil {
		return nil, fmt.Errorf("inspect store %s: %w", o.Dir, err)
	}
	return i, nil
}

func (i *Inspection) open(o Options) (err error) {
	s, fs := i.s, o.FS
	s.troubles = newTroubles(o.Dir, o.Logger)
	s.disk = newDisk(o, s.troubles)
	if _, err := signed(fs, s.dir); err != nil {
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
	if err := checkPebble(fs, s.dir); err != nil {
		return err
	}
	_, err = s.check(fs, false)
	var missing *lost
	if errors.As(err, &missing) {
		i.lost = append(i.lost, Finding{s.dir, missing.what})
	} else if err != nil {
		return s.explain(err, 0)
	}
	if _, err := readInventory(fs, s.dir); errors.Is(err, errNoManifest) {
		return nil
	}
	s.files = s.newFiles(fs)
	if err := errors.Join(s.troubles.opened(), i.openDatabase(o.fit())); err != nil {
		s.db = nil
		if len(i.lost) == 0 {
			return s.explain(err, 0)
		}
		i.lost = append(i.lost, Finding{s.dir, fmt.Sprintf("what is left cannot be read: %v", firstLine{err})})
		return nil
	}
	// Check looks whether it may be missing.
	if err := newerFormat(s.db); err != nil && !errors.Is(err, crdb.ErrNotFound) {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

func (i *Inspection) openDatabase(o Options) (err error) {
	defer contain(&err)
	settings := i.s.pebbleOptions(o.memTable)
	settings.ReadOnly = true
	settings.DisableTableStats = true
	i.s.db, err = crdb.Open(o.Dir, settings)
	return err
}

// Empty reports whether there is nothing to look at: a crash came before the first change, or nothing can be read.
func (i *Inspection) Empty() bool { return i.s.db == nil }

// Store returns the store, every change of which fails with storage.ErrClosed. It must not be used if the store is
// empty.
func (i *Inspection) Store() storage.Store { return i.s }

// Close closes the store. Twice is harmless.
func (i *Inspection) Close() error {
	return i.s.life.end(func() (err error) {
		i.s.life.wait()
		i.s.troubles.close()
		if i.s.db != nil {
			func() {
				defer contain(&err)
				err = i.s.db.Close()
			}()
		}
		return errors.Join(err, i.s.lock.Close())
	})
}
