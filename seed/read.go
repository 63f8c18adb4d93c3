package seed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/shardmill/shardmill/fault"
)

// reader turns nodes into values and collects their errors.
type reader struct {
	file  string
	owner Owner
	errs  Errors
}

// Parse reads a seed file of at most MaxBytes. file is its name in errors. The error is an Errors.
func Parse(file string, content []byte, owner Owner) (*Plan, error) {
	r := &reader{file: file, owner: owner}
	root := r.document(content)
	var p *Plan
	if root != nil {
		p = r.plan(root)
	}
	if p != nil {
		r.resolve(p)
	}
	if len(r.errs) > 0 {
		slices.SortStableFunc(r.errs, func(a, b *Error) int {
			if a.At.Line != b.At.Line {
				return a.At.Line - b.At.Line
			}
			return a.At.Column - b.At.Column
		})
		return nil, r.errs[:min(len(r.errs), maxErrors)]
	}
	return p, nil
}

func (r *reader) fail(at Place, format string, args ...any) {
	r.errs = append(r.errs, at.Errorf(format, args...))
}

func (r *reader) at(n *yaml.Node) Place { return Place{r.file, n.Line, n.Column} }

// syntaxLine matches how the YAML library reports the line of a syntax error.
var syntaxLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^line (\d+): `) })

// document returns the one document of a file; nil when there is none.
func (r *reader) document(content []byte) *yaml.Node {
	start := Place{r.file, 1, 1}
	if len(content) > MaxBytes {
		r.fail(start, "the file is larger than %d bytes", MaxBytes)
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(content))
	var doc, second yaml.Node
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		r.fail(start, "the file is empty; a seed file has the keys %s", strings.Join(sectionKeys(), ", "))
		return nil
	}
	if err == nil {
		if err = d.Decode(&second); err == nil {
			r.fail(r.at(&second), "a second document begins here; a seed file has one")
			return nil
		}
		if errors.Is(err, io.EOF) {
			return doc.Content[0]
		}
	}
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	at := Place{File: r.file, Line: 1} // if the library names no line, it means the first
	if m := syntaxLine().FindStringSubmatch(problem); m != nil {
		at.Line, _ = strconv.Atoi(m[1]) // digits
		problem = problem[len(m[0]):]
	}
	r.fail(at, "this is not YAML: %s", problem)
	return nil
}

func sectionKeys() []string {
	var keys []string
	for _, s := range sections() {
		keys = append(keys, s.key)
	}
	return keys
}

// plan reads the document's root.
func (r *reader) plan(root *yaml.Node) *Plan {
	p := &Plan{}
	known := map[string]value{}
	for _, s := range sections() {
		known[s.key] = value{}
	}
	entries, ok := r.entries(root, known, "a seed file")
	if !ok {
		return nil
	}
	count := 0
	for _, s := range sections() {
		n := entries[s.key].value
		if n == nil || isNull(n) {
			continue
		}
		if n.Kind != yaml.SequenceNode {
			r.fail(r.at(n), "%s must be a list: each %s begins with “- ”; it is %s", s.key, s.what, describe(n))
			continue
		}
		for _, item := range n.Content {
			if count++; count > MaxItems {
				r.fail(r.at(item), "a seed file holds at most %d items", MaxItems)
				return nil
			}
			r.item(s, item, s.into(p))
		}
	}
	return p
}

// item reads one element of a section.
func (r *reader) item(s section, n *yaml.Node, into *[]Item) {
	entries, ok := r.entries(n, s.keys, "a "+s.what)
	if !ok {
		return
	}
	it := Item{At: r.at(n), Input: map[string]any{}, Where: map[string]Place{}}
	for name, e := range entries {
		it.Where[name] = r.at(e.value)
		if v, ok := r.value(e.value, s.keys[name], name); ok {
			it.Input[name] = v
		}
	}
	it.Name, _ = it.Input[s.name].(string) // a missing name has been reported
	*into = append(*into, it)
}

type entry struct{ key, value *yaml.Node }

// entries reads a mapping whose keys are known; ok is false when it is not a mapping. Unknown, repeated and missing
// keys are reported.
func (r *reader) entries(n *yaml.Node, known map[string]value, what string) (map[string]entry, bool) {
	if !r.plain(n) {
		return nil, false
	}
	if n.Kind != yaml.MappingNode {
		r.fail(r.at(n), "%s must be keys and values; it is %s", what, describe(n))
		return nil, false
	}
	out := make(map[string]entry, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch _, ok := known[k.Value]; {
		case k.Kind != yaml.ScalarNode:
			r.fail(r.at(k), "a key must be a word; it is %s", describe(k))
		case !ok:
			r.fail(r.at(k), "unknown key %s; %s", clip(k.Value), suggestion(k.Value, known))
		case out[k.Value].key != nil:
			r.fail(r.at(k), "the key %s is here twice; the first is in line %d", k.Value, out[k.Value].key.Line)
		default:
			out[k.Value] = entry{k, v}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if _, ok := out[name]; !ok && known[name].required {
			r.fail(r.at(n), "%s needs the key %s", what, name)
		}
	}
	return out, true
}

// plain refuses YAML features that seed files do not support.
func (r *reader) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		r.fail(r.at(n), "aliases (*%s) are not followed in a seed file; write the value out", clip(n.Value))
	case strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		r.fail(r.at(n), "%s is not evaluated in a seed file; write the value itself", clip(n.Tag))
	default:
		return true
	}
	return false
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// value reads the value of key name.
func (r *reader) value(n *yaml.Node, want value, name string) (any, bool) {
	if !r.plain(n) {
		return nil, false
	}
	switch want.kind {
	case object:
		return r.object(n, want, name)
	case dict:
		return r.dict(n, name)
	case list:
		return r.list(n, want, name)
	default:
	}
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.fail(r.at(n), "%s must be %s; it is %s", name, expected(want), describe(n))
		return nil, false
	}
	v, ok := parseScalar(n, want)
	if !ok {
		r.fail(r.at(n), "%s must be %s; it is %s%s", name, expected(want), describe(n), nearWord(n.Value, want.oneOf))
	}
	return v, ok
}

// parseScalar reads a scalar of the wanted kind.
func parseScalar(n *yaml.Node, want value) (any, bool) {
	switch want.kind {
	case text:
		return n.Value, n.Tag == "!!str" && (want.oneOf == nil || slices.Contains(want.oneOf, n.Value))
	case integer:
		i, err := strconv.ParseInt(n.Value, 0, 64)
		return i, n.Tag == "!!int" && err == nil && i >= want.min && i <= want.max
	case number:
		f, err := strconv.ParseFloat(n.Value, 64)
		return f, (n.Tag == "!!int" || n.Tag == "!!float") && err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	case boolean:
		b, err := strconv.ParseBool(strings.ToLower(n.Value))
		return b, n.Tag == "!!bool" && err == nil
	default: // scalar; the other kinds are not scalars
		return n.Value, true
	}
}

func (r *reader) object(n *yaml.Node, want value, name string) (any, bool) {
	entries, ok := r.entries(n, want.keys, name)
	if !ok {
		return nil, false
	}
	out := make(map[string]any, len(entries))
	for k, e := range entries {
		if v, ok := r.value(e.value, want.keys[k], k); ok {
			out[k] = v
		}
	}
	return out, true
}

// variable matches the names that AWS allows for environment variables.
var variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]+$`) })

func (r *reader) dict(n *yaml.Node, name string) (any, bool) {
	if n.Kind != yaml.MappingNode {
		r.fail(r.at(n), "%s must be names and values; it is %s", name, describe(n))
		return nil, false
	}
	out := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if _, twice := out[k.Value]; twice || k.Kind != yaml.ScalarNode || !variable().MatchString(k.Value) {
			r.fail(
				r.at(k),
				"a name in %s must be there once, begin with a letter, and have two or more letters, digits and underscores; %s does not",
				name, describe(k),
			)
			continue
		}
		if v, ok := r.value(n.Content[i+1], value{kind: scalar}, k.Value); ok {
			out[k.Value] = v
		}
	}
	return out, true
}

func (r *reader) list(n *yaml.Node, want value, name string) (any, bool) {
	if n.Kind != yaml.SequenceNode {
		r.fail(r.at(n), "%s must be a list; it is %s", name, describe(n))
		return nil, false
	}
	out := make([]any, 0, len(n.Content))
	for _, e := range n.Content {
		if v, ok := r.value(e, *want.element, "an element of "+name); ok {
			out = append(out, v)
		}
	}
	return out, true
}

// describe says what a node is, for people.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys and values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "empty"
	}
	what := map[string]string{
		"!!int": "the number ", "!!float": "the number ", "!!bool": "the boolean ", "!!timestamp": "the time ",
	}[n.Tag]
	if what == "" {
		return strconv.Quote(clip(n.Value))
	}
	return what + clip(n.Value)
}

// expected says what a scalar must be.
func expected(want value) string {
	switch {
	case len(want.oneOf) == 1:
		return want.oneOf[0]
	case want.oneOf != nil:
		return strings.Join(want.oneOf[:len(want.oneOf)-1], ", ") + " or " + want.oneOf[len(want.oneOf)-1]
	case want.kind == integer && want.max >= math.MaxInt32:
		return fmt.Sprintf("a whole number from %d on", want.min)
	case want.kind == integer:
		return fmt.Sprintf("a whole number from %d to %d", want.min, want.max)
	case want.kind == number:
		return "a number"
	case want.kind == boolean:
		return "true or false"
	case want.kind == scalar:
		return "one value"
	}
	return "text (quote it if it looks like something else)"
}

// clip shortens a quotation from the file to one line.
func clip(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, s)
	return fault.Clip(s, 60)
}
