package main

import (
	"slices"
	"testing"
)

// TestALineProvesAllThatItsCommentNames shows that a comment of several lines counts as a whole, and only the nearest.
func TestALineProvesAllThatItsCommentNames(t *testing.T) {
	t.Parallel()
	s := scripts{"x.txt": {"# S-29: a rule.", "# S-60 beside it.", "put 1", "----", "", "# No scenario.", "put 2", "# S-7", "put 3"}}
	for line, want := range map[int][]string{2: {"S-29", "S-60"}, 6: {"S-29", "S-60"}, 8: {"S-7"}} {
		if got := s.named("x.txt", line); !slices.Equal(got, want) {
			t.Errorf("line %d belongs to %v, want %v", line, got, want)
		}
	}
}
