package main

import (
	"slices"
	"testing"
)

// A note is about one flip of one line of code: of those that look alike the one that it counts, and of none any more
// once the line is another.
func TestANoteIsAboutOneFlip(t *testing.T) {
	t.Parallel()
	if _, err := readNotes(noted); err != nil {
		t.Fatal(err)
	}
	n, err := readNotes("lane.go\nif a > 0 && b > 0 {\n> → >= #2: b is never 0\n&& → ||: either will do\n" +
		"\nsave.go\nx++\nx++ → _ = x: it is a count\n")
	if err != nil {
		t.Fatal(err)
	}
	flip := site{file: "lane.go", code: "if a > 0 && b > 0 {", old: ">", new: ">=", nth: 2}
	first, changed := flip, flip
	first.nth, changed.code = 1, "if a > 1 && b > 0 {"
	both := site{file: "lane.go", code: flip.code, old: "&&", new: "||", nth: 1}
	if got := []string{n.of(&flip), n.of(&first), n.of(&changed), n.of(&both)}; !slices.Equal(got,
		[]string{"b is never 0", "", "", "either will do"}) {
		t.Errorf("notes: %q", got)
	}
	if got := n.stale([]site{flip, both}); !slices.Equal(got, []string{"save.go: x++ ⟨x++ → _ = x #1⟩"}) {
		t.Errorf("stale: %q", got)
	}
	for _, text := range []string{"lane.go\nx++", "lane.go\nx++\nno flip: why", "lane.go\nx++\nx++ → _ = x"} {
		if _, err := readNotes(text); err == nil {
			t.Errorf("%q is taken for notes", text)
		}
	}
}
