package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Rules of all output: results go to standard output and everything about them to standard error; colour only on a terminal and never with NO_COLOR;
// -o json prints one JSON document, or one a line where output goes on.

// terminal paints text where the reader can see colour.
type terminal struct {
	w      io.Writer
	colour bool
}

func newTerminal(w io.Writer) terminal {
	f, ok := w.(*os.File)
	return terminal{w, ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (t terminal) paint(code, s string) string {
	if !t.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// reset ends a colour that a cut line may have begun.
func (t terminal) reset() string {
	if !t.colour {
		return ""
	}
	return "\x1b[0m"
}

func (t terminal) red(s string) string    { return t.paint("31", s) }
func (t terminal) green(s string) string  { return t.paint("32", s) }
func (t terminal) yellow(s string) string { return t.paint("33", s) }
func (t terminal) blue(s string) string   { return t.paint("36", s) }
func (t terminal) bold(s string) string   { return t.paint("1", s) }
func (t terminal) dim(s string) string    { return t.paint("2", s) }

func (t terminal) printf(format string, args ...any) { fmt.Fprintf(t.w, format, args...) }

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

func printJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }
