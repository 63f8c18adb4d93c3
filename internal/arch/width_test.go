package arch

import (
	"bytes"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// columns is the width of code and comments; a tab counts as four.
const columns = 120

// width returns the columns that a text takes.
func width(text []byte) int { return utf8.RuneCount(text) + 3*bytes.Count(text, []byte("\t")) }

// Code and comments keep to 120 columns. A text that has to be one literal may be longer, but the rest of its line may
// not: people search for the words of a message, and find them only in one piece.
func TestCodeKeepsToItsColumns(t *testing.T) {
	t.Parallel()
	base := root(t)
	for _, f := range files(t) {
		src, err := os.ReadFile(filepath.Join(base, filepath.FromSlash(f.path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range wide(src) {
			t.Errorf("%s:%d is wider than %d columns", f.path, line, columns)
		}
	}
}

// wide returns the numbers of lines that are too wide even without their literals.
func wide(src []byte) []int {
	without := bytes.Clone(src)
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(src))
	s.Init(file, src, nil, 0)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok != token.STRING {
			continue
		}
		at := file.Offset(pos)
		for i := at; i < at+len(text); i++ {
			if without[i] != '\n' {
				without[i] = 0
			}
		}
	}
	var lines []int
	original := bytes.Split(src, []byte("\n"))
	for i, line := range bytes.Split(without, []byte("\n")) {
		rest := bytes.ReplaceAll(line, []byte{0}, nil)
		literals := len(line) - len(rest)
		// Short literals are no excuse: the line can be broken between them.
		if width(original[i]) > columns && (literals < columns/2 || width(rest) > columns) {
			lines = append(lines, i+1)
		}
	}
	return lines
}

func TestWideLinesAreFound(t *testing.T) {
	t.Parallel()
	long := string(bytes.Repeat([]byte("x"), columns))
	for name, c := range map[string]struct {
		line string
		want int
	}{
		"a line that fits":              {"\tvar x = 1", 0},
		"a name that is too long":       {"var " + long + " = 1", 1},
		"a comment that is too long":    {"// " + long, 1},
		"tabs that make it too long":    {string(bytes.Repeat([]byte("\t"), 30)) + "x", 1},
		"one text that is too long":     {"var x = \"" + long + "\"", 0},
		"a text of several lines":       {"var x = `\n" + long + "\n`", 0},
		"too much beside a long text":   {"var x" + long[:70] + ", y" + long[:50] + " = \"" + long + "\"", 1},
		"a long line with a short text": {"var " + long + " = \"x\"", 1},
	} {
		if got := len(wide([]byte("package x\n\n" + c.line + "\n"))); got != c.want {
			t.Errorf("%s: %d lines, want %d", name, got, c.want)
		}
	}
}
