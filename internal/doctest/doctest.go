// Package doctest runs documents: it executes a page's commands in order and compares their output with what the page
// promises.
//
// A block fenced as sh is a command; the next block fenced as text (prose may come between) is what it prints, standard
// output and standard error together. A command without one prints nothing. The output of a command that fails ends
// with a line "[exit status N]". In expected output, … stands for any text within a line, and a line that is only …
// stands for any number of lines, even none. A page hides nothing from its readers: comments are refused.
package doctest

import (
	"fmt"
	"strings"
)

// Wildcard stands for any text within a line; alone on a line, for any number of lines.
const Wildcard = "…"

// Step is a command and what it prints.
type Step struct {
	Line    int    // of the command's first line, from 1
	Heading string // the last heading above it
	Command string // with its newlines
	Want    string // "" for a command that prints nothing
}

// Parse reads the steps of a page in Markdown. An error names the line.
func Parse(page string) ([]Step, error) {
	var (
		steps   []Step
		heading string
		fence   string // the open block's fence language; "" outside
		open    int    // line of the open fence
		body    []string
		owed    bool // the last step has no output yet
	)
	for i, line := range strings.Split(page, "\n") {
		n := i + 1
		mark, isFence := strings.CutPrefix(line, "```")
		switch {
		case open == 0 && isFence:
			if fence = strings.TrimSpace(mark); fence == "" {
				return nil, fmt.Errorf(
					"line %d: a block says what it is: sh for commands, text for what they print, another word for what is only read",
					n,
				)
			}
			open, body = n, nil
		case open == 0:
			if strings.Contains(line, "<!--") {
				return nil, fmt.Errorf("line %d: a comment hides something from the reader", n)
			}
			if strings.HasPrefix(strings.TrimLeft(line, " \t"), "```") {
				return nil, fmt.Errorf("line %d: a fence begins its line", n)
			}
			if strings.HasPrefix(line, "#") {
				heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
			}
		case isFence:
			text := strings.Join(body, "\n") + "\n"
			switch fence {
			case "sh":
				steps = append(steps, Step{Line: open + 1, Heading: heading, Command: text})
				owed = true
			case "text":
				if !owed {
					return nil, fmt.Errorf("line %d: expected output without a command above it", open)
				}
				steps[len(steps)-1].Want, owed = text, false
			}
			open, fence = 0, ""
		default:
			body = append(body, line)
		}
	}
	if open != 0 {
		return nil, fmt.Errorf("line %d: the block does not end", open)
	}
	return steps, nil
}

// Match returns how got differs from what a page promises, or nil. Trailing space and the final newline do not count.
func Match(want, got string) error {
	w, g := split(want), split(got)
	m := matcher{want: w, got: g, seen: map[[2]int]bool{}}
	if m.lines(0, 0) {
		return nil
	}
	said, came := "the end", "the end"
	if m.bestWant < len(w) {
		said = w[m.bestWant]
	}
	if m.bestGot < len(g) {
		came = g[m.bestGot]
	}
	return fmt.Errorf(
		"line %d of the output\n  the page says: %s\n  what came:     %s\nall of it:\n%s", m.bestGot+1, said, came,
		strings.Join(g, "\n"),
	)
}

func split(s string) []string {
	s = strings.TrimRight(s, " \t\r\n")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return lines
}

// matcher tries every way to match wildcard lines to lines of output, each pair of places once.
type matcher struct {
	want, got         []string
	seen              map[[2]int]bool // pairs that do not match
	bestWant, bestGot int             // the farthest pair
}

func (m *matcher) lines(i, j int) bool {
	if i == len(m.want) && j == len(m.got) {
		return true
	}
	if m.seen[[2]int{i, j}] {
		return false
	}
	if i >= m.bestWant {
		m.bestWant, m.bestGot = i, j
	}
	ok := false
	switch {
	case i == len(m.want):
	case strings.TrimSpace(m.want[i]) == Wildcard:
		ok = m.lines(i+1, j) || j < len(m.got) && m.lines(i, j+1)
	case j < len(m.got) && within(m.want[i], m.got[j]):
		ok = m.lines(i+1, j+1)
	}
	m.seen[[2]int{i, j}] = !ok
	return ok
}

// within matches one line: its fixed parts appear in order, the first and the last at the ends.
func within(want, got string) bool {
	parts := strings.Split(want, Wildcard)
	if len(parts) == 1 {
		return want == got
	}
	rest, ok := strings.CutPrefix(got, parts[0])
	if !ok {
		return false
	}
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// Rewrite returns the page with the Want of steps as the expected output. A step that had none before gets a block of
// its own, right below its command.
func Rewrite(page string, steps []Step) string {
	want := map[int]string{} // by the line of the command
	for _, s := range steps {
		want[s.Line] = s.Want
	}
	old, err := Parse(page)
	if err != nil {
		return page
	}
	had := map[int]bool{}
	for _, s := range old {
		had[s.Line] = s.Want != ""
	}
	var (
		out  []string
		step int    // line of the last command
		in   string // the open block's fence language
	)
	for i, line := range strings.Split(page, "\n") {
		mark, isFence := strings.CutPrefix(line, "```")
		switch {
		case in == "" && isFence:
			if in = strings.TrimSpace(mark); in == "sh" {
				step = i + 2
			}
		case isFence:
			if in == "text" {
				out = append(out, strings.TrimRight(want[step], "\n"))
			}
			if in == "sh" && !had[step] && want[step] != "" {
				out = append(out, line, "```text", strings.TrimRight(want[step], "\n"))
			}
			in = ""
		case in == "text":
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
