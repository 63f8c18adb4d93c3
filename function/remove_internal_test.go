package function

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deep makes an archive of files at the end of paths of that depth, which have no directory in common.
func deep(paths, depth int) []byte {
	var headers []zip.FileHeader
	for i := range paths {
		headers = append(headers, zip.FileHeader{
			Name: fmt.Sprint(i, "/", strings.Repeat("d/", depth-1), "f"), CreatorVersion: madeByUnix << 8,
			ExternalAttrs: 0o100644 << 16,
		})
	}
	return raw(headers...)
}

// processorTime returns what this process has used so far.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The cost of unpacking and removing a package grows with the number of its files and directories, whatever their
// depth. Not parallel: it measures.
func TestDeepPackagesCostNoMoreThanWideOnes(t *testing.T) {
	const directories = 4 * 250
	measure := func(b []byte) time.Duration {
		best := time.Hour
		for range 2 {
			dir := filepath.Join(t.TempDir(), "package")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			before := processorTime(t)
			if err := unzip(t.Context(), b, dir); err != nil {
				t.Fatal(err)
			}
			if err := removeAll(dir); err != nil {
				t.Fatal(err)
			}
			best = min(best, processorTime(t)-before)
		}
		return best
	}
	b := deep(4, directories/4)
	d, wide := measure(b), measure(deep(directories/2, 2))
	t.Logf("a zip of %d KB: %s deep, %s wide", len(b)>>10, d, wide)
	if d > 4*wide {
		t.Errorf("%d directories take %s when they are deep, %s when they are not", directories, d, wide)
	}
}

// The longest path that can be is unpacked, and removed, with a handful of descriptors: others may need the rest.
func TestDeepPackagesTakeFewDescriptors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "package")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = uint64(len(open)) + 16
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	if err := unzip(t.Context(), deep(1, (maxPath-len("0/f"))/2), dir); err != nil {
		t.Fatal(err)
	}
	if err := removeAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// junk fills a directory with all that may be in the way.
func junk(t *testing.T, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "closed", "within", "deeper"), 0o755))
	must(os.MkdirAll(filepath.Join(dir, ".1", ".2"), 0o755)) // names that the removal takes itself
	must(os.WriteFile(filepath.Join(dir, ".2"), nil, 0o600))
	must(os.WriteFile(filepath.Join(dir, "closed", "within", "file"), []byte("x"), 0o000))
	must(syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	must(os.Symlink("loop", filepath.Join(dir, "loop")))
	must(os.Symlink("/", filepath.Join(dir, "closed", "root")))
	must(os.Symlink("..", filepath.Join(dir, "closed", "within", "up")))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	must(err)
	l.SetUnlinkOnClose(false)
	must(l.Close())
	at := filepath.Join(dir, "deep")
	must(os.Mkdir(at, 0o755))
	root, err := os.OpenRoot(at)
	must(err)
	for range 200 {
		must(root.Mkdir("d", 0o755))
		next, err := root.OpenRoot("d")
		must(err)
		must(root.Close())
		root = next
	}
	must(root.Close())
	for _, d := range []string{"closed/within/deeper", "closed/within", "closed"} {
		must(os.Chmod(filepath.Join(dir, d), 0))
	}
}

// A directory is removed with everything in it, and nothing else.
func TestRemoveAllTakesEverythingAndNoMore(t *testing.T) {
	t.Parallel()
	outer := t.TempDir()
	kept := filepath.Join(outer, "kept")
	if err := os.WriteFile(kept, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(outer, "junk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outer, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	junk(t, dir)
	for i := range 3 * removeBatch {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{dir, dir, kept} { // twice; and a file
		if err := removeAll(name); err != nil {
			t.Error(err)
		}
		if name == dir {
			if _, err := os.Stat(kept); err != nil {
				t.Error(err)
			}
		}
	}
	if left, _ := os.ReadDir(outer); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A removal, like unpacking, ends with its context.
func TestWorkOnPackagesEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if err := unzip(ctx, deep(1, 3), dir); !errors.Is(err, context.Canceled) {
		t.Errorf("unzip: %v", err)
	}
	if err := removeTree(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("remove: %v", err)
	}
	p := openPackages(dir)
	if _, err := p.put(ctx, deep(1, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*", "*", "*")); len(found) != 0 {
		t.Errorf("left behind: %v", found)
	}
}

// Anything in the place of the packages is moved aside or skipped; it neither fails nor delays a start, and is removed
// in the background.
func TestNothingInTheDirectoriesOfPackagesFailsAStart(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(t *testing.T, run, code string){
		"nothing": func(*testing.T, string, string) {},
		"trees": func(t *testing.T, run, code string) {
			junkIn(t, run)
			junkIn(t, code)
		},
		"pipes": func(t *testing.T, run, code string) {
			for _, p := range []string{run, code} {
				if err := syscall.Mkfifo(p, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		},
		"links to themselves": func(t *testing.T, run, code string) {
			for _, p := range []string{run, code} {
				if err := os.Symlink(filepath.Base(p), p); err != nil {
					t.Fatal(err)
				}
			}
		},
		"no permission": func(t *testing.T, run, code string) {
			for _, p := range []string{run, code} {
				if err := os.Mkdir(p, 0); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = os.Chmod(p, 0o700) })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			make(t, filepath.Join(dir, "run"), filepath.Join(dir, "code"))
			p := openPackages(dir)
			if err := p.setAside(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(p.scratch); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is still there: %v", p.scratch, err)
			}
			_ = p.sweep() // may return an error, but returns
			if err := p.clear(t.Context()); err != nil {
				t.Error(err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, leftover+"*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func junkIn(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = removeAll(dir) })
	junk(t, dir)
}

// If something left by an earlier process cannot be moved, such as the root of a mount, it stays: this process works
// beside it, in a directory that it keeps.
func TestAnotherDirectoryWhereTheOldOneStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := openPackages(dir)
	p.scratch = filepath.Join(dir, "run") + "/." // which no system renames
	if err := os.MkdirAll(p.scratch, 0o755); err != nil {
		t.Fatal(err)
	}

	err := p.setAside()

	if err == nil || !strings.HasPrefix(filepath.Base(p.scratch), leftover) {
		t.Fatalf("%v, and it works in %s", err, p.scratch)
	}
	if err := os.MkdirAll(p.scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := p.clear(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(p.scratch); err != nil {
		t.Errorf("what it works in has been removed: %v", err)
	}
}

// The compiled files of a package go with its last user.
func TestCompiledFilesGoWithTheirPackage(t *testing.T) {
	t.Parallel()
	p := openPackages(t.TempDir())
	cache := filepath.Join(p.scratch, "cache", "sha")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	p.retain("sha")
	p.retain("sha")

	p.release("sha")
	if _, err := os.Stat(cache); err != nil {
		t.Errorf("gone with the first: %v", err)
	}
	p.release("sha")
	if _, err := os.Stat(cache); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}
