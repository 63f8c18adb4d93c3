package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// inventory lists the files that a manifest counts on. Pebble reads the same when it opens, but checks only tables and
// does not publish it.
type inventory struct {
	number uint64            // of the manifest
	bytes  int64             // of the manifest, as far as it is readable
	minLog uint64            // commits in logs with smaller numbers lie in tables
	tables map[uint64]uint64 // number to bytes
	blobs  map[uint64]uint64 // number to bytes
}

// manifestMarker is the name under which Pebble says which manifest is the current one.
const manifestMarker = "manifest"

var errNoManifest = errors.New("there is no manifest")

// readInventory reads the current manifest in dir. errNoManifest: no database was ever made there, or its manifest is
// gone.
func readInventory(fs vfs.FS, dir string) (*inventory, error) {
	name, err := atomicfs.ReadMarker(fs, dir, manifestMarker)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, errNoManifest
	}
	inv := &inventory{tables: map[uint64]uint64{}, blobs: map[uint64]uint64{}}
	_, inv.number = fileKind(name)
	f, err := fs.Open(fs.PathJoin(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		bare, listErr := bare(fs, dir)
		if bare {
			err = errNoManifest
		}
		return nil, errors.Join(err, listErr)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	edits := record.NewReader(f, 0)
	for {
		edit, err := edits.Next()
		var b []byte
		if err == nil {
			b, err = io.ReadAll(edit)
		}
		if errors.Is(err, io.EOF) || record.IsInvalidRecord(err) { // a crash may leave half an edit
			return inv, nil
		}
		if err != nil {
			return nil, err
		}
		if err := inv.apply(bytes.NewReader(b)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		inv.bytes = edits.Offset()
	}
}

// bare reports whether a directory has no file of a database. A crash in its first moments may leave the name of a
// manifest that is not there; Pebble makes all else after both are on disk.
func bare(fs vfs.FS, dir string) (bool, error) {
	names, err := fs.List(dir)
	return err == nil && !slices.ContainsFunc(names, func(name string) bool {
		kind, _ := fileKind(name)
		return kind != otherFile
	}), err
}

// dropName removes the name of a manifest that is not there, so that Pebble makes a new one. check has found that
// nothing else was there either.
func (s *Store) dropName(fs vfs.FS) error {
	if _, err := readInventory(fs, s.dir); !errors.Is(err, errNoManifest) {
		return nil //nolint:nilerr // opening the database says it better
	}
	names, err := fs.List(s.dir)
	for _, name := range names {
		if strings.HasPrefix(name, "marker."+manifestMarker+".") {
			err = errors.Join(err, fs.Remove(fs.PathJoin(s.dir, name)))
		}
	}
	return err
}

// Tags of an edit. The numbers are Pebble's, of the one format that tuning.go fixes, and of those that lead to it.
const (
	editComparer       = 1
	editMinLog         = 2
	editNextFile       = 3
	editLastSequence   = 4
	editCompactPointer = 5
	editDeletedTable   = 6
	editPrevLog        = 9
	editNewTable       = 103
	editNewTableRanges = 104
	editNewBacking     = 105
	editRemovedBacking = 106
	editNewBlob        = 107
	editDeletedBlob    = 108

	fieldEnd     = 1
	fieldVirtual = 66
	fieldBlobs   = 69
	hasPoints    = 1 // for the bounds of a table with range keys
)

// edit reads the parts of one edit; after an error every part is 0.
type edit struct {
	*bytes.Reader
	err error
}

func (e *edit) number() uint64 {
	if e.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(e.Reader)
	e.err = err
	return n
}

func (e *edit) text() {
	n := e.number()
	if e.err == nil && n > uint64(e.Len()) {
		e.err = io.ErrUnexpectedEOF
	}
	if e.err == nil {
		_, e.err = e.Seek(int64(n), io.SeekCurrent)
	}
}

func (inv *inventory) apply(r *bytes.Reader) error {
	e := &edit{Reader: r}
	added := map[uint64]uint64{} // one edit deletes and adds a table that moves to another level
	for e.Len() > 0 && e.err == nil {
		switch tag := e.number(); tag {
		case editComparer:
			e.text()
		case editMinLog:
			inv.minLog = e.number()
		case editNextFile, editLastSequence, editPrevLog:
			e.number()
		case editCompactPointer:
			e.number()
			e.text()
		case editDeletedTable:
			e.number()
			delete(inv.tables, e.number())
		case editNewTable, editNewTableRanges:
			if number, size, own := e.table(tag); own {
				added[number] = size
			}
		case editNewBacking:
			number := e.number()
			added[number] = e.number()
		case editRemovedBacking:
			delete(inv.tables, e.number())
		case editNewBlob:
			e.number()
			number := e.number()
			inv.blobs[number] = e.number()
			e.number()
			e.number()
		case editDeletedBlob:
			e.number()
			delete(inv.blobs, e.number())
		default:
			return fmt.Errorf("edit %d is not known", tag)
		}
	}
	for number, size := range added {
		inv.tables[number] = size
	}
	return e.err
}

// table reads a new table. own: it is a file of its own, not part of one.
func (e *edit) table(tag uint64) (number, size uint64, own bool) {
	e.number()
	number, size = e.number(), e.number()
	bounds := 1
	if tag == editNewTableRanges {
		if marker, err := e.ReadByte(); err != nil {
			e.err = firstError(e.err, err)
		} else if marker&hasPoints != 0 {
			bounds = 2
		}
	}
	for range bounds {
		e.text()
		e.text()
	}
	e.number()
	e.number()
	own = true
	for e.err == nil {
		switch field := e.number(); field {
		case fieldEnd:
			return number, size, own
		case fieldVirtual:
			own = false
			e.number()
		case fieldBlobs:
			e.number()
			n := e.number()
			for i := uint64(0); i < min(n, math.MaxInt32) && e.err == nil; i++ {
				e.number()
				e.number()
			}
		default:
			e.text()
		}
	}
	return number, size, own
}
