package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// reads returns inputs of that standard input and those files.
func reads(stdin string, lines bool, names ...string) *inputs {
	if names == nil {
		names = []string{"-"}
	}
	return &inputs{names: names, lines: lines, stdin: func() io.Reader { return strings.NewReader(stdin) }}
}

// all returns the records of inputs, until their end or an error.
func (in *inputs) records() (got []string, err error) {
	for {
		data, _, _, err := in.next()
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%.20s", data))
	}
}

func TestLinesOfFilesAndOfStandardInput(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "orders")
	if err := os.WriteFile(file, []byte("three\r\n\nfive"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   *inputs
		want string
	}{
		{reads("one\ntwo\n", true), "one|two"},
		{reads("one\ntwo", true, "-", file), "one|two|three||five"},
		{reads("one\ntwo", true, file, file), "three||five|three||five"},
		{reads("one\ntwo", false, file, "-"), "three\r\n\nfive|one\ntwo"},
		{reads("", true), ""},
	} {
		if got, err := c.in.records(); strings.Join(got, "|") != c.want || !errors.Is(err, io.EOF) {
			t.Errorf("%q, %v; want %q", got, err, c.want)
		}
	}
}

func TestWhatIsTooLongIsNamed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxPut+1)
	for _, c := range []struct {
		in   *inputs
		want string
	}{
		{
			reads("a\nb\n"+long+"\n", true),
			"line 3 is longer than 10 MiB, the largest record there can be; the 2 before it are put",
		},
		{
			reads("a\n"+long+long, true),
			"line 2 is longer than 10 MiB, the largest record there can be; the one before it is put",
		},
		{reads(long, false), "standard input holds more than 10 MiB, the largest record there can be"},
	} {
		if got, err := c.in.records(); err == nil || err.Error() != c.want {
			t.Errorf("after %q: %v; want %s", got, err, c.want)
		}
	}
	if got, err := reads(strings.Repeat("x", maxPut)+"\r\nb", true).records(); len(got) != 2 {
		t.Errorf("a line of 10 MiB: %q, %v", got, err)
	}
}

// A line that is there is not held back by one that is not.
func TestOnlyWhatIsAtHandIsWaitedFor(t *testing.T) {
	t.Parallel()
	in := reads("", true)
	r, w := io.Pipe()
	in.stdin = func() io.Reader { return r }
	go func() { _, _ = io.WriteString(w, "one\ntwo\nthr") }() // the pipe is never closed
	k := &keyer{key: "k"}

	batch, err := gather(in, k, 10)

	if err != nil || len(batch) != 2 || string(batch[1].Data) != "two" {
		t.Errorf("%d records, %v", len(batch), err)
	}
}

func TestKeysOfJSONFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ field, data, want string }{
		{"id", `{"id": "a"}`, "a"},
		{"customer.id", `{"customer": {"id": 12345678901234567890}}`, "12345678901234567890"},
		{"items.1.sku", ` {"items": [{"sku": 1}, {"sku": true}]} `, "true"},
		{"id", `{"id": "schlüssel"}`, "schlüssel"},
		{"id", `{"ID": "a"}`, "!has no field id"},
		{"id", `{"id": null}`, "!has no field id"},
		{"items.2", `{"items": [1, 2]}`, "!has no field items.2"},
		{"id", `[1]`, "!has no field id"},
		{"id", `{"id": {}}`, "!has a field id that is no text, number or boolean"},
		{"id", `{"id": ""}`, "!has a field id of 0 characters; a partition key has 1 to 256"},
		{"id", `{"id": "` + strings.Repeat("é", 257) + `"}`, "!has a field id of 257 characters; a partition key has 1 to 256"},
		{"id", `{"id"`, "!is not JSON"},
		{"id", "", "!is not JSON"},
		{"id", `{"id": 1}{"id": 2}`, "!is more than one JSON document"},
		{"id", "{\"id\": \"\xff\"}", "!is not JSON"},
	} {
		field, err := parseField(c.field)
		if err != nil {
			t.Fatal(err)
		}
		got, err := (&keyer{field: field}).of([]byte(c.data))
		if err != nil {
			got = "!" + err.Error()
		}
		if got != c.want {
			t.Errorf("%s of %.60s is %q; want %q", c.field, c.data, got, c.want)
		}
	}
	for _, path := range []string{"", ".", "a.", "a..b"} {
		if got, err := parseField(path); err == nil {
			t.Errorf("%q is taken for %q", path, got)
		}
	}
}
