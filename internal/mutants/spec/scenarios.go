package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var number = regexp.MustCompile(`\bS-\d+\b`)

// scripts are the scripts of the core: the lines of each file, by base name.
type scripts map[string][]string

func readScripts(dir string) (scripts, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	out := scripts{}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		out[filepath.Base(path)] = strings.Split(string(text), "\n")
	}
	return out, nil
}

// named returns the scenarios that a line, counted from 0, belongs to: those that the nearest comment above it names.
// Lines of comment that follow each other are one comment.
func (s scripts) named(file string, line int) (ids []string) {
	lines := s[file]
	for i := min(line, len(lines)-1); i >= 0; i-- {
		if strings.HasPrefix(lines[i], "#") {
			ids = append(ids, number.FindAllString(lines[i], -1)...)
		} else if len(ids) > 0 {
			break
		}
	}
	return inOrder(ids)
}

// all returns every scenario that some script names, in order of number.
func (s scripts) all() []string {
	var out []string
	for _, lines := range s {
		for _, l := range lines {
			if strings.HasPrefix(l, "#") {
				out = append(out, number.FindAllString(l, -1)...)
			}
		}
	}
	return inOrder(out)
}

// changed returns the scenarios whose lines differ in other. Each run of lines that differ counts at its first line,
// and everything after the first difference may have moved, so lines are matched as diff does: greedily, by the next
// line that both have.
func (s scripts) changed(other scripts) (out []string) {
	for file, lines := range s {
		theirs := other[file]
		i, j := 0, 0
		for i < len(lines) || j < len(theirs) {
			if i < len(lines) && j < len(theirs) && lines[i] == theirs[j] {
				i, j = i+1, j+1
				continue
			}
			out = append(out, s.named(file, i)...)
			if i, j = nextCommon(lines, theirs, i, j); i < 0 {
				break
			}
		}
	}
	return inOrder(out)
}

// nextCommon returns where two files agree again: only output differs, so at the next verb or comment, which both have
// in the same order.
func nextCommon(ours, theirs []string, i, j int) (int, int) {
	for ; i < len(ours); i++ {
		if i > 0 && ours[i] != "" && ours[i-1] == "" {
			if k := slices.Index(theirs[j:], ours[i]); k >= 0 {
				return i, j + k
			}
		}
	}
	return -1, -1
}

func inOrder(ids []string) []string {
	slices.SortFunc(ids, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(ids)
}
