package bucket

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/shardmill/shardmill/internal/durable"
)

// files keeps content in files: DIR/content/SHA256, once it is whole and durable, and DIR/incoming before that.
type files struct {
	dir      string
	minFree  int64
	syncFile func(*os.File) error   // returns when what was written to a file is durable
	syncDir  func(dir string) error // as durable.SyncDir
}

func newFiles(dir string, minFree int64) *files {
	return &files{dir, minFree, (*os.File).Sync, durable.SyncDir}
}

func (f *files) kept() string     { return filepath.Join(f.dir, "content") }
func (f *files) incoming() string { return filepath.Join(f.dir, "incoming") }

func (f *files) path(n blob) string { return filepath.Join(f.kept(), hex.EncodeToString(n[:])) }

// prepare removes what had not become whole when an earlier process ended.
func (f *files) prepare() error {
	if err := os.RemoveAll(f.incoming()); err != nil {
		return err
	}
	if err := durable.MakeDir(f.kept()); err != nil {
		return err
	}
	return durable.MakeDir(f.incoming())
}

// Free space is looked at before the first byte of a draft, and every lookEvery bytes.
const (
	defaultMinFree = 1 << 30
	lookEvery      = 32 << 20
)

// look returns errFull when objects may use no more of the disk.
func (f *files) look() error {
	if f.minFree < 0 {
		return nil
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(f.dir, &s); err != nil {
		return fmt.Errorf("the free space of %s is unknown: %w", f.dir, err)
	}
	//nolint:unconvert // Bsize has another type on macOS
	free, size := int64(s.Bavail)*int64(s.Bsize), int64(s.Blocks)*int64(s.Bsize)
	least := f.minFree
	if least == 0 {
		least = min(defaultMinFree, size/10)
	}
	if free < least {
		return errFull
	}
	return nil
}

func (f *files) create() (draft, error) {
	if err := f.look(); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(f.incoming(), "")
	if err != nil {
		return nil, err
	}
	return &fileDraft{files: f, file: file}, nil
}

type fileDraft struct {
	files *files
	file  *os.File
	since int64 // bytes since the last look
}

func (d *fileDraft) Write(p []byte) (int, error) {
	if d.since += int64(len(p)); d.since >= lookEvery {
		if err := d.files.look(); err != nil {
			return 0, err
		}
		d.since = 0
	}
	return d.file.Write(p)
}

func (d *fileDraft) keep(sum [32]byte, named func(blob)) error {
	err := d.files.syncFile(d.file)
	if e := d.file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	named(sum)
	// what is there under this name has the same bytes
	if err := os.Rename(d.file.Name(), d.files.path(sum)); err != nil {
		return err
	}
	return d.files.syncDir(d.files.kept())
}

func (d *fileDraft) drop() {
	_ = d.file.Close()
	_ = os.Remove(d.file.Name()) // gone already if it was kept
}

func (f *files) open(n blob, size int64) (reader, error) {
	file, err := os.Open(f.path(n))
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && (info.Size() != size || !info.Mode().IsRegular()) {
		err = errDamaged
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	return file, nil
}

func (f *files) remove(n blob) error {
	if err := os.Remove(f.path(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// dirPage is how many entries of a directory are read at once.
const dirPage = 1000

func (f *files) each(visit func(blob) bool) error {
	dir, err := os.Open(f.kept())
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(dirPage)
		for _, e := range entries {
			var n blob
			if len(e.Name()) != hex.EncodedLen(len(n)) {
				continue // not ours
			}
			if _, err := hex.Decode(n[:], []byte(e.Name())); err != nil {
				continue // not ours
			}
			if !visit(n) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
