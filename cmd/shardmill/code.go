package main

import (
	"archive/zip"
	"bytes"
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

// Limits of code that is taken from a directory. The sizes are AWS's.
const (
	maxCodeFiles = 20_000
	maxCodeBytes = 262_144_000 // all files together
	maxCodeZip   = 52_428_800  // their zip
)

// codeTree is what a directory with a function's code holds.
type codeTree struct {
	root  string
	files []codeFile // in lexical order
}

// codeFile is one file, or in a shallow scan a directory that is not looked into.
type codeFile struct {
	path     string // from the root, with slashes
	size     int64
	mode     fs.FileMode
	modified time.Time
}

// leftOut are names of directories and files that are not part of a function.
var leftOut = map[string]bool{".git": true, ".venv": true, "__pycache__": true, ".DS_Store": true, ".pytest_cache": true, ".mypy_cache": true}

// scanCode lists a directory. A shallow scan does not look into node_modules, whose thousands of files change when packages are installed and not in
// between; it takes the directory itself for them. root may be a link, and links to files are followed; other links to directories are refused, since they
// may lead in a circle or out of the code.
func scanCode(root string, shallow bool) (codeTree, error) {
	if target, err := filepath.EvalSymlinks(root); err == nil { // WalkDir follows no link; what is wrong with root it says itself
		root = target
	}
	t := codeTree{root: root}
	var total int64
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && name != root {
				return nil // an editor has removed its temporary file meanwhile
			}
			return err
		}
		if leftOut[d.Name()] && name != root {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		opaque := shallow && d.IsDir() && d.Name() == "node_modules"
		if d.IsDir() && !opaque {
			return nil
		}
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if !opaque && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a directory (links to directories are not followed)", name)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f := codeFile{path: filepath.ToSlash(rel), mode: info.Mode(), modified: info.ModTime()}
		if !opaque {
			f.size = info.Size()
		}
		t.files = append(t.files, f)
		total += f.size
		switch {
		case len(t.files) > maxCodeFiles:
			return fmt.Errorf("%s holds more than %d files", root, maxCodeFiles)
		case total > maxCodeBytes:
			return fmt.Errorf("the files in %s are larger than %d bytes, the most that a function can have", root, maxCodeBytes)
		case opaque:
			return fs.SkipDir
		}
		return nil
	})
	return t, err
}

// fingerprint changes when a file comes, goes or is written.
func (t codeTree) fingerprint() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range t.files {
		_, _ = fmt.Fprintf(h, "%q %d %o %d\n", f.path, f.size, f.mode, f.modified.UnixNano())
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// zip packs the files. Equal content makes equal bytes, whenever it was written, so that the server can tell whether anything is new.
func (t codeTree) zip() ([]byte, error) {
	b := bounded{limit: maxCodeZip}
	z := zip.NewWriter(&b)
	for _, f := range t.files {
		if err := t.add(z, f); err != nil {
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
	in, err := os.Open(filepath.Join(t.root, filepath.FromSlash(f.path)))
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
	// No more than was scanned: a file that grows meanwhile is packed again with the next change.
	_, err = io.Copy(out, io.LimitReader(in, f.size))
	return err
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// readCode is the zip of a function: a directory packed, or a zip file as it is.
func readCode(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		t, err := scanCode(name, false)
		if err != nil {
			return nil, err
		}
		return t.zip()
	}
	if info.Size() > maxCodeZip {
		return nil, fmt.Errorf("%s is larger than %d bytes, the most that a function's zip can have", name, maxCodeZip)
	}
	return os.ReadFile(name)
}
