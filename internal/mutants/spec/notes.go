package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// noted is what readers have found out about flips that survive: that nothing can be seen of them, or which other test
// sees it. A block has the file, the line of code, and for each flip of it what is exchanged, the how manieth of its
// kind in the line (#1 is left out), and why. A note ends with its line of code: whoever changes that judges anew.
//
//go:embed notes.txt
var noted string

// notes are reasons by flip.
type notes map[string]string

func readNotes(text string) (notes, error) {
	out := notes{}
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(block, "\n")
		if len(lines) < 3 {
			return nil, fmt.Errorf("notes.txt: a block without a reason: %s", block)
		}
		for _, l := range lines[2:] {
			flip, why, ok := strings.Cut(l, ": ")
			if !ok || !strings.Contains(flip, " → ") {
				return nil, fmt.Errorf("notes.txt: %q is no flip with a reason", l)
			}
			if !strings.Contains(flip, " #") {
				flip += " #1"
			}
			out[noteKey(lines[0], lines[1], flip)] = why
		}
	}
	return out, nil
}

func noteKey(file, code, flip string) string { return file + ": " + code + " ⟨" + flip + "⟩" }

func (s *site) key() string {
	return noteKey(s.file, s.code, fmt.Sprintf("%s → %s #%d", s.old, s.new, s.nth))
}

// of returns what is noted of a flip, or "".
func (n notes) of(s *site) string { return n[s.key()] }

// stale returns the notes about none of these flips, in order.
func (n notes) stale(all []site) []string {
	left := maps.Clone(n)
	for i := range all {
		delete(left, all[i].key())
	}
	return slices.Sorted(maps.Keys(left))
}
