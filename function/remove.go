package function

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// removeAll removes a file or a directory with all its contents, whatever their modes. A missing file is no error.
func removeAll(name string) error { return removeTree(context.Background(), name) }

// removeTree is removeAll that ends early with ctx. What functions and packages leave behind may have any shape, so it
// never descends: the directories within a directory are moved up, to be emptied in turn. That takes two descriptors at
// any depth, and work in proportion to the number of files. Nothing outside of the directory is touched, whatever
// changes in it meanwhile.
func removeTree(ctx context.Context, name string) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return os.Remove(name)
	}
	_ = os.Chmod(name, 0o700) // what this was for fails below, if it does
	root, err := os.OpenRoot(name)
	if err != nil {
		return err
	}
	r := remover{ctx: ctx, root: root}
	err = r.empty(".", r.removeOrEmpty)
	_ = root.Close()
	if err != nil {
		return err
	}
	return os.Remove(name)
}

// remover empties one directory.
type remover struct {
	ctx   context.Context
	root  *os.Root
	moved int // directories that have been moved up
}

// removeBatch is how many names are read at once. They are removed before more are read.
const removeBatch = 1024

// empty calls remove for everything in dir until it is empty. It ends with the first error if nothing else can be
// removed.
func (r *remover) empty(dir string, remove func(name string) error) error {
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		names, err := r.names(dir)
		if err != nil || len(names) == 0 {
			return err
		}
		var failed error
		gone := 0
		for _, name := range names {
			if err := remove(path.Join(dir, name)); err == nil {
				gone++
			} else if failed == nil {
				failed = err
			}
		}
		if gone == 0 {
			return failed
		}
	}
}

// names reads some of the names in dir.
func (r *remover) names(dir string) ([]string, error) {
	d, err := r.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(removeBatch)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}

// removeOrEmpty removes an entry right below the root.
func (r *remover) removeOrEmpty(name string) error {
	err := r.root.Remove(name)
	if err == nil || !r.isDir(name) {
		return err
	}
	_ = r.root.Chmod(name, 0o700)
	if err := r.empty(name, r.removeOrLift); err != nil {
		return err
	}
	return r.root.Remove(name)
}

// removeOrLift removes an entry one level deeper, or moves it up.
func (r *remover) removeOrLift(name string) error {
	err := r.root.Remove(name)
	if err == nil || !r.isDir(name) {
		return err
	}
	_ = r.root.Chmod(name, 0o700) // a directory that may not be written may not be moved elsewhere
	for {
		r.moved++
		err := r.root.Rename(name, fmt.Sprint(".", r.moved))
		// the name is taken
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
	}
}

func (r *remover) isDir(name string) bool {
	info, err := r.root.Lstat(name)
	return err == nil && info.IsDir()
}
