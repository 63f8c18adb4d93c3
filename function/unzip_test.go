package function

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

type entryOf struct {
	name string
	mode fs.FileMode
	body string
	made uint16 // upper byte of "version made by"
}

func archive(entries ...entryOf) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.made != 0 {
			h.CreatorVersion = e.made << 8
		} else {
			h.SetMode(e.mode)
		}
		out, err := w.CreateHeader(h)
		if err != nil {
			panic(err)
		}
		_, _ = out.Write([]byte(e.body))
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// F-25: names, links and devices that lead out of the package are refused, and nothing is written outside of its
// directory.
func TestUnsafePackagesAreRefused(t *testing.T) {
	t.Parallel()
	link := fs.ModeSymlink | 0o777
	for _, c := range []struct {
		name    string
		entries []entryOf
	}{
		{"parent", []entryOf{{name: "../x", mode: 0o644}}},
		{"parent inside", []entryOf{{name: "a/../../x", mode: 0o644}}},
		{"absolute", []entryOf{{name: "/etc/x", mode: 0o644}}},
		{"backslash", []entryOf{{name: `..\x`, mode: 0o644}}},
		{"backslash from Windows", []entryOf{{name: `..\x`, made: 10}}},
		{"drive", []entryOf{{name: `C:\x`, made: 11}}},
		{"null", []entryOf{{name: "a\x00b", mode: 0o644}}},
		{"absolute link", []entryOf{{name: "l", mode: link, body: "/etc"}}},
		{"climbing link", []entryOf{{name: "d/l", mode: link, body: "../../etc"}}},
		{"link to parent", []entryOf{{name: "l", mode: link, body: ".."}}},
		{
			"link that climbs through another",
			[]entryOf{{name: "a/b/s", mode: link, body: "../.."}, {name: "a/b/k", mode: link, body: "s/../../x"}},
		},
		{
			"link that turns around",
			[]entryOf{{name: "a/b/s", mode: link, body: "../.."}, {name: "k", mode: link, body: "a/b/s/.."}},
		},
		{"file through a link", []entryOf{{name: "l", mode: link, body: "."}, {name: "l/x", mode: 0o644}}},
		{"empty link", []entryOf{{name: "l", mode: link}}},
		{"device", []entryOf{{name: "d", mode: fs.ModeDevice | fs.ModeCharDevice | 0o644}}},
		{"pipe", []entryOf{{name: "p", mode: fs.ModeNamedPipe | 0o644}}},
		{"file below a file", []entryOf{{name: "a", mode: 0o644}, {name: "a/b", mode: 0o644}}},
	} {
		outer := t.TempDir()
		dir := filepath.Join(outer, "package")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}

		err := unzip(t.Context(), archive(c.entries...), dir)

		var f *fault.Error
		if !errors.As(err, &f) || f.Message != errNotZip.Message || f.Code != "InvalidParameterValueException" ||
			f.Hint == "" {
			t.Errorf("%s: got %v", c.name, err)
		}
		if others, _ := os.ReadDir(outer); len(others) != 1 {
			t.Errorf("%s: wrote %v", c.name, others)
		}
	}
}

// Executable bits stay, everything else is readable only; links inside the package work.
func TestModesOfPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := unzip(t.Context(), archive(
		entryOf{name: "bin/tool", mode: 0o755, body: "x"},
		entryOf{name: "lib/", mode: fs.ModeDir | 0o700},
		entryOf{name: "lib/data", mode: 0o600, body: "old"},
		entryOf{name: "lib/data", mode: 0o600, body: "y"},
		entryOf{name: "lib/link", mode: fs.ModeSymlink | 0o777, body: "../bin/tool"},
		entryOf{name: "set", mode: fs.ModeSetuid | 0o755, body: "z"},
	), dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{
		"bin/tool": 0o555, "lib/data": 0o444, "set": 0o555, "lib": fs.ModeDir | 0o555, "lib/link": 0o555,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "lib/data")); string(b) != "y" {
		t.Errorf("a later entry of the same name must win, got %q", b)
	}
	if err := removeAll(dir); err != nil {
		t.Error(err)
	}
}

// F-54: a package made on Windows has no executable bits and may have backslashes; its bootstrap runs all the same.
func TestPackagesFromWindows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	defer removeAll(dir)
	for i, made := range []uint16{10, 11, 0xff} {
		sub := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unzip(
			t.Context(),
			archive(entryOf{name: "bootstrap", made: made, body: "x"}, entryOf{
				name: `pkg\mod.py`, made: made, body: "y",
			}),
			sub,
		); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(sub, "bootstrap")); err != nil || info.Mode() != 0o555 {
			t.Errorf("bootstrap: %v, %v", info, err)
		}
		if info, err := os.Stat(filepath.Join(sub, "pkg/mod.py")); err != nil || info.Mode() != 0o444 {
			t.Errorf("pkg/mod.py: %v, %v", info, err)
		}
	}
}

// Sizes are judged before anything is inflated, and counted while it is; the number of entries is bounded.
func TestBombsStopEarly(t *testing.T) {
	t.Parallel()
	honest := archive(entryOf{name: "zeros", mode: 0o644, body: strings.Repeat("\x00", 1<<20)})
	declared := bytes.Clone(honest)
	at := bytes.Index(declared, directoryMark)
	binary.LittleEndian.PutUint32(declared[at+24:], maxUnzipped+1)
	if err := unzip(t.Context(), declared, t.TempDir()); !errors.Is(err, errUnzipped) {
		t.Errorf("declared size: %v", err)
	}
	liar := bytes.Clone(honest)
	binary.LittleEndian.PutUint32(liar[at+24:], 10)
	if err := unzip(t.Context(), liar, t.TempDir()); err == nil {
		t.Error("an entry larger than declared was accepted")
	}
	if _, err := openZip(bytes.Repeat(
		directoryMark, 4*maxEntries+1,
	)); fault.CodeOf(err) != "InvalidParameterValueException" {
		t.Errorf("entries: %v", err)
	}
	if _, err := openZip(nil); !errors.Is(err, errEmptyZip) {
		t.Errorf("nothing: %v", err)
	}
	if _, err := openZip(archive()); !errors.Is(err, errEmptyZip) {
		t.Errorf("empty archive: %v", err)
	}
	if _, err := openZip([]byte("#!/bin/sh")); fault.CodeOf(err) != "InvalidParameterValueException" {
		t.Errorf("no archive: %v", err)
	}
	if _, err := openZip(make([]byte, maxZip+1)); !errors.Is(err, errZipSize) {
		t.Errorf("large archive: %v", err)
	}
}

// Whatever the archive, nothing is written outside of the directory, and a refusal is one of AWS's faults.
func FuzzUnzip(f *testing.F) {
	f.Add(archive(entryOf{name: "a/b", mode: 0o644, body: "x"}))
	f.Add(archive(entryOf{name: "l", mode: fs.ModeSymlink | 0o777, body: "../x"}, entryOf{name: "l/x", mode: 0o755}))
	f.Add(archive(entryOf{name: `..\x`, made: 10}))
	f.Add(zip64())
	f.Add(deep(2, 30))
	f.Add(raw(zip.FileHeader{Name: "\x81", NonUTF8: true, Flags: flagEncrypted}))
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, b []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		defer removeAll(dir)
		if err := unzip(t.Context(), b, dir); err != nil && fault.CodeOf(err) == "" && !isOurs(err) {
			t.Errorf("refusal without a code: %v", err)
		}
		if others, _ := os.ReadDir(outer); len(others) != 1 {
			t.Errorf("wrote beside the directory: %v", others)
		}
	})
}
