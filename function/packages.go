package function

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/internal/durable"
)

// packages stores code: DIR/code/SHA.zip is durable; DIR/run holds what can be rebuilt and is empty at every start
// (unpacked code, compiled files, temporary directories of environments). Its old contents are moved aside and removed
// while the server runs: whatever functions have left there, no start fails or waits because of it. Directories are
// made when the first function needs them, so that a server without functions leaves none behind. A package lives while
// it is retained.
type packages struct {
	dir, zips, scratch string

	mu    sync.Mutex
	users map[string]int
	made  int      // directories of environments
	holds int      // how many want every package to stay, used or not
	later []string // packages that nobody used any more while there was a hold
}

func openPackages(dir string) *packages {
	return &packages{
		dir: dir, zips: filepath.Join(dir, "code"), scratch: filepath.Join(dir, "run"),
		users: map[string]int{},
	}
}

// leftover is the prefix of directories to be removed.
const leftover = ".leftover-"

// setAside moves what an earlier process has left in DIR/run out of the way. Where even that is not possible, this
// process uses another directory.
func (p *packages) setAside() error {
	err := os.Rename(p.scratch, filepath.Join(p.dir, leftover+rand.Text()))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	instead := filepath.Join(p.dir, leftover+"run-"+rand.Text()) // removed at the next start
	err = fmt.Errorf("%s cannot be moved out of the way, so %s is used instead: %w", p.scratch, instead, err)
	p.scratch = instead
	return err
}

// clear removes what this process and earlier ones have set aside, until ctx ends.
func (p *packages) clear(ctx context.Context) error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		path := filepath.Join(p.dir, e.Name())
		if strings.HasPrefix(e.Name(), leftover) && path != p.scratch {
			err = errors.Join(err, removeTree(ctx, path))
		}
	}
	return err
}

// closeLimit is how long a stop removes what can be made again. The next start removes the rest.
const closeLimit = 2 * time.Second

// close reports whether everything was removed that can be made again.
func (p *packages) close() bool {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	return removeTree(ctx, p.scratch) == nil
}

func (p *packages) zipPath(sha string) string { return filepath.Join(p.zips, sha+".zip") }

// put unpacks a package, makes its zip durable, and retains it for the caller. Its SHA-256 in hex is its name.
// The work ends with ctx.
func (p *packages) put(ctx context.Context, b []byte) (string, error) {
	if len(b) > maxZip {
		return "", errZipSize
	}
	sum := sha256.Sum256(b)
	sha := hex.EncodeToString(sum[:])
	p.retain(sha)
	if err := p.keep(ctx, sha, b); err != nil {
		p.release(sha)
		return "", err
	}
	return sha, nil
}

// keep unpacks a package and makes it durable, unless it is already there. Anything else in its place is replaced.
func (p *packages) keep(ctx context.Context, sha string, b []byte) error {
	if _, err := p.read(sha); err == nil { // it was judged when it came first
		_, _, err := p.unpacked(ctx, sha)
		return err
	}
	if err := p.unpack(ctx, sha, b); err != nil {
		return err
	}
	if info, err := os.Lstat(p.zipPath(sha)); err == nil && info.IsDir() {
		_ = removeAll(p.zipPath(sha))
	}
	return writeDurably(p.zips, sha+".zip", b)
}

// errCode is the error of a damaged package.
var errCode = errors.New("it is damaged: its content does not fit its name")

// read returns the bytes of a package.
func (p *packages) read(sha string) ([]byte, error) {
	// so that a pipe does not block for its other end
	f, err := os.OpenFile(p.zipPath(sha), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxZip {
		return nil, cmp.Or(err, errCode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxZip+1))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != sha {
		return nil, errCode
	}
	return b, nil
}

// check checks that a package of that size exists, without reading it.
func (p *packages) check(sha string, size int64) error {
	info, err := os.Stat(p.zipPath(sha))
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() != size:
		return errCode
	}
	return nil
}

// unpacked returns the directory of the code and one for its compiled files, unpacking it first if this process has not
// done so.
func (p *packages) unpacked(ctx context.Context, sha string) (dir, cache string, err error) {
	dir, cache = filepath.Join(p.scratch, "code", sha), filepath.Join(p.scratch, "cache", sha)
	if _, err := os.Stat(dir); err == nil {
		return dir, cache, nil
	}
	b, err := p.read(sha)
	if err != nil {
		return "", "", p.lost(sha, err)
	}
	return dir, cache, p.unpack(ctx, sha, b)
}

// lost says what to do about a package that cannot be read.
func (p *packages) lost(sha string, err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		err = of.Err
	}
	return &launcher.Unusable{Code: "InternalError", Reason: fmt.Sprintf(
		"The code of the function, %s, cannot be read (%v). Update the function's code, or put the file back and start shardmill again.",
		p.zipPath(sha), err)}
}

// unpack makes run/code/SHA whole or not at all.
func (p *packages) unpack(ctx context.Context, sha string, b []byte) error {
	if err := os.MkdirAll(filepath.Join(p.scratch, "code"), 0o755); err != nil {
		return err
	}
	// beside its place: moving a read-only directory elsewhere is not allowed
	tmp, err := os.MkdirTemp(filepath.Join(p.scratch, "code"), ".unpack-*")
	if err != nil {
		return err
	}
	defer func() { _ = removeAll(tmp) }() // renamed by then, or unwanted
	if err := unzip(ctx, b, tmp); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(p.scratch, "cache", sha), 0o755); err != nil {
		return err
	}
	dir := filepath.Join(p.scratch, "code", sha)
	if err := os.Rename(tmp, dir); err != nil {
		if _, e := os.Stat(dir); e == nil {
			return nil // another call was faster
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
	if p.holds > 0 {
		p.later = append(p.later, sha)
		return
	}
	p.remove(sha)
}

// remove removes a package. mu is held.
func (p *packages) remove(sha string) {
	_ = os.Remove(p.zipPath(sha))
	_ = removeAll(filepath.Join(p.scratch, "code", sha))
	_ = removeAll(filepath.Join(p.scratch, "cache", sha))
}

// hold keeps every package that is there until release, which is called once.
func (p *packages) hold() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.holds--; p.holds > 0 {
			return
		}
		for _, sha := range p.later {
			if p.users[sha] == 0 {
				p.remove(sha)
			}
		}
		p.later = nil
	}
}

// sweep removes packages that are not retained, as a crash between writing code and writing the function leaves them.
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

// directory makes the private directory of an environment: its TMPDIR and HOME.
func (p *packages) directory() (string, error) {
	p.mu.Lock()
	p.made++
	dir := filepath.Join(p.scratch, "environment", fmt.Sprint(p.made))
	p.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	return dir, os.Mkdir(dir, 0o700)
}

// writeDurably writes a file, syncs it, renames it and syncs the directory: after a crash it is whole or absent.
func writeDurably(dir, name string, b []byte) error {
	if err := durable.MakeDir(dir); err != nil {
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
	return durable.SyncDir(dir)
}

// isOurs reports whether an error comes from this machine and not from the package: no space, no more files.
func isOurs(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EDQUOT)
}
