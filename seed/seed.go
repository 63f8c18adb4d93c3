// Package seed reads seed files: YAML that names the streams, tables, queues, functions and mappings a development
// server begins with.
//
// The names of properties are AWS's own. Everything that can be checked from the file alone is checked before anything
// is started: unknown keys, wrong values, names of nothing in the file. The result is a Plan: parameters of AWS
// operations, in the order in which to call them. The package does no I/O.
package seed

import (
	"fmt"
	"strings"
)

// Limits of a seed file.
const (
	MaxBytes = 1 << 20
	MaxItems = 1000 // over all sections
)

// Plan is what a seed file asks for; each section keeps the order of the file. Apply sections in the order of the
// fields: later ones refer to earlier ones.
type Plan struct {
	Streams, Tables, Queues, Functions, Mappings []Item
}

// Item is one thing to make.
type Item struct {
	At   Place  // where it begins
	Name string // of the stream, table, queue or function; for a mapping the name of its function
	// AWS's parameters as in the file: string, int64, bool, []any and map[string]any, ready for encoding/json. ARNs are
	// complete
	Input map[string]any
	Where map[string]Place // place of the value of each key of Input
}

// Key returns the place of a key's value, or of the item if the file does not have the key.
func (i *Item) Key(name string) Place {
	if p, ok := i.Where[name]; ok {
		return p
	}
	return i.At
}

// Owner completes names to ARNs.
type Owner struct{ Account, Region string }

// Place is a place in a seed file; lines and columns count from 1. Column 0 is unknown.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string {
	if p.Column == 0 {
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Errorf returns an error at the place.
func (p Place) Errorf(format string, args ...any) *Error {
	return &Error{p, fmt.Sprintf(format, args...)}
}

// Error is one error in a seed file.
type Error struct {
	At      Place
	Problem string
}

func (e *Error) Error() string { return e.At.String() + ": " + e.Problem }

// Errors are all errors in a seed file, in the order of the file, up to maxErrors.
type Errors []*Error

const maxErrors = 20

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Empty reports whether a plan names nothing.
func (p *Plan) Empty() bool {
	return len(p.Streams)+len(p.Tables)+len(p.Queues)+len(p.Functions)+len(p.Mappings) == 0
}
