package doctest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const page = "# Title\n\nText.\n\n```sh\necho one\n```\n\n## Part\n\n```sh\nx=2\n```\n\n```sh\necho $x; false\n```\nprints\n```text\n2\n[exit status 1]\n```\n```python\nonly read\n```\n"

func TestPageIsReadInOrder(t *testing.T) {
	t.Parallel()
	got, err := Parse(page)
	want := []Step{
		{6, "Title", "echo one\n", ""},
		{12, "Part", "x=2\n", ""},
		{16, "Part", "echo $x; false\n", "2\n[exit status 1]\n"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestPageHidesNothing(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]string{
		"a\n<!-- setup -->\n":         "line 2: a comment hides",
		"```text\nx\n```\n":           "line 1: expected output without a command",
		"```\nx\n```\n":               "line 1: a block says what it is",
		"x\n```sh\necho\n":            "line 2: the block does not end",
		"- item\n  ```sh\n  x\n```\n": "line 2: a fence begins its line",
	} {
		if _, err := Parse(page); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", page, err, want)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"", "", true},
		{"", "x\n", false},
		{"a\n", "a  \n\n", true},
		{"a\n", "a\nb\n", false},
		{"a…c\n", "abbc\n", true},
		{"a…c\n", "ac\n", true},
		{"a…c…e\n", "abcde\n", true},
		{"a…c\n", "ab\nc\n", false},
		{"…\nend\n", "1\n2\nend\n", true},
		{"…\nend\n", "end\n", true},
		{"begin\n…\nend\n", "begin\nend\nmore\nend\n", true},
		{"begin\n…\nend\n", "begin\nend\nmore\n", false},
		{"  …\nend\n", "1\nend\n", true},
		{"\"Id\": \"…\",\n", "\"Id\": \"7\",\n", true},
		{"\"Id\": \"…\",\n", "\"Id\": \"7\"\n", false},
	} {
		if err := Match(c.want, c.got); (err == nil) != c.ok {
			t.Errorf("Match(%q, %q) = %v", c.want, c.got, err)
		}
	}
	err := Match("a\nb\n", "a\nc\n")
	if err == nil || !strings.Contains(err.Error(), "line 2 of the output\n  the page says: b\n  what came:     c\n") {
		t.Errorf("the difference is not told: %v", err)
	}
}

// A page fails if a block changes without its expectation, or an expectation without its block.
func TestChangedBlockFails(t *testing.T) {
	t.Parallel()
	if err := run(t, page); err == nil || !strings.Contains(err.Error(), "what came:     one") {
		t.Errorf("echo one prints something that the page does not promise: %v", err)
	}
	good := strings.Replace(page, "echo one\n```\n", "echo one\n```\n```text\none\n```\n", 1)
	if err := run(t, good); err != nil {
		t.Error(err)
	}
	for _, change := range [][2]string{
		{"echo one", "echo two"},
		{"x=2", "x=3"},
		{"; false", ""},
		{"; false", "; false; exit 1"},
		{"text\n2", "text\n3"},
		{"[exit status 1]", ""},
	} {
		if err := run(t, strings.Replace(good, change[0], change[1], 1)); err == nil {
			t.Errorf("%q for %q went unnoticed", change[1], change[0])
		}
	}
}

func TestRewritePutsOutputWhereItBelongs(t *testing.T) {
	t.Parallel()
	steps, err := Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page, Rewrite(page, steps)); diff != "" {
		t.Error("nothing changed, and yet:", diff)
	}
	steps[0].Want, steps[2].Want = "one\n", "3\n4\n"
	want := strings.Replace(
		strings.Replace(page, "echo one\n```\n", "echo one\n```\n```text\none\n```\n", 1), "2\n[exit status 1]\n",
		"3\n4\n", 1,
	)
	if diff := cmp.Diff(want, Rewrite(page, steps)); diff != "" {
		t.Error(diff)
	}
}

func TestStepThatDoesNotEndIsNamed(t *testing.T) {
	t.Parallel()
	s, err := Start(t.TempDir(), t.TempDir(), os.Environ(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Run(ctx, Step{Command: "echo begun; sleep 1000\n"}); err == nil ||
		!strings.Contains(err.Error(), "has not ended") {
		t.Errorf("got %v", err)
	}
}

func run(t *testing.T, page string) error {
	t.Helper()
	steps, err := Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.TempDir(), t.TempDir(), os.Environ(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, step := range steps {
		got, err := s.Run(ctx, step)
		if err == nil {
			err = Match(step.Want, got)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func FuzzMatch(f *testing.F) {
	f.Add("a…b\n…\nc", "axb\n1\nc")
	f.Fuzz(func(t *testing.T, want, got string) {
		if len(want)*len(got) > 1<<16 {
			return
		}
		_ = Match(want, got) // it ends
		if !strings.Contains(got, Wildcard) {
			if err := Match(got, got); err != nil {
				t.Error(err)
			}
		}
	})
}
