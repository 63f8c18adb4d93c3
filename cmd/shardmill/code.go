package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Limits of code from a directory. The sizes are AWS's.
const (
	maxCodeFiles = 20_000
	maxCodeNames = 200_000     // of files and directories, including those that are left out
	maxCodeBytes = 262_144_000 // all files together
	maxCodeZip   = 52_428_800  // their zip
)

// codeTree is the contents of a directory with a function's code.
type codeTree struct {
	root  string
	files []codeFile // in lexical order
}

// codeFile is one file, or in a shallow scan a directory that is not read.
type codeFile struct {
	path     string // from the root, with slashes
	size     int64
	mode     fs.FileMode
	modified time.Time
}

// leftOut names directories and files that are not part of a function.
var leftOut = map[string]bool{
	".git": true, ".venv": true, "__pycache__": true, ".DS_Store": true, ".pytest_cache": true, ".mypy_cache": true,
}

// scanCode lists a directory. A shallow scan does not read node_modules, whose thousands of files change only when
// packages are installed; the directory itself stands for them. root may be a link, and links to files are followed;
// other links to directories are refused, because they may lead in a circle or out of the code. It ends with ctx.
func scanCode(ctx context.Context, root string, shallow bool) (codeTree, error) {
	s := scan{ctx: ctx, shallow: shallow, tree: codeTree{root: root}}
	err := s.dir("")
	return s.tree, err
}

// scan is the state of reading a directory tree.
type scan struct {
	ctx     context.Context
	shallow bool
	tree    codeTree
	seen    int   // names
	total   int64 // bytes
}

// count bounds how many names are read, whether they are part of the code or not.
func (s *scan) count(n int) error {
	if s.seen += n; s.seen > maxCodeNames {
		return fmt.Errorf("%s holds more than %d files and directories", s.tree.root, maxCodeNames)
	}
	return s.ctx.Err()
}

// dir reads the directory at a path relative to the root, which is "".
func (s *scan) dir(at string) error {
	entries, err := readDir(filepath.Join(s.tree.root, filepath.FromSlash(at)), s.count)
	if errors.Is(err, fs.ErrNotExist) && at != "" {
		return nil // removed meanwhile
	}
	if err != nil {
		return err
	}
	for _, d := range entries {
		if err := s.entry(path.Join(at, d.Name()), d); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) entry(at string, d fs.DirEntry) error {
	opaque := s.shallow && d.IsDir() && d.Name() == "node_modules"
	switch {
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	case leftOut[d.Name()]:
		return nil
	case d.IsDir() && !opaque:
		return s.dir(at)
	}
	name := filepath.Join(s.tree.root, filepath.FromSlash(at))
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an editor has removed its temporary file
	}
	if err != nil {
		return err
	}
	f := codeFile{path: at, mode: info.Mode(), modified: info.ModTime()}
	switch {
	case info.IsDir() && !opaque:
		return fmt.Errorf("%s is neither a file nor a directory (links to directories are not followed)", name)
	case !info.IsDir() && !info.Mode().IsRegular():
		return fmt.Errorf("%s is %s, neither a file nor a directory", name, kindOf(info.Mode()))
	case !opaque:
		f.size = info.Size()
	}
	s.tree.files = append(s.tree.files, f)
	s.total += f.size
	switch {
	case len(s.tree.files) > maxCodeFiles:
		return fmt.Errorf("%s holds more than %d files", s.tree.root, maxCodeFiles)
	case s.total > maxCodeBytes:
		return fmt.Errorf(
			"the files in %s are larger than %d bytes, the most that a function can have", s.tree.root, maxCodeBytes,
		)
	}
	return nil
}

// fingerprint changes when a file comes, goes or is written.
func (t codeTree) fingerprint() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range t.files {
		_, _ = fmt.Fprintf(h, "%q %d %o %d\n", f.path, f.size, f.mode, f.modified.UnixNano())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// zip packs the files. Equal content gives equal bytes, whenever it was written, so that the server can tell whether
// anything is new.
func (t codeTree) zip(ctx context.Context) ([]byte, error) {
	b := bounded{limit: maxCodeZip}
	z := zip.NewWriter(&b)
	for _, f := range t.files {
		if err := cmp.Or(ctx.Err(), t.add(z, f)); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.buf.Bytes(), nil
}

// bounded is a buffer that refuses to grow beyond a limit.
type bounded struct {
	buf   bytes.Buffer
	limit int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > b.limit {
		return 0, fmt.Errorf("its zip is larger than %d bytes, the most that a function can have", b.limit)
	}
	return b.buf.Write(p)
}

func (t codeTree) add(z *zip.Writer, f codeFile) error {
	in, err := openFile(filepath.Join(t.root, filepath.FromSlash(f.path)))
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // it was only read
	h := &zip.FileHeader{Name: path.Clean(f.path), Method: zip.Deflate}
	h.SetMode(0o644 | f.mode&0o111)
	out, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	// Copy no more than was scanned: a file that grows meanwhile is packed again with the next change.
	_, err = io.Copy(out, io.LimitReader(in, f.size))
	return err
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// readCode returns the zip of a function: a packed directory, or a zip file as it is.
func readCode(ctx context.Context, name string) ([]byte, error) {
	if isDir(name) {
		t, err := scanCode(ctx, name, false)
		if err != nil {
			return nil, err
		}
		return t.zip(ctx)
	}
	b, err := readBounded(name, maxCodeZip)
	if err == nil && len(b) > maxCodeZip {
		err = fmt.Errorf("%s is larger than %d bytes, the most that a function's zip can have", name, maxCodeZip)
	}
	return b, err
}
