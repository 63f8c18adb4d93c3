package function

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
)

// raw makes an archive with these very headers; a body is stored as it is, whatever the method says.
func raw(headers ...zip.FileHeader) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range headers {
		body := []byte("body")
		h := headers[i]
		h.CompressedSize64, h.UncompressedSize64, h.CRC32 = uint64(len(body)), uint64(len(body)), crc32.ChecksumIEEE(
			body,
		)
		out, err := w.CreateRaw(&h)
		if err != nil {
			panic(err)
		}
		_, _ = out.Write(body)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// unpackedTo unzips into a new directory and lists the files with path, mode and contents.
func unpackedTo(t *testing.T, b []byte) (map[string]string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "package")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = removeAll(dir) })
	err := unzip(t.Context(), b, dir)
	found := map[string]string{}
	if err != nil {
		return found, err
	}
	return found, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = " " + string(b)
		}
		if name != "." {
			found[name] = info.Mode().String() + content
		}
		return nil
	})
}

// Legal but odd archives are unpacked as the tools that made them intended.
func TestOddPackagesAreUnpacked(t *testing.T) {
	t.Parallel()
	const file, dir = "-r--r--r-- body", "dr-xr-xr-x"
	unix := func(name string) zip.FileHeader {
		return zip.FileHeader{Name: name, CreatorVersion: madeByUnix << 8, ExternalAttrs: 0o100644 << 16}
	}
	with := func(h zip.FileHeader, change func(*zip.FileHeader)) zip.FileHeader { change(&h); return h }
	plain := archive(entryOf{name: "x", mode: 0o644, body: "body"})
	unicodePath := func(name, better string, of string) []byte {
		field := binary.LittleEndian.AppendUint32([]byte{1}, crc32.ChecksumIEEE([]byte(of)))
		field = append(field, better...)
		return append(
			binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, 0x7075), uint16(len(field))),
			field...,
		)
	}
	for _, c := range []struct {
		name string
		zip  []byte
		want map[string]string
	}{
		{
			"backslashes, said to be from Unix", raw(unix(`pkg\sub\mod.py`)),
			map[string]string{"pkg": dir, "pkg/sub": dir, "pkg/sub/mod.py": file},
		},
		{
			"a directory that ends in a backslash",
			raw(with(unix(`pkg\`), func(h *zip.FileHeader) { h.ExternalAttrs = 0o40755 << 16 })),
			map[string]string{"pkg": dir},
		},
		{
			"leading ./", raw(unix("./"), unix("./a"), unix("././b//c")),
			map[string]string{"a": file, "b": dir, "b/c": file},
		},
		{
			"colons in names from Unix", raw(unix("C:/x"), unix("a:b")),
			map[string]string{"C:": dir, "C:/x": file, "a:b": file},
		},
		{
			"directories after what is in them, and without entries",
			raw(unix("a/b/c"), with(unix("a/"), func(h *zip.FileHeader) { h.ExternalAttrs = 0o40000 << 16 })),
			map[string]string{"a": dir, "a/b": dir, "a/b/c": file},
		},
		{
			"names that differ by case", raw(unix("Readme"), unix("readme")),
			map[string]string{"Readme": file, "readme": file},
		},
		{
			"no mode at all, and every bit that there is",
			raw(with(unix("none"), func(h *zip.FileHeader) { h.ExternalAttrs = 0 }),
				with(unix("all"), func(h *zip.FileHeader) { h.ExternalAttrs = 0o107777 << 16 })),
			map[string]string{"none": file, "all": "-r-xr-xr-x body"},
		},
		{
			"a file or directory of the name of our own", raw(unix(".unpacking"), unix(".unpacking-/x")),
			map[string]string{".unpacking": file, ".unpacking-": dir, ".unpacking-/x": file},
		},
		{"a name of 255 bytes", raw(unix(strings.Repeat("n", 255))), map[string]string{strings.Repeat("n", 255): file}},
		{
			"UTF-8 that does not say so", raw(with(unix("grün/日本"), func(h *zip.FileHeader) { h.NonUTF8 = true })),
			map[string]string{"grün": dir, "grün/日本": file},
		},
		{
			"the code page of the first PCs", raw(zip.FileHeader{Name: "gr\x81n\\\xe1", NonUTF8: true}),
			map[string]string{"grün": dir, "grün/ß": file},
		},
		{
			"a better name beside it",
			raw(zip.FileHeader{Name: "\x81", NonUTF8: true, Extra: unicodePath("\x81", "日本", "\x81")}),
			map[string]string{"日本": file},
		},
		{
			"a better name of another entry",
			raw(zip.FileHeader{Name: "\x81", NonUTF8: true, Extra: unicodePath("\x81", "日本", "x")}),
			map[string]string{"ü": file},
		},
		{
			"an extra field that ends early",
			raw(zip.FileHeader{Name: "\x81", NonUTF8: true, Extra: []byte{0x75, 0x70, 9, 0, 1}}),
			map[string]string{"ü": file},
		},
		{"control characters in a name", raw(unix("a\nb\x1b")), map[string]string{"a\nb\x1b": file}},
		{
			"something in front, as in archives that unpack themselves",
			append([]byte("#!/bin/sh\nexit 1\n"), plain...),
			map[string]string{"x": file},
		},
		{
			"a comment behind", append(plain[:len(plain)-2:len(plain)-2], "\x05\x00hello"...),
			map[string]string{"x": file},
		},
		{
			"sizes that follow the data", archive(entryOf{name: "x", mode: 0o644, body: "body"}),
			map[string]string{"x": file},
		},
		{"a zip64 directory", zip64(), map[string]string{"x": file}},
	} {
		got, err := unpackedTo(t, c.zip)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, %v", c.name, got, err)
		}
	}
}

// zip64 returns an archive whose end is written as those of more than 65,535 entries are.
func zip64() []byte {
	b := raw(zip.FileHeader{Name: "x", CreatorVersion: madeByUnix << 8, ExternalAttrs: 0o100644 << 16})
	end := bytes.LastIndex(b, []byte("PK\x05\x06"))
	size, at := binary.LittleEndian.Uint32(b[end+12:]), binary.LittleEndian.Uint32(b[end+16:])
	le := binary.LittleEndian
	record := le.AppendUint64([]byte("PK\x06\x06"), 44)
	record = le.AppendUint16(le.AppendUint16(record, 45), 45)
	record = le.AppendUint32(le.AppendUint32(record, 0), 0)
	record = le.AppendUint64(le.AppendUint64(record, 1), 1)
	record = le.AppendUint64(le.AppendUint64(record, uint64(size)), uint64(at))
	record = le.AppendUint32(append(record, "PK\x06\x07"...), 0)
	record = le.AppendUint64(record, uint64(end))
	record = le.AppendUint32(record, 1)
	tail := bytes.Clone(b[end:])
	copy(tail[8:], bytes.Repeat([]byte{0xff}, 12))
	return slices.Concat(b[:end], record, tail)
}

// A refusal names the entry and gives a useful reason.
func TestRefusalsOfPackagesNameTheEntry(t *testing.T) {
	t.Parallel()
	h := func(name string, change func(*zip.FileHeader)) zip.FileHeader {
		h := zip.FileHeader{Name: name, CreatorVersion: madeByUnix << 8, ExternalAttrs: 0o100644 << 16}
		change(&h)
		return h
	}
	method := func(m uint16) func(*zip.FileHeader) { return func(h *zip.FileHeader) { h.Method = m } }
	flags := func(f uint16) func(*zip.FileHeader) { return func(h *zip.FileHeader) { h.Flags = f } }
	as := func(*zip.FileHeader) {}
	changed := func(b []byte, at int, to byte) []byte { b = bytes.Clone(b); b[at] = to; return b }
	small := archive(entryOf{name: "a/b", mode: 0o644, body: "some text"})
	content := 30 + len("a/b") // behind the local header
	many := make([]zip.FileHeader, 6)
	for i := range many {
		many[i] = h(fmt.Sprint(i, "/", strings.Repeat("d/", 1990), "x"), as)
	}
	for _, c := range []struct {
		name string
		zip  []byte
		want string
	}{
		{"encrypted", raw(h("a/b", flags(1))), `"a/b" is encrypted, and a package cannot be`},
		{
			"encrypted by AES", raw(h("a/b", func(h *zip.FileHeader) { h.Flags, h.Method = 1, 99 })),
			`"a/b" is encrypted, and a package cannot be`,
		},
		{"strongly encrypted", raw(h("a/b", flags(1<<6))), `"a/b" is encrypted, and a package cannot be`},
		{
			"Deflate64", raw(h("a/b", method(9))),
			`"a/b" is compressed by Deflate64; only stored and deflated files are unpacked`,
		},
		{
			"bzip2", raw(h("a/b", method(12))),
			`"a/b" is compressed by bzip2; only stored and deflated files are unpacked`,
		},
		{
			"Zstandard", raw(h("a/b", method(93))),
			`"a/b" is compressed by Zstandard; only stored and deflated files are unpacked`,
		},
		{
			"a method that nobody knows", raw(h("a/b", method(77))),
			`"a/b" is compressed by method 77; only stored and deflated files are unpacked`,
		},
		{"no name", raw(h("x", as), h("", as)), "entry 2 has no name"},
		{"a part that is too long", raw(h("d/"+strings.Repeat("n", 256), as)), `a part of the name "d/nnnnnnn`},
		{
			"a path that is too long", raw(h(strings.Repeat("d/", maxPath/2)+"ff", as)),
			fmt.Sprintf("is longer than %d bytes", maxPath),
		},
		{
			"no UTF-8 in spite of the mark",
			raw(h("\x81", func(h *zip.FileHeader) { h.Flags, h.NonUTF8 = flagUTF8, true })),
			`the name "\x81" is marked as UTF-8 and is none`,
		},
		{
			"a backslash that climbs", raw(h(`a\..\..\x`, as)),
			`the name "a\\..\\..\\x" is not a path inside the package`,
		},
		{"a backslash in front", raw(h(`\x`, as)), `the name "\\x" is not a path inside the package`},
		{"a drive", raw(h(`C:\x`, as)), `the name "C:\\x" is not a path inside the package`},
		{"control characters", raw(h("/\x1b[2J", as)), `the name "/\x1b[2J" is not a path inside the package`},
		{"a file below a file", raw(h("a", as), h("a/b", as)), `"a" is a directory in one entry and a file in another`},
		{
			"a file below a link",
			archive(entryOf{name: "l", mode: fs.ModeSymlink | 0o777, body: "."}, entryOf{name: "l/x", mode: 0o644}),
			`"l" is a directory in one entry and a link in another`,
		},
		{
			"a link that leads out", archive(entryOf{name: "d/l", mode: fs.ModeSymlink | 0o777, body: "../../x"}),
			`the link "d/l" leads out of the package`,
		},
		{
			"a device", archive(entryOf{name: "d/null", mode: fs.ModeDevice | fs.ModeCharDevice | 0o644}),
			`"d/null" is neither a file nor a directory nor a link`,
		},
		{
			"content that was changed",
			changed(archive(entryOf{name: "a/b", mode: 0o644, body: "some text"}), content, 0xff),
			`"a/b": its compressed data is damaged at byte`,
		},
		{
			"a checksum that was changed", changed(small, bytes.Index(small, directoryMark)+16, 0),
			`"a/b": its content does not fit its checksum`,
		},
		{
			"more directories than the entries are worth", raw(many...),
			"the names of its 6 entries imply more than 10006 directories",
		},
	} {
		got, err := unpackedTo(t, c.zip)
		var f *fault.Error
		if !errors.As(err, &f) || f.Message != errNotZip.Message || !strings.Contains(f.Hint, c.want) {
			t.Errorf("%s: got %v, %+v", c.name, got, err)
		}
	}
}

// The last entry of a name wins, whatever its kind.
func TestTheLastEntryOfANameCounts(t *testing.T) {
	t.Parallel()
	got, err := unpackedTo(t, archive(
		entryOf{name: "a", mode: 0o644, body: "first"}, entryOf{name: "l", mode: 0o644, body: "file"},
		entryOf{name: "./a", mode: 0o755, body: "second"},
		entryOf{name: "l", mode: fs.ModeSymlink | 0o777, body: "a"},
	))
	if err != nil || got["a"] != "-r-xr-xr-x second" || !strings.HasPrefix(got["l"], "L") {
		t.Errorf("got %v, %v", got, err)
	}
}
