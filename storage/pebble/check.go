package pebble

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// lost is the error of a start that finds durable bytes missing, according to the mark or to a log itself. The user can
// accept the loss.
type lost struct {
	dir  string
	what string
}

func (l *lost) Error() string { return l.what }

// Hint says what to do.
func (l *lost) Hint() string {
	return "check the disk, then restore " + l.dir + " from a backup; to go on with what is left: --accept-loss"
}

// ruined is the error of a start that finds something missing that it cannot do without.
type ruined struct {
	dir  string
	what string
}

func (r *ruined) Error() string { return r.what }

// Hint says what to do.
func (r *ruined) Hint() string { return "check the disk, then restore " + r.dir + " from a backup" }

// mustExist refuses a directory that has lost its database.
func (s *Store) mustExist(fs vfs.FS) error {
	name, err := atomicfs.ReadMarker(fs, s.dir, manifestMarker)
	if name != "" || err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil // the database is there, or the error shows up elsewhere
	}
	return &lost{
		s.dir, fmt.Sprintf("%s is missing or empty, and what lies beside it says that there was a store", s.dir),
	}
}

// check compares the files in the directory with what must be there: tables and blobs with the sizes in the manifest,
// logs with their own chunks, and all of them with the mark. What a crash may leave passes. It returns the mark, or nil
// without one.
func (s *Store) check(fs vfs.FS, acceptLoss bool) (*mark, error) {
	m, err := readMark(fs, s.dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", markFile, err)
	}
	inv, err := readInventory(fs, s.dir)
	switch {
	case errors.Is(err, errNoManifest) && m != nil && m.manifest.number > 0 && !acceptLoss:
		return m, &lost{s.dir, "its files are gone: there is no manifest, and there was one"}
	case errors.Is(err, errNoManifest):
		if m != nil && m.manifest.number > 0 {
			return nil, s.dropMark(fs) // accepted
		}
		return m, nil // a new directory, or one that a crash left half made
	case errors.Is(err, os.ErrNotExist):
		return m, &ruined{s.dir, fmt.Sprintf("the list of its files is missing (%s)", root(err))}
	case err != nil:
		return m, nil // Pebble reports what is wrong
	}
	if m == nil {
		m = &mark{}
	}
	if m.manifest.number == inv.number && inv.bytes+plainHead <= m.manifest.bytes {
		return m, &ruined{
			s.dir,
			fmt.Sprintf("the list of its files, %s%06d, can be read up to byte %d only, and %d were on disk: it was cut or is corrupt",
				manifestPrefix, inv.number, inv.bytes, m.manifest.bytes),
		}
	}
	if err := s.checkOutputs(fs, inv); err != nil {
		return m, err
	}
	return m, s.checkLogs(fs, inv, m, acceptLoss)
}

// checkOutputs checks that every table and blob exists and has its full length.
func (s *Store) checkOutputs(fs vfs.FS, inv *inventory) error {
	for suffix, files := range map[string]map[uint64]uint64{"sst": inv.tables, "blob": inv.blobs} {
		for _, number := range slices.Sorted(maps.Keys(files)) {
			name := fmt.Sprintf("%06d.%s", number, suffix)
			info, err := fs.Stat(fs.PathJoin(s.dir, name))
			switch {
			case errors.Is(err, os.ErrNotExist):
				return &ruined{s.dir, name + ", which holds records, is missing"}
			case err != nil:
				return fmt.Errorf("%s: %w", name, root(err))
			case uint64(info.Size()) != files[number]:
				return &ruined{
					s.dir,
					fmt.Sprintf(
						"%s, which holds records, has %d bytes and not %d: it was cut or overwritten", name,
						info.Size(), files[number],
					),
				}
			}
		}
	}
	return nil
}

// checkLogs checks that every log that is still needed exists and holds all its durable bytes.
func (s *Store) checkLogs(fs vfs.FS, inv *inventory, m *mark, acceptLoss bool) error {
	found, err := logNumbers(fs, s.dir, inv.minLog)
	if err != nil {
		return err
	}
	there, marked, all := map[uint64]bool{}, map[uint64]int64{}, map[uint64]struct{}{}
	for _, number := range found {
		there[number], all[number] = true, struct{}{}
	}
	for _, l := range m.logs {
		if l.number >= inv.minLog {
			marked[l.number], all[l.number] = l.bytes, struct{}{}
		}
	}
	numbers := slices.Sorted(maps.Keys(all))
	for i, number := range numbers {
		name := logName(number)
		var l logScan
		why := ""
		if there[number] {
			if l, err = scanLog(fs, fs.PathJoin(s.dir, name), number); err != nil {
				return fmt.Errorf("%s: %w", name, root(err))
			}
		}
		switch last := i == len(numbers)-1; {
		case !there[number]:
			why = fmt.Sprintf(
				"%s, a log of what was put last, is missing: at least %d bytes of acknowledged changes are gone", name,
				marked[number],
			)
		case l.whole+promisingHead <= marked[number]:
			why = fmt.Sprintf(
				"%s, a log of what was put last, can be read up to byte %d only, and %d were on disk: it was cut or is corrupt",
				name, l.sound, marked[number],
			)
		case l.damaged():
			why = fmt.Sprintf(
				"%s, a log of what was put last, is corrupt at byte %d: %d bytes that were on disk lie behind", name,
				l.broken, l.promised-l.broken,
			)
		case !last && !l.closed:
			why = fmt.Sprintf(
				"%s, a log of what was put last, ends at byte %d without the end that it had", name, l.sound,
			)
		case last && l.closed && m.turn > 0 && !m.closed: // or the crash came between two logs
			s.log.Warn(
				"the last log there is was closed as one is that another follows; a newer log may have been deleted",
				"dir", s.dir, "file", name,
			)
		case l.torn > 0:
			s.log.Warn("the log of what was put last ends in bytes that cannot be read; a write that a crash cut off leaves such, and so does damage",
				"dir", s.dir, "file", name, "bytes", l.torn, "read", l.sound)
		}
		if why == "" {
			continue
		}
		if !acceptLoss {
			return &lost{s.dir, why}
		}
		return s.giveUpLogs(fs, why, m, numbers[i:], there, l.sound)
	}
	return nil
}

// logNumbers returns the logs in dir whose numbers are at least least, in order.
func logNumbers(fs vfs.FS, dir string, least uint64) (numbers []uint64, err error) {
	names, err := fs.List(dir)
	for _, name := range names {
		if kind, number := fileKind(name); kind == logFile && number >= least {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

func logName(number uint64) string { return fmt.Sprintf("%06d.log", number) }

// lostPrefix begins the names of logs that were set aside.
const lostPrefix = "LOST-"

// giveUpLogs cuts the first of numbers behind its last whole record and sets the others aside, because they build on
// what is lost. Nothing is deleted.
func (s *Store) giveUpLogs(fs vfs.FS, why string, m *mark, numbers []uint64, there map[uint64]bool, sound int64) error {
	var aside []string
	for i, number := range numbers {
		if !there[number] {
			continue
		}
		name := logName(number)
		from, to := fs.PathJoin(s.dir, name), fs.PathJoin(s.dir, lostPrefix+name)
		kept, err := setAside(fs, from, to)
		switch {
		case err != nil:
		case i == 0 && sound > 0:
			err = cut(fs, from, sound)
		default:
			err = fs.Remove(from)
		}
		if err != nil {
			return fmt.Errorf("set %s aside: %w", name, err)
		}
		aside = append(aside, fs.PathBase(kept))
	}
	s.log.Error("acknowledged changes are lost, and the store goes on without them, as --accept-loss asks", "dir",
		s.dir,
		"why", why, "kept aside", aside, "known whole at",
		cmp.Or(m.at.UTC().Format("2006-01-02T15:04:05.000Z"), "unknown"))
	// The mark claims what was given up: if it stayed, the loss would be refused again after a crash before the next
	// mark.
	return errors.Join(s.dropMark(fs), syncDir(fs, s.dir))
}

// dropMark removes a mark that claims what was given up.
func (s *Store) dropMark(fs vfs.FS) error {
	if err := fs.Remove(fs.PathJoin(s.dir, markFile)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// setAside gives a file a second, unused name and returns it: files that were set aside before stay as they are.
func setAside(fs vfs.FS, name, as string) (string, error) {
	for kept, n := as, 2; ; n++ {
		err := fs.Link(name, kept)
		if !errors.Is(err, os.ErrExist) || n > maxAside {
			return kept, err
		}
		kept = fmt.Sprintf("%s.%d", as, n)
	}
}

const maxAside = 100 // of one log

// cut keeps the first n bytes of a file.
func cut(fs vfs.FS, name string, n int64) error {
	in, err := fs.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := fs.Create(name+".cut", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, n))
	if err == nil {
		err = out.Sync()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return fs.Rename(name+".cut", name)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
