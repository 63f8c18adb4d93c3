package function

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// unzip writes a package into the empty directory dir, read-only. A link may not lead out of dir, and no entry is ever
// written through one. Inflated bytes are counted, whatever the directory of the archive says. The work ends with ctx.
//
// Directories are made side by side and finally moved into each other, inner ones first: each costs the same at any
// depth.
func unzip(ctx context.Context, b []byte, dir string) error {
	entries, err := openZip(b)
	if err != nil {
		return err
	}
	t, err := layOut(entries)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(t.stage, 0o755); err != nil {
		return err
	}
	stage, err := root.OpenRoot(t.stage)
	if err != nil {
		return err
	}
	defer stage.Close()
	u := &unzipping{ctx: ctx, root: root, stage: stage, tree: t, left: maxUnzipped}
	if err := u.makeFolders(); err != nil {
		return err
	}
	for _, i := range t.keep {
		if err := u.write(entries[i], t.home[i]); err != nil {
			return badEntry(entries[i].name, err)
		}
	}
	return u.assemble()
}

// folder is a directory of a package.
type folder struct {
	parent int    // index of the one that it is in
	name   string // in that
	path   string
}

// tree is where everything in a package goes.
type tree struct {
	folders []folder // the root first, each before those in it
	keep    []int    // entries that are files or links, in the order of the archive
	stage   string   // a name that nothing in the root has
	home    []int    // of each entry: its folder
}

// layOut finds out which directories a package has, named or implied, and which of several entries of a name counts:
// the last, as with unzip.
func layOut(entries []zipEntry) (*tree, error) {
	t := &tree{folders: []folder{{path: "."}}, home: make([]int, len(entries))}
	at := map[string]int{".": 0}
	enter := func(dir string) (int, error) {
		var missing []string
		for ; ; dir = above(dir) {
			if _, there := at[dir]; there {
				break
			}
			missing = append(missing, dir)
		}
		i := at[dir]
		for k := len(missing) - 1; k >= 0; k-- {
			if len(t.folders) > len(entries)+maxImplied {
				return 0, refuseZip(
					"the names of its %d entries imply more than %d directories", len(entries), len(entries)+maxImplied,
				)
			}
			t.folders = append(t.folders, folder{i, path.Base(missing[k]), missing[k]})
			i = len(t.folders) - 1
			at[missing[k]] = i
		}
		return i, nil
	}
	last := map[string]int{} // files and links
	for i, e := range entries {
		dir := e.name
		if e.kind != fs.ModeDir {
			last[e.name] = i
			dir = above(dir)
		}
		var err error
		if t.home[i], err = enter(dir); err != nil {
			return nil, err
		}
	}
	if len(t.folders)+len(last) > maxEntries {
		return nil, refuseZip("it has more than %d files and directories", maxEntries)
	}
	for _, f := range t.folders {
		if i, ok := last[f.path]; ok {
			return nil, refuseZip(
				"%s is a directory in one entry and %s in another", quoted(f.path), what(entries[i].kind),
			)
		}
	}
	for t.stage = ".unpacking"; ; t.stage += "-" {
		_, file := last[t.stage]
		if _, dir := at[t.stage]; !file && !dir {
			break
		}
	}
	for i, e := range entries {
		if e.kind != fs.ModeDir && last[e.name] == i {
			t.keep = append(t.keep, i)
		}
	}
	return t, nil
}

// above is path.Dir of a clean path, which need not be cleaned again.
func above(dir string) string {
	i := strings.LastIndexByte(dir, '/')
	if i < 0 {
		return "."
	}
	return dir[:i]
}

func what(kind fs.FileMode) string {
	if kind == fs.ModeSymlink {
		return "a link"
	}
	return "a file"
}

// unzipping is a package on its way to the disk.
type unzipping struct {
	ctx         context.Context
	root, stage *os.Root // the package; in it, the folders by number until they are moved
	tree        *tree
	left        int64 // bytes that may still be inflated
}

// in returns the path of an entry in a folder that is not moved yet, and the root of that path.
func (u *unzipping) in(folder int, name string) (*os.Root, string) {
	if folder == 0 {
		return u.root, name
	}
	return u.stage, strconv.Itoa(folder) + "/" + name
}

func (u *unzipping) makeFolders() error {
	for i := range u.tree.folders[1:] {
		if err := u.ctx.Err(); err != nil {
			return err
		}
		if err := u.stage.Mkdir(strconv.Itoa(i+1), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// write makes a file or a link in its folder.
func (u *unzipping) write(e zipEntry, home int) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	in, err := e.file.Open()
	if err != nil {
		return damage(err)
	}
	defer in.Close()
	root, name := u.in(home, path.Base(e.name))
	if e.kind == fs.ModeSymlink {
		target, err := u.target(e, in)
		if err != nil {
			return err
		}
		return root.Symlink(target, name)
	}
	out, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(&untilDone{u.ctx, in}, u.left+1))
	if u.left -= n; u.left < 0 {
		err = errUnzipped
	}
	if err == nil {
		mode := fs.FileMode(0o444)
		if e.exec {
			mode = 0o555
		}
		err = out.Chmod(mode)
	}
	if e := out.Close(); err == nil {
		err = e
	}
	return damage(err)
}

// untilDone is a reader that ends with a context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

// target reads the target of a symbolic link. It may climb only at its beginning; then it means the same whatever the
// path crosses.
func (u *unzipping) target(e zipEntry, in io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(in, maxLink+1))
	if err != nil {
		return "", damage(err)
	}
	u.left -= int64(len(b))
	target := string(b)
	below := strings.TrimPrefix(target, "./")
	for strings.HasPrefix(below, "../") {
		below = below[3:]
	}
	inside := path.Join(path.Dir(e.name), target)
	if len(b) == 0 || len(b) > maxLink || path.IsAbs(target) || strings.ContainsAny(target, "\x00\\") ||
		strings.Contains("/"+below+"/", "/../") && below != ".." || inside == ".." || strings.HasPrefix(inside, "../") {
		return "", refuseZip("the link %s leads out of the package", quoted(e.name))
	}
	return target, nil
}

// assemble moves every folder into the one that it is in, and makes it read-only there: where it came from, it could
// not be moved any more.
func (u *unzipping) assemble() error {
	for i := len(u.tree.folders) - 1; i > 0; i-- {
		f := u.tree.folders[i]
		if err := u.ctx.Err(); err != nil {
			return err
		}
		root, place := u.in(f.parent, f.name)
		from := strconv.Itoa(i)
		if f.parent == 0 {
			from = u.tree.stage + "/" + from
		}
		err := root.Rename(from, place)
		if err == nil {
			err = root.Chmod(place, 0o555)
		}
		if err != nil {
			return badEntry(f.path, err)
		}
	}
	if err := u.root.Remove(u.tree.stage); err != nil {
		return err
	}
	return u.root.Chmod(".", 0o555)
}

// badEntry keeps refusals, the end of a context and faults of this machine as they are; everything else is the
// archive's fault.
func badEntry(name string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) || isOurs(err) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var p *fs.PathError
	var l *os.LinkError
	switch { // their paths are ours
	case errors.As(err, &p):
		err = p.Err
	case errors.As(err, &l):
		err = l.Err
	}
	return refuseZip("%s: %v", quoted(name), err)
}
