package pebble

import (
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
}

// kindOf is fileKind for the files of the database itself: a copy of it has the same names, and nothing of it is ours.
func (f *files) kindOf(name string) (kind, uint64) {
	if f.PathDir(name) != f.dir {
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
		return &outputFile{File: file, fs: f.FS, name: name}, nil
	case manifestFile:
		file, err := f.FS.Create(name, category)
		if err != nil {
			return nil, err
		}
		return f.logs.manifest(file, number), nil
	case otherFile:
	}
	return f.FS.Create(name, category)
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
	return f.FS.Rename(from, to)
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
}

func (o *outputFile) note(err error) error {
	if err != nil {
		o.failed.Store(true)
	}
	return err
}

func (o *outputFile) Write(p []byte) (int, error) {
	n, err := o.File.Write(p)
	return n, o.note(err)
}

func (o *outputFile) Sync() error     { return o.note(o.File.Sync()) }
func (o *outputFile) SyncData() error { return o.note(o.File.SyncData()) }

func (o *outputFile) SyncTo(length int64) (bool, error) {
	full, err := o.File.SyncTo(length)
	return full, o.note(err)
}

func (o *outputFile) Close() error {
	err := o.note(o.File.Close())
	if o.failed.Load() {
		err = errors.Join(err, o.fs.Remove(o.name))
	}
	return err
}
