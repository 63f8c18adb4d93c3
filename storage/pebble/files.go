package pebble

import (
	"bytes"
	"errors"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// kind says what a file of the database is, by its name.
type kind uint8

const (
	otherFile kind = iota
	logFile        // 000012.log: commits in order, until a flush has put them into tables
	tableFile      // 000012.sst
	blobFile       // 000012.blob: values of tables, beside them
	// MANIFEST-000012: which tables and blobs exist, and the first log whose commits are in no table
	manifestFile
)

const manifestPrefix = "MANIFEST-"

// fileKind returns the kind and the number of the file with that name, which may be a path.
func fileKind(name string) (kind, uint64) {
	base := path.Base(name)
	if text, ok := strings.CutPrefix(base, manifestPrefix); ok {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return manifestFile, n
		}
		return otherFile, 0
	}
	text, suffix, _ := strings.Cut(base, ".")
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return otherFile, 0
	}
	switch suffix {
	case "log":
		return logFile, n
	case "sst":
		return tableFile, n
	case "blob":
		return blobFile, n
	}
	return otherFile, 0
}

// archive is the directory to which Pebble moves files it no longer needs, when told to keep them. We tell it so
// because it would else recycle logs itself, five of them for as long as it runs; what it moves there is deleted, or
// becomes the spare log. The directory never exists.
const archive = "archive"

// files is the file system as Pebble sees it. Here the store learns of writes, holds them back and bounds them.
type files struct {
	vfs.FS   // frees the ballast when the disk is full
	dir      string
	logs     *logs
	troubles *troubles
	stuck    atomic.Bool // work in the background waits for the end of the process
}

// kindOf is fileKind for the files of the database itself: a copy of it has the same names, and nothing of it is ours.
func (f *files) kindOf(name string) (kind, uint64) {
	if !f.ours(name) {
		return otherFile, 0
	}
	return fileKind(name)
}

func (f *files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	switch kind, number := f.kindOf(name); kind {
	case logFile:
		return f.logs.create(name, number, category)
	case tableFile, blobFile:
		f.troubles.wait() // no lock that others need is held here
		file, err := f.FS.Create(name, category)
		if err != nil {
			return nil, err
		}
		o := &outputFile{File: file, fs: f.FS, name: name}
		if kind == blobFile {
			o.unfinished = f.abandon
		}
		return o, nil
	case manifestFile:
		file, err := f.FS.Create(name, category)
		if err != nil {
			return nil, f.refused(err)
		}
		return f.logs.manifest(file, number), nil
	case otherFile:
	}
	file, err := f.FS.Create(name, category)
	if err != nil || !f.ours(name) {
		return file, f.refusedIn(name, err)
	}
	return &settingFile{file, f}, nil
}

// ours reports whether a file lies in the directory of the store, and not in that of a copy.
func (f *files) ours(name string) bool { return f.PathDir(name) == f.dir }

// refused ends an opening that cannot write, and returns err when the store is open. Pebble would take itself apart
// while work in its background still goes on, which then panics. So it learns nothing, and waits for the end of the
// process.
func (f *files) refused(err error) error {
	if err != nil && f.troubles.giveUp(err) {
		select {}
	}
	return err
}

func (f *files) refusedIn(name string, err error) error {
	if f.ours(name) {
		return f.refused(err)
	}
	return err
}

// abandon ends the store where Pebble could only panic. It does not return.
func (f *files) abandon(err error) {
	f.stuck.Store(true)
	f.logs.failed(err)
	select {}
}

// settingFile is a small file that Pebble writes as a whole: its options, a marker.
type settingFile struct {
	vfs.File
	files *files
}

func (s *settingFile) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	return n, s.files.refused(err)
}

func (s *settingFile) Sync() error     { return s.files.refused(s.File.Sync()) }
func (s *settingFile) SyncData() error { return s.files.refused(s.File.SyncData()) }
func (s *settingFile) Close() error    { return s.files.refused(s.File.Close()) }

// OpenDir watches the syncs of the store's own directory. Which files are there is then as unknown as what a failed
// sync has left of a log, and Pebble could only panic.
func (f *files) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil || !f.ours(f.PathJoin(name, "a")) {
		return dir, err
	}
	return &syncedDir{dir, f.logs.failed}, nil
}

type syncedDir struct {
	vfs.File
	failed func(error)
}

func (d *syncedDir) Sync() error {
	err := d.File.Sync()
	if err != nil {
		d.failed(err)
	}
	return err
}

// Open checks what is read from a blob file: Pebble would report a damaged one as a file that it does not know, and
// panic.
func (f *files) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	if kind, _ := f.kindOf(name); kind != blobFile {
		return file, err
	}
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, f.damaged(name, "it is missing")
		}
		return nil, err
	}
	b := &blobInput{File: file, files: f, name: name}
	if err := b.check(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return b, nil
}

func (f *files) damaged(name, why string) error {
	err := &damage{f.PathBase(name), why}
	f.troubles.damaged(name, err)
	return err
}

func (f *files) MkdirAll(dir string, perm os.FileMode) error {
	if f.PathBase(dir) == archive {
		return nil
	}
	return f.FS.MkdirAll(dir, perm)
}

func (f *files) Rename(from, to string) error {
	if f.PathBase(f.PathDir(to)) == archive {
		return f.Remove(from)
	}
	return f.refusedIn(to, f.FS.Rename(from, to))
}

func (f *files) Remove(name string) error {
	if kind, number := f.kindOf(name); kind == logFile {
		return f.logs.remove(name, number)
	}
	return f.FS.Remove(name)
}

// GetDiskUsage hides its error: Pebble calls it to learn how much it may delete at once, and would report the error as
// one of its own work.
func (f *files) GetDiskUsage(dir string) (vfs.DiskUsage, error) {
	usage, err := f.FS.GetDiskUsage(dir)
	if err != nil {
		return usage, vfs.ErrUnsupported
	}
	return usage, nil
}

func (f *files) Unwrap() vfs.FS { return f.FS }

// outputFile is a table or blob file being written. Pebble forgets those that it could not write and starts over with
// others.
type outputFile struct {
	vfs.File
	fs     vfs.FS
	name   string
	failed atomic.Bool
	// called when a blob could not be finished, which Pebble does not survive; nil: not a blob
	unfinished func(error)
}

func (o *outputFile) note(err error) error {
	if err != nil {
		o.failed.Store(true)
	}
	return err
}

func (o *outputFile) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	if err != nil && o.unfinished != nil && bytes.HasSuffix(p, []byte(blobMagic)) { // its end; else Pebble starts over
		o.unfinished(err)
	}
	return n, o.note(err)
}

func (o *outputFile) Sync() error     { return o.synced(o.File.Sync()) }
func (o *outputFile) SyncData() error { return o.synced(o.File.SyncData()) }

func (o *outputFile) SyncTo(length int64) (bool, error) {
	full, err := o.File.SyncTo(length)
	return full, o.synced(err)
}

// synced ends the store where a blob could not be synced: that is part of its end, too.
func (o *outputFile) synced(err error) error {
	if err != nil && o.unfinished != nil {
		o.unfinished(err)
	}
	return o.note(err)
}

func (o *outputFile) Close() error {
	given := o.failed.Load() // up before
	err := o.note(o.File.Close())
	if err != nil && !given && o.unfinished != nil {
		o.unfinished(err)
	}
	if o.failed.Load() {
		err = errors.Join(err, o.fs.Remove(o.name))
	}
	return err
}
