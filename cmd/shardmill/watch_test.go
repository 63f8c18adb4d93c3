package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// directory is a function's directory under test, with the results.
type directory struct {
	*testing.T
	dir    string
	w      *watcher
	f      *watched
	said   []string
	loaded int
	refuse error
}

func watchDirectory(t *testing.T) *directory {
	d := &directory{T: t, dir: t.TempDir()}
	d.write("handler.py", "one")
	tree, err := scanCode(t.Context(), d.dir, true)
	if err != nil {
		t.Fatal(err)
	}
	d.f = &watched{name: "f", dir: d.dir, loaded: tree.fingerprint()}
	d.w = &watcher{
		s: &seeder{say: func(format string, args ...any) { d.said = append(d.said, fmt.Sprintf(format, args...)) }},
		reload: func(context.Context, string, []byte) error {
			if d.refuse == nil {
				d.loaded++
			}
			return d.refuse
		},
	}
	return d
}

// write writes a file with an explicit mtime, because the file system's clock may be coarse.
func (d *directory) write(name, text string) {
	d.Helper()
	path := filepath.Join(d.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err == nil {
		at := time.Unix(1_700_000_000, 0).Add(time.Duration(len(text)) * time.Hour)
		err = os.Chtimes(path, at, at)
	}
	if err != nil {
		d.Fatal(err)
	}
}

// looks calls look n times, and checks how many loads there were in all.
func (d *directory) looks(n, loaded int) {
	d.Helper()
	for range n {
		d.w.look(d.Context(), d.f)
	}
	if d.loaded != loaded {
		d.Errorf("loaded %d times, want %d; said %q", d.loaded, loaded, d.said)
	}
}

// A directory is loaded again once it has changed and come to rest, not while it changes.
func TestReloadWaitsUntilTheDirectoryRests(t *testing.T) {
	t.Parallel()
	d := watchDirectory(t)
	d.looks(3, 0)
	d.write("handler.py", "one more")
	d.looks(1, 0)
	d.write("lib/new.py", "x")
	d.looks(1, 0)
	d.looks(1, 1)
	d.looks(3, 1)
	if len(d.said) != 1 || !strings.HasPrefix(d.said[0], "reload: function f has new code: 2 files from ") {
		t.Errorf("said %q", d.said)
	}
	if err := os.Remove(filepath.Join(d.dir, "lib/new.py")); err != nil {
		t.Fatal(err)
	}
	d.looks(2, 2)
	d.write("__pycache__/x.pyc", "x")
	d.write(".git/HEAD", "x")
	d.looks(3, 2)
}

// A file that is saved without a change is not new code.
func TestReloadOfTheSameContentIsNone(t *testing.T) {
	t.Parallel()
	d := watchDirectory(t)
	d.write("handler.py", "two")
	d.write("handler.py", "three")
	d.looks(2, 1)
	now := time.Now()
	if err := os.Chtimes(filepath.Join(d.dir, "handler.py"), now, now); err != nil {
		t.Fatal(err)
	}
	d.looks(3, 1)
}

// While another update is under way, new code waits for it and is not dropped.
func TestReloadWaitsForAnUpdateUnderWay(t *testing.T) {
	t.Parallel()
	d := watchDirectory(t)
	d.refuse = &apiError{status: 409, code: "ResourceConflictException"}
	d.write("handler.py", "second")
	d.looks(6, 0)
	d.refuse = nil
	d.looks(2, 1)
	if len(d.said) != 1 || !strings.Contains(d.said[0], "has new code") {
		t.Errorf("said %q", d.said)
	}
}

// A problem that keeps new code from being loaded is reported once, and the old code stays.
func TestReloadTellsProblemsOnce(t *testing.T) {
	t.Parallel()
	d := watchDirectory(t)
	d.refuse = errors.New("refused")
	d.write("handler.py", "second")
	d.looks(5, 0)
	if len(d.said) != 1 || d.said[0] != "reload: function f keeps its code: refused" {
		t.Errorf("said %q", d.said)
	}
	d.refuse = nil
	d.write("handler.py", "the third")
	d.looks(2, 1)

	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	d.looks(4, 1)
	if len(d.said) != 3 || !strings.Contains(d.said[2], "no such file or directory") {
		t.Errorf("said %q", d.said)
	}
}
