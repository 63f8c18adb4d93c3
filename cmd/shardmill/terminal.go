package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Rules of all output: results go to standard output and everything about them to standard error; colour only on a
// terminal and never with NO_COLOR; -o json prints one JSON document, or one a line where output goes on. Text from
// outside – records, logs, names, errors – never controls a terminal: its control characters are shown there as \u001b.
// Files and pipes get everything as it is.

// terminal is where output goes. It paints text where the reader can see colour, and escapes it where it could do harm.
type terminal struct {
	w      io.Writer
	colour bool
	live   bool // a person's terminal
}

func newTerminal(w io.Writer) terminal {
	f, ok := w.(*os.File)
	live := ok && term.IsTerminal(int(f.Fd()))
	return terminal{w, live && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", live}
}

// text may be printed to a terminal: the only control sequences in it are ours.
type text string

// text formats for the terminal. format is ours; each of args that is not a text is escaped.
func (t terminal) text(format string, args ...any) text {
	if t.live {
		safe := make([]any, len(args))
		for i, a := range args {
			if safe[i] = a; !isText(a) {
				safe[i] = foreign{a}
			}
		}
		args = safe
	}
	return text(fmt.Sprintf(format, args...))
}

func isText(a any) bool { _, ok := a.(text); return ok }

// foreign is an argument that comes from outside.
type foreign struct{ v any }

// Format formats the argument as usual, and escapes the result.
func (f foreign) Format(s fmt.State, verb rune) {
	_, _ = io.WriteString(s, escaped(fmt.Sprintf(fmt.FormatString(s, verb), f.v))) // into memory
}

func (t terminal) printf(format string, args ...any) {
	_, _ = io.WriteString(t.w, string(t.text(format, args...)))
}

func (t terminal) paint(code string, s any) text {
	if !t.colour {
		return t.text("%v", s)
	}
	return t.text("\x1b["+code+"m%v\x1b[0m", s)
}

// reset ends a colour that a cut line may have begun.
func (t terminal) reset() text {
	if !t.colour {
		return ""
	}
	return "\x1b[0m"
}

// These paint a string from anywhere, or a text.
func (t terminal) red(s any) text    { return t.paint("31", s) }
func (t terminal) green(s any) text  { return t.paint("32", s) }
func (t terminal) yellow(s any) text { return t.paint("33", s) }
func (t terminal) blue(s any) text   { return t.paint("36", s) }
func (t terminal) bold(s any) text   { return t.paint("1", s) }
func (t terminal) dim(s any) text    { return t.paint("2", s) }

// escaped replaces everything that could control a terminal or change the visible order of text by JSON escapes:
// control characters except line ends and tabs, format characters such as bidirectional marks, line separators, and
// bytes that are not UTF-8. Joiners stay: names in many scripts need them.
func escaped(s string) string {
	if !strings.ContainsFunc(s, commands) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		rest := s[i+n:]
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\r' && (rest == "" || rest[0] == '\n'): // of a line end
		case !commands(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

func commands(r rune) bool {
	switch r {
	case '\n', '\t', '\u200c', '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// writer returns the terminal as a writer for callers that write whole lines.
func (t terminal) writer() io.Writer {
	if !t.live {
		return t.w
	}
	return escaping{t.w}
}

// escaping escapes what is written. A write must not end within a character.
type escaping struct{ w io.Writer }

func (e escaping) Write(b []byte) (int, error) {
	if _, err := io.WriteString(e.w, escaped(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// outputFlag adds -o to a command with output.
func outputFlag(c *cobra.Command) *string {
	o := "text"
	c.Flags().StringVarP(&o, "output", "o", o, "output format: text or json")
	return &o
}

// wantJSON reads -o.
func wantJSON(c *cobra.Command, o string) (bool, error) {
	switch o {
	case "text":
		return false, nil
	case "json":
		return true, nil
	}
	return false, usage(c, "--output is %q; it must be text or json", o)
}

// printJSON prints a document on one line. Escaping for a terminal does not change its meaning in JSON.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		return err
	}
	_, err := newTerminal(w).writer().Write(b.Bytes())
	return err
}
