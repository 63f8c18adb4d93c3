package function

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// packages keeps code: DIR/code/SHA.zip is durable, DIR/run holds what can be made again and is emptied at start (unpacked code, compiled files,
// temporary directories of environments). Directories are made when the first function needs them: a start waits for none of them, and a server without functions
// leaves none behind. A package lives while somebody retains it.
type packages struct {
	zips, run string

	mu    sync.Mutex
	users map[string]int
	slots int
}

func openPackages(dir string) (*packages, error) {
	p := &packages{
		zips: filepath.Join(dir, "code"), run: filepath.Join(dir, "run"),
		users: map[string]int{},
	}
	if err := removeAll(p.run); err != nil {
		return nil, fmt.Errorf("empty %s: %w", p.run, err)
	}
	return p, nil
}

func (p *packages) close() { _ = removeAll(p.run) }

func (p *packages) zipPath(sha string) string { return filepath.Join(p.zips, sha+".zip") }

// put unpacks a package, makes its zip durable, and retains it for the caller. Its SHA-256 in hex is its name.
func (p *packages) put(b []byte) (string, error) {
	if len(b) > maxZip {
		return "", errZipSize
	}
	sum := sha256.Sum256(b)
	sha := hex.EncodeToString(sum[:])
	p.retain(sha)
	if err := p.keep(sha, b); err != nil {
		p.release(sha)
		return "", err
	}
	return sha, nil
}

// keep unpacks a package and makes it durable, unless it is there.
func (p *packages) keep(sha string, b []byte) error {
	if _, err := os.Stat(p.zipPath(sha)); err == nil { // it was judged when it came first
		_, _, err := p.unpacked(sha)
		return err
	}
	if err := p.unpack(sha, b); err != nil {
		return err
	}
	return writeDurably(p.zips, sha+".zip", b)
}

// read answers the bytes of a package.
func (p *packages) read(sha string) ([]byte, error) { return os.ReadFile(p.zipPath(sha)) }

// unpacked answers the directory of the code and one for its compiled files, unpacking it first if this process has not done so.
func (p *packages) unpacked(sha string) (dir, cache string, err error) {
	dir, cache = filepath.Join(p.run, "code", sha), filepath.Join(p.run, "cache", sha)
	if _, err := os.Stat(dir); err == nil {
		return dir, cache, nil
	}
	b, err := p.read(sha)
	if err != nil {
		return "", "", fmt.Errorf("read code package: %w", err)
	}
	return dir, cache, p.unpack(sha, b)
}

// unpack makes run/code/SHA whole or not at all.
func (p *packages) unpack(sha string, b []byte) error {
	if err := os.MkdirAll(filepath.Join(p.run, "code"), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Join(p.run, "code"), ".unpack-*") // beside its place: moving a read-only directory elsewhere is not allowed
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(tmp) }() // renamed by then, or unwanted
	if err := unzip(b, tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(p.run, "cache", sha), 0o755); err != nil {
		return err
	}
	dir := filepath.Join(p.run, "code", sha)
	if err := os.Rename(tmp, dir); err != nil {
		if _, e := os.Stat(dir); e == nil {
			return nil // somebody else was faster
		}
		return fmt.Errorf("unpack code package: %w", err)
	}
	return nil
}

func (p *packages) retain(sha string) {
	p.mu.Lock()
	p.users[sha]++
	p.mu.Unlock()
}

// release gives up one use; with the last, the package goes.
func (p *packages) release(sha string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users[sha]--; p.users[sha] > 0 {
		return
	}
	delete(p.users, sha)
	_ = os.Remove(p.zipPath(sha))
	_ = removeAll(filepath.Join(p.run, "code", sha))
	_ = removeAll(filepath.Join(p.run, "cache", sha))
}

// sweep removes packages that nobody retains, as a crash between writing code and writing the function leaves them.
func (p *packages) sweep() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	files, err := os.ReadDir(p.zips)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		if sha, ok := strings.CutSuffix(f.Name(), ".zip"); !ok || p.users[sha] == 0 {
			_ = os.Remove(filepath.Join(p.zips, f.Name()))
		}
	}
	return nil
}

// slot makes the private directory of an environment: its TMPDIR and HOME.
func (p *packages) slot() (string, error) {
	p.mu.Lock()
	p.slots++
	dir := filepath.Join(p.run, "slot", fmt.Sprint(p.slots))
	p.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o700)
}

// writeDurably writes a file, syncs it, renames it and syncs the directory: after a crash it is whole or absent.
func writeDurably(dir, name string, b []byte) error {
	if err := makeDurably(dir); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // renamed by then, or unwanted
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return syncDir(dir)
}

// makeDurably makes a directory and those above it that are missing, each recorded in the one above.
func makeDurably(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	above := filepath.Dir(dir)
	if err := makeDurably(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(above)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// removeAll is os.RemoveAll for trees with read-only directories.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// isOurs reports errors that come from this machine and not from the package: no space, no more files.
func isOurs(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EDQUOT)
}
