package filter

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/internal/jsontext"
)

// object is a pattern, or an object inside one: all its fields and one alternative of each of its ors must match.
type object struct {
	path   string // in the record; "" at the top
	fields []field
	ors    [][]*object
	orText []string // of ors, as it stands in the pattern
}

// field is a rule for the values of a name, or an object that goes one level down; the other is nil.
type field struct {
	name string
	path string // in the record
	rule *rule
	sub  *object
}

// names reports whether the pattern has a field of this name at its top.
func (o *object) names(name string) bool {
	return slices.ContainsFunc(o.fields, func(f field) bool { return f.name == name }) ||
		slices.ContainsFunc(o.ors, func(or []*object) bool {
			return slices.ContainsFunc(or, func(alternative *object) bool { return alternative.names(name) })
		})
}

// negative reports whether nothing but absence is asked for.
func (o *object) negative() bool {
	for _, f := range o.fields {
		if f.rule != nil && !f.rule.negative() || f.sub != nil && !f.sub.negative() {
			return false
		}
	}
	for _, or := range o.ors {
		for _, alternative := range or {
			if !alternative.negative() {
				return false
			}
		}
	}
	return true
}

// readPattern reads the text of one filter.
func readPattern(text string) (*object, *Error) {
	n, err := parse(text)
	if err != nil {
		return nil, err
	}
	if !jsontext.Faithful([]byte(text)) {
		return nil, &Error{Why: `it holds text that is not Unicode: broken UTF-8, or one half of a \u surrogate pair`}
	}
	if n.kind != '{' {
		return nil, refuse(&n, "", "a pattern is a JSON object, this is %s", n.what())
	}
	return readObject(&n, "", "")
}

func refuse(n *node, path, format string, args ...any) *Error {
	return &Error{Path: path, Offset: n.at, Why: fmt.Sprintf(format, args...)}
}

// readObject reads an object. place is its path in the pattern, path that in a record, which has no $or.
func readObject(n *node, place, path string) (*object, *Error) {
	if len(n.members) == 0 {
		return nil, refuse(n, place, "an object needs at least one name")
	}
	o := &object{path: path}
	for i := range n.members {
		m := &n.members[i]
		at := join(place, m.name)
		if isOr(m) {
			var or []*object
			for j := range m.value.items {
				alternative, err := readObject(&m.value.items[j], fmt.Sprintf("%s[%d]", at, j), path)
				if err != nil {
					return nil, err
				}
				or = append(or, alternative)
			}
			o.ors, o.orText = append(o.ors, or), append(o.orText, m.value.raw)
			continue
		}
		f := field{name: m.name, path: join(path, m.name)}
		var err *Error
		switch m.value.kind {
		case '{':
			f.sub, err = readObject(&m.value, at, f.path)
		case '[':
			if path == "" && m.name == Data {
				return nil, refuse(
					&m.value, at, "data of a stream is matched as JSON: give an object of its fields, not a list of values",
				)
			}
			f.rule, err = readRule(&m.value, at)
		default:
			return nil, refuse(&m.value, at, "give a list of values or an object, not %s", m.value.what())
		}
		if err != nil {
			return nil, err
		}
		o.fields = append(o.fields, f)
	}
	return o, nil
}

// reserved are the names that no alternative of an $or begins with: an array of objects with these is a rule for a
// field that is called $or. The list is event-ruler's.
var reserved = []string{
	"exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists", "wildcard", "numeric", "cidr",
	"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "date-after", "date-on-or-after",
	"date-before", "date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range",
}

// isOr reports whether a member is a choice between objects, and not a field of that name.
func isOr(m *member) bool {
	if m.name != "$or" || m.value.kind != '[' || len(m.value.items) < 2 {
		return false
	}
	for i := range m.value.items {
		item := &m.value.items[i]
		if item.kind != '{' {
			return false
		}
		for j := range item.members {
			if slices.Contains(reserved, item.members[j].name) {
				return false
			}
		}
	}
	return true
}

// readRule reads the list of what a field's value may be.
func readRule(n *node, place string) (*rule, *Error) {
	if len(n.items) == 0 {
		return nil, refuse(n, place, "a list of values needs at least one")
	}
	r := &rule{text: n.raw}
	for i := range n.items {
		t, err := readTest(&n.items[i], fmt.Sprintf("%s[%d]", place, i))
		if err != nil {
			return nil, err
		}
		r.add(t)
	}
	return r, nil
}

func readTest(n *node, place string) (test, *Error) {
	switch n.kind {
	case '"':
		return test{kind: equal, text: n.text}, nil
	case '0':
		return test{kind: sameNumber, text: n.text}, nil
	case 't', 'f', 'n':
		return test{kind: literal, value: n.kind}, nil
	case '[':
		return test{}, refuse(n, place, "a list holds values, not lists")
	}
	m, err := only(n, place)
	if err != nil {
		return test{}, err
	}
	at := join(place, m.name)
	switch v := &m.value; m.name {
	case "exactly":
		return readString(v, at, equal)
	case "equals-ignore-case":
		return readString(v, at, equalFold)
	case "prefix":
		return readFoldable(v, at, prefix, prefixFold)
	case "suffix":
		return readFoldable(v, at, suffix, suffixFold)
	case "wildcard":
		return readWildcard(v, at)
	case "exists":
		switch v.kind {
		case 't':
			return test{kind: present}, nil
		case 'f':
			return test{kind: absent}, nil
		}
		return test{}, refuse(v, at, "exists is true or false, not %s", v.what())
	case "numeric":
		return readNumeric(v, at)
	case "cidr":
		return readCIDR(v, at)
	case "anything-but":
		return readAnythingBut(v, at)
	}
	return test{}, &Error{Path: at, Offset: n.at, Why: fmt.Sprintf("there is no operator %q", shown(m.name))}
}

// only returns the one member of an object.
func only(n *node, place string) (*member, *Error) {
	if len(n.members) != 1 {
		return nil, refuse(n, place, "an object in a list of values has one name, its operator; this has %d", len(n.members))
	}
	return &n.members[0], nil
}

func readString(n *node, place string, k kind) (test, *Error) {
	if n.kind != '"' {
		return test{}, refuse(n, place, "give a string, not %s", n.what())
	}
	return test{kind: k, text: n.text}, nil
}

// readFoldable reads a string, or an equals-ignore-case of one.
func readFoldable(n *node, place string, k, fold kind) (test, *Error) {
	if n.kind != '{' {
		return readString(n, place, k)
	}
	m, err := only(n, place)
	if err != nil {
		return test{}, err
	}
	at := join(place, m.name)
	if m.name != "equals-ignore-case" {
		return test{}, refuse(n, at, "the only operator here is equals-ignore-case")
	}
	return readString(&m.value, at, fold)
}

// readWildcard reads a text in which * stands for any characters; \* and \\ stand for themselves.
func readWildcard(n *node, place string) (test, *Error) {
	t, err := readString(n, place, wildcard)
	if err != nil {
		return test{}, err
	}
	part, star := strings.Builder{}, false
	for i := 0; i < len(t.text); i++ {
		switch c := t.text[i]; c {
		case '*':
			if star {
				return test{}, refuse(n, place, "one * after the other: a single one stands for any characters")
			}
			star = true
			t.list = append(t.list, part.String())
			part.Reset()
			continue
		case '\\':
			if i++; i == len(t.text) || t.text[i] != '*' && t.text[i] != '\\' {
				return test{}, refuse(n, place, `a backslash stands before * or another backslash only`)
			}
			fallthrough
		default:
			part.WriteByte(t.text[i])
		}
		star = false
	}
	t.list = append(t.list, part.String())
	return t, nil
}

func readCIDR(n *node, place string) (test, *Error) {
	t, err := readString(n, place, cidr)
	if err != nil {
		return test{}, err
	}
	p, failed := netip.ParsePrefix(t.text)
	if failed != nil {
		return test{}, refuse(n, place, "%s is not a block of addresses such as 10.0.0.0/24", shown(n.raw))
	}
	t.block = p.Masked()
	return t, nil
}

// readNumeric reads one comparison, or a range from a lower to an upper bound.
func readNumeric(n *node, place string) (test, *Error) {
	if n.kind != '[' {
		return test{}, refuse(n, place, "numeric is a list of an operator and a number, not %s", n.what())
	}
	if len(n.items) != 2 && len(n.items) != 4 {
		return test{}, refuse(n, place, "numeric has one comparison or two, of an operator and a number each")
	}
	t := test{kind: numeric, low: math.Inf(-1), high: math.Inf(1)}
	for i := 0; i < len(n.items); i += 2 {
		at := fmt.Sprintf("%s[%d]", place, i)
		op, v := &n.items[i], &n.items[i+1]
		if op.kind != '"' {
			return test{}, refuse(op, at, "give an operator, one of = < <= > >=, not %s", op.what())
		}
		if v.kind != '0' {
			return test{}, refuse(v, fmt.Sprintf("%s[%d]", place, i+1), "give a number, not %s", v.what())
		}
		f, err := strconv.ParseFloat(v.text, 64)
		if err != nil {
			return test{}, refuse(
				v, fmt.Sprintf("%s[%d]", place, i+1), "%s is beyond what can be compared", shown(v.raw),
			)
		}
		lower := op.text == ">" || op.text == ">="
		switch {
		case i == 0 && len(n.items) == 4 && !lower:
			return test{}, refuse(op, at, "a range begins with > or >=")
		case i == 2 && op.text != "<" && op.text != "<=":
			return test{}, refuse(op, at, "a range ends with < or <=")
		case op.text == "=":
			t.low, t.high = f, f
		case lower:
			t.low, t.aboveLow = f, op.text == ">"
		case op.text == "<" || op.text == "<=":
			t.high, t.belowHigh = f, op.text == "<"
		default:
			return test{}, refuse(op, at, "there is no comparison %s; there are = < <= > >=", shown(op.raw))
		}
	}
	if len(n.items) == 4 && t.low >= t.high {
		return test{}, refuse(n, place, "the lower bound of a range must be less than the upper one")
	}
	return t, nil
}

// readAnythingBut reads what a value must differ from: a string or a number, a list of either, or an operator on
// strings.
func readAnythingBut(n *node, place string) (test, *Error) {
	if n.kind == '{' {
		return readAnythingButOperator(n, place)
	}
	items := []node{*n}
	if n.kind == '[' {
		if items = n.items; len(items) == 0 {
			return test{}, refuse(n, place, "anything-but needs at least one value")
		}
	}
	t := test{kind: notEqual}
	if items[0].kind == '0' {
		t.kind = notNumber
	}
	for i := range items {
		item := &items[i]
		switch {
		case item.kind != '"' && item.kind != '0':
			return test{}, refuse(item, place, "anything-but takes strings or numbers, not %s", item.what())
		case item.kind != items[0].kind:
			return test{}, refuse(item, place, "anything-but takes strings or numbers, not both")
		}
		t.list = append(t.list, item.text)
	}
	return t, nil
}

func readAnythingButOperator(n *node, place string) (test, *Error) {
	m, err := only(n, place)
	if err != nil {
		return test{}, err
	}
	at := join(place, m.name)
	var read func(*node, string) (test, *Error)
	plain := func(k kind, mayBeEmpty bool) func(*node, string) (test, *Error) {
		return func(n *node, place string) (test, *Error) {
			t, err := readString(n, place, k)
			if err == nil && t.text == "" && !mayBeEmpty {
				err = refuse(n, place, "every string has an empty one at its end: nothing could match")
			}
			return t, err
		}
	}
	switch m.name {
	case "prefix":
		read = plain(prefix, false)
	case "suffix":
		read = plain(suffix, false)
	case "equals-ignore-case":
		read = plain(equalFold, true)
	case "wildcard":
		read = readWildcard
	default:
		return test{}, refuse(
			n, at, "anything-but takes prefix, suffix, equals-ignore-case or wildcard, not %q", shown(m.name),
		)
	}
	items := []node{m.value}
	if m.value.kind == '[' {
		if items = m.value.items; len(items) == 0 {
			return test{}, refuse(&m.value, at, "give at least one string")
		}
	}
	t := test{kind: noneOf}
	for i := range items {
		one, err := read(&items[i], at)
		if err != nil {
			return test{}, err
		}
		t.none = append(t.none, one)
	}
	return t, nil
}
