// Package filter decides which records a mapping with FilterCriteria delivers: it compiles the patterns of a list of
// filters once, and then tells of each record whether one of them matches, and if not, why.
//
// In come pattern texts, and of each record its data and the JSON object of its metadata; out comes yes or no. The room
// is pure: it reads no clock, does no I/O and starts no goroutine. It knows no limits but the nesting of JSON: how many
// filters there may be, and how long a pattern, mapping decides.
//
// The grammar is that of EventBridge patterns, as the Lambda Developer Guide, "Control which events Lambda sends to
// your function", and the EventBridge User Guide, "Comparison operators", describe it; where they are silent it is that
// of aws/event-ruler. docs/compat/filters.md has every operator.
package filter

import (
	"fmt"

	"github.com/shardmill/shardmill/fault"
)

// Data is the name in a pattern under which a record's data is matched. Every other name at the top of a pattern is one
// of its metadata.
const Data = "data"

// Version is raised when a pattern begins to let other records through than before: what was decided by an older
// version is not taken for what this one decides.
const Version = 1

// Filter is a compiled list of filters; a record passes if one of them matches. It is immutable, and safe for
// concurrent use.
type Filter struct {
	patterns []*object // one per filter
	usesData []bool    // the filter has a rule for data, so it matches no record whose data is not a JSON object
	root     *level
	data     *name  // of root; nil when no filter has a rule for data
	ofData   []bool // the slot of root depends on data
	metadata bool
	slots    int // of all levels
	marks    int // of all names
}

// Compile reads a list of patterns, the text of one filter each. No pattern matches nothing. The error is an *Error.
func Compile(patterns []string) (*Filter, error) {
	f := &Filter{}
	for i, text := range patterns {
		p, err := readPattern(text)
		if err != nil {
			err.Filter = i
			return nil, err
		}
		f.patterns = append(f.patterns, p)
		f.usesData = append(f.usesData, p.names(Data))
	}
	b := builder{}
	f.root = b.level(f.patterns)
	f.slots, f.marks = b.slots, b.marks
	f.ofData = make([]bool, len(f.root.initial))
	for i := range f.root.names {
		n := &f.root.names[i]
		if n.text != Data {
			f.metadata = true
			continue
		}
		f.data = n
		for _, slot := range n.slots {
			f.ofData[slot] = true
		}
		for _, r := range n.rules {
			f.ofData[r.slot] = true
		}
	}
	return f, nil
}

// Len returns the number of filters.
func (f *Filter) Len() int { return len(f.patterns) }

// Metadata reports whether a pattern has a rule for anything but data: if not, Match ignores its metadata.
func (f *Filter) Metadata() bool { return f.metadata }

// Names returns the names that the patterns have rules for beside data, each once.
func (f *Filter) Names() []string {
	var out []string
	for i := range f.root.names {
		if text := f.root.names[i].text; text != Data {
			out = append(out, text)
		}
	}
	return out
}

// Error says where a pattern is not legal, and why. AWS's own answer to all of these is one sentence that names
// neither.
type Error struct {
	Filter int    // index of the filter in the list
	Path   string // of the place in the pattern: names joined by dots, indexes in brackets; "": the whole pattern
	Offset int    // of the place in the pattern's text, in bytes from 0
	Why    string
}

// Error returns one line, for people: filters[1].data.price[0]: at byte 24: …
func (e *Error) Error() string {
	at := fmt.Sprintf("filters[%d]", e.Filter)
	if e.Path != "" {
		at += "." + e.Path
	}
	return fmt.Sprintf("%s: at byte %d: %s", at, e.Offset, e.Why)
}

// join appends a name to a path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shown quotes a text of the user's for a message, cut to a readable length.
func shown(s string) string { return fault.Clip(s, 60) }
