package filter

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Mismatch is why one filter does not match a record.
type Mismatch struct {
	Filter int    // index in the list
	Path   string // where it failed, in the record: data.price
	Rule   string // what is wanted there, as it stands in the pattern
	Seen   string // what is there instead
}

// String returns one line, for people.
func (m Mismatch) String() string {
	return fmt.Sprintf("filters[%d] wants %s to be %s, seen: %s", m.Filter, m.Path, m.Rule, m.Seen)
}

// Explain returns why a record does not pass: one reason for each filter, in their order; nil if it does. It agrees
// with Match, and is hundreds of times slower. What is in Seen comes from the record, cut short.
func (f *Filter) Explain(metadata, data []byte) []Mismatch {
	view, _ := decode(metadata).(map[string]any)
	if view == nil {
		view = map[string]any{}
	}
	delete(view, Data)
	seen := ""
	switch v := decode(data).(type) {
	case map[string]any:
		view[Data] = v
	case invalid:
		seen = "not JSON"
	default:
		seen = see(v)
	}
	var out []Mismatch
	for i, p := range f.patterns {
		m := &Mismatch{Path: Data, Rule: "a JSON object", Seen: seen}
		if seen == "" || !f.usesData[i] {
			m = p.why(view, true)
		}
		if m == nil {
			return nil
		}
		m.Filter = i
		out = append(out, *m)
	}
	return out
}

// invalid stands for a text that is not JSON, nothing for a value that is not there.
type (
	invalid struct{}
	nothing struct{}
)

func decode(text []byte) any {
	if !utf8.Valid(text) {
		return invalid{}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if !json.Valid(text) || d.Decode(&v) != nil {
		return invalid{}
	}
	return v
}

// why returns the first reason why an object is not what o asks for, nil if it is. is false if there is no object.
func (o *object) why(of map[string]any, is bool) *Mismatch {
	for i := range o.fields {
		f := &o.fields[i]
		v, ok := of[f.name]
		if !ok || !is {
			v = nothing{}
		}
		m := (*Mismatch)(nil)
		if f.rule != nil {
			m = f.whyRule(v)
		} else {
			m = f.whyObject(v)
		}
		if m != nil {
			return m
		}
	}
	for i, or := range o.ors {
		var failed []string
		for _, alternative := range or {
			m := alternative.why(of, is)
			if m == nil {
				failed = nil
				break
			}
			failed = append(failed, m.Path+" is "+m.Seen)
		}
		if failed != nil {
			return &Mismatch{
				Path: cmp.Or(o.path, "the record"), Rule: "one of " + o.orText[i], Seen: strings.Join(failed, ", "),
			}
		}
	}
	return nil
}

func (f *field) whyRule(v any) *Mismatch {
	values := flat(nil, v)
	gone := f.rule.absence // which is for fields without a value
	for _, v := range values {
		s, ok := scalarOf(v)
		if ok && f.rule.match(s) {
			return nil
		}
		gone = gone && !ok
	}
	if gone {
		return nil
	}
	return &Mismatch{Path: f.path, Rule: f.rule.text, Seen: see(v)}
}

func (f *field) whyObject(v any) *Mismatch {
	var objects []map[string]any
	for _, v := range flat(nil, v) {
		if o, ok := v.(map[string]any); ok {
			objects = append(objects, o)
		}
	}
	if len(objects) == 0 {
		m := f.sub.why(nil, false)
		if m != nil && v != (any)(nothing{}) {
			return &Mismatch{Path: f.path, Rule: "an object", Seen: see(v)}
		}
		return m
	}
	var first *Mismatch
	negative := f.sub.negative()
	for _, o := range objects {
		m := f.sub.why(o, true)
		if m == nil && !negative {
			return nil
		}
		if first == nil {
			first = m
		}
	}
	if first != nil && len(objects) > 1 && !negative {
		first.Seen += fmt.Sprintf(" (in the first of %d objects, of which none matches)", len(objects))
	}
	return first
}

// flat appends a value, or the elements of a list and of the lists in it.
func flat(dst []any, v any) []any {
	l, ok := v.([]any)
	if !ok {
		return append(dst, v)
	}
	for _, e := range l {
		dst = flat(dst, e)
	}
	return dst
}

func scalarOf(v any) (scalar, bool) {
	switch v := v.(type) {
	case string:
		return scalar{'"', []byte(v)}, true
	case json.Number:
		return scalar{'0', []byte(v)}, true
	case bool:
		if v {
			return scalar{'t', nil}, true
		}
		return scalar{'f', nil}, true
	case nil:
		return scalar{'n', nil}, true
	}
	return scalar{}, false
}

// see describes a value for a person.
func see(v any) string {
	switch v := v.(type) {
	case nothing:
		return "absent"
	case map[string]any:
		return "an object"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "a value"
	}
	return shown(string(text))
}
