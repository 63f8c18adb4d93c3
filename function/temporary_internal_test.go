package function

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/shardmill/shardmill/storage/memory"
)

// The next start removes what a killed process has left behind; directories that are in use, being made, or not ours
// stay.
func TestStaleTemporaryDirectoriesAreSwept(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	used, lock, err := makeTemporary(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	stale, gone, err := makeTemporary(parent)
	if err != nil {
		t.Fatal(err)
	}
	code := filepath.Join(stale, "run", "code")
	if err := os.MkdirAll(code, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(code, "index.py"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(code, 0o555); err != nil { // as unpacked code is
		t.Fatal(err)
	}
	gone.Close() // as the end of its process does
	begun := filepath.Join(parent, temporaryPrefix+"begun")
	elsewhere := filepath.Join(parent, "shardmill-e2e-1")
	for _, dir := range []string{begun, elsewhere} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(parent, temporaryPrefix+"link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}

	sweepTemporary(parent)

	for dir, stays := range map[string]bool{used: true, stale: false, begun: true, elsewhere: true, link: true} {
		if _, err := os.Lstat(dir); (err == nil) != stays {
			t.Errorf("%s: %v; stays should be %v", dir, err, stays)
		}
	}
}

// Start sweeps, Stop leaves nothing.
func TestTemporaryDirectoryGoesWithStop(t *testing.T) {
	parent := t.TempDir()
	t.Setenv("TMPDIR", parent)
	_, gone, err := makeTemporary(parent)
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	f, err := New(Options{Store: memory.New(memory.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(entries(t, parent)) == 0 {
		t.Error("a running server has no directory")
	}

	f.Stop(t.Context())

	if left := entries(t, parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func entries(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
