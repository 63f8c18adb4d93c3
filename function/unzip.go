package function

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// Limits of a package. Sizes are in bytes. Source: Lambda Developer Guide, "Lambda quotas".
const (
	maxZip      = 52_428_800
	maxUnzipped = 262_144_000
	maxEntries  = 100_000
	maxLink     = 4096 // of a symbolic link's target
)

// AWS's answers to packages it cannot use.
var (
	errZipSize    = fault.New("RequestEntityTooLargeException", "Zipped size must be smaller than %d bytes", maxZip).WithStatus(413)
	errUnzipped   = fault.New("InvalidParameterValueException", "Unzipped size must be smaller than %d bytes", maxUnzipped)
	errNotZip     = fault.New("InvalidParameterValueException", "Could not unzip uploaded file. Please check your file, then try to upload again.")
	errEmptyZip   = fault.New("InvalidParameterValueException", "Uploaded file must be a non-empty zip")
	directoryMark = []byte("PK\x01\x02")
)

// refuseZip is AWS's refusal with the reason beside it.
func refuseZip(format string, args ...any) error {
	return errNotZip.WithHint("The package was refused: %s.", fmt.Sprintf(format, args...))
}

// openZip reads the directory of a package and judges it before anything is inflated: number of entries, declared sizes, names, kinds.
func openZip(b []byte) ([]zipEntry, error) {
	switch {
	case len(b) == 0:
		return nil, errEmptyZip
	case len(b) > maxZip:
		return nil, errZipSize
	case bytes.Count(b, directoryMark) > 4*maxEntries: // archive/zip would hold them all; nested archives may add a few
		return nil, refuseZip("it has more than %d entries", maxEntries)
	}
	r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // insecure paths are judged below
		return nil, refuseZip("%v", err)
	}
	switch {
	case len(r.File) == 0:
		return nil, errEmptyZip
	case len(r.File) > maxEntries:
		return nil, refuseZip("it has more than %d entries", maxEntries)
	}
	entries := make([]zipEntry, 0, len(r.File))
	var total uint64
	for _, f := range r.File {
		if total += min(f.UncompressedSize64, maxUnzipped+1); total > maxUnzipped {
			return nil, errUnzipped
		}
		e, err := judge(f)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// zipEntry is an entry that has been judged.
type zipEntry struct {
	file *zip.File
	name string      // clean, relative, with slashes; "." for the root
	kind fs.FileMode // 0, ModeDir or ModeSymlink
	exec bool
}

// Creators of zip entries, the upper byte of "version made by".
const (
	madeByUnix  = 3
	madeByMacOS = 19
)

// judge refuses names that lead out of the package and everything but files, directories and links.
func judge(f *zip.File) (zipEntry, error) {
	made := f.CreatorVersion >> 8
	unix := made == madeByUnix || made == madeByMacOS
	name := f.Name
	if !unix { // Windows tools write backslashes between directories
		name = strings.ReplaceAll(name, `\`, "/")
	}
	dir := strings.HasSuffix(name, "/")
	clean := path.Clean(name)
	switch {
	case name == "", strings.ContainsAny(name, "\x00\\"), path.IsAbs(name), clean == "..", strings.HasPrefix(clean, "../"),
		strings.Contains("/"+name+"/", "/../"), len(clean) >= 2 && clean[1] == ':' && !unix:
		return zipEntry{}, refuseZip("the name %q is not a path inside the package", fault.Clip(f.Name, 200))
	}
	e := zipEntry{file: f, name: clean}
	if !unix {
		if dir {
			e.kind = fs.ModeDir
		}
		e.exec = clean == "bootstrap" // Windows has no such bit, and the runtime needs it
		return e, nil
	}
	mode := f.Mode()
	e.kind = mode.Type()
	if e.kind == 0 && dir {
		e.kind = fs.ModeDir
	}
	if e.kind != 0 && e.kind != fs.ModeDir && e.kind != fs.ModeSymlink {
		return zipEntry{}, refuseZip("%q is neither a file nor a directory nor a link", fault.Clip(f.Name, 200))
	}
	e.exec = mode&0o111 != 0
	return e, nil
}

// unzip writes a package into the empty directory dir, read-only. Links come last, so that no entry is ever written through one, and may not lead
// out of dir. What is inflated is counted, whatever the directory of the archive says.
func unzip(b []byte, dir string) error {
	entries, err := openZip(b)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(maxUnzipped)
	for _, e := range entries {
		if e.kind == fs.ModeDir {
			err = root.MkdirAll(e.name, 0o755)
		} else if err = root.MkdirAll(path.Dir(e.name), 0o755); err == nil && e.kind == 0 {
			err = inflate(root, e, &left)
		}
		if err != nil {
			return badEntry(e, err)
		}
	}
	for _, e := range entries {
		if e.kind == fs.ModeSymlink {
			if err := link(root, e, &left); err != nil {
				return badEntry(e, err)
			}
		}
	}
	return seal(root, entries)
}

// badEntry keeps refusals and faults of this machine as they are; everything else is the archive's fault.
func badEntry(e zipEntry, err error) error {
	var f *fault.Error
	if errors.As(err, &f) || isOurs(err) {
		return err
	}
	return refuseZip("%q: %v", fault.Clip(e.file.Name, 200), err)
}

func inflate(root *os.Root, e zipEntry, left *int64) error {
	in, err := e.file.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	mode := fs.FileMode(0o444)
	if e.exec {
		mode = 0o555
	}
	_ = root.Remove(e.name) // a later entry of the same name wins, as with unzip
	out, err := root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, *left+1))
	if *left -= n; *left < 0 {
		err = errUnzipped
	}
	if err == nil {
		err = out.Chmod(mode)
	}
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}

// link makes a symbolic link whose target climbs only at its beginning; then its meaning is the same whatever lies on the way.
func link(root *os.Root, e zipEntry, left *int64) error {
	in, err := e.file.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxLink+1))
	if err != nil {
		return err
	}
	*left -= int64(len(b))
	target := string(b)
	below := strings.TrimPrefix(target, "./")
	for strings.HasPrefix(below, "../") {
		below = below[3:]
	}
	inside := path.Join(path.Dir(e.name), target)
	if len(b) == 0 || len(b) > maxLink || path.IsAbs(target) || strings.ContainsAny(target, "\x00\\") ||
		strings.Contains("/"+below+"/", "/../") && below != ".." || inside == ".." || strings.HasPrefix(inside, "../") {
		return refuseZip("the link %q leads out of the package", fault.Clip(e.file.Name, 200))
	}
	return root.Symlink(target, e.name)
}

// seal makes the directories read-only, the inner ones first.
func seal(root *os.Root, entries []zipEntry) error {
	dirs := map[string]bool{".": true}
	for _, e := range entries {
		d := e.name
		if e.kind != fs.ModeDir {
			d = path.Dir(d)
		}
		for ; d != "." && !dirs[d]; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	names := sortedKeys(dirs)
	for i := len(names) - 1; i >= 0; i-- {
		if err := root.Chmod(names[i], 0o555); err != nil {
			return err
		}
	}
	return nil
}
