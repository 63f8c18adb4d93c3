package filter

import (
	"slices"
	"unicode/utf8"
)

// Matcher matches records against a Filter. It has the scratch that this needs, so that matching allocates nothing. Not
// safe for concurrent use.
type Matcher struct {
	f       *Filter
	slots   []bool // of every level: what holds in the object read last
	marks   []bool // of every name: what holds so far in the list at hand
	str     []byte // the string at hand, decoded
	nesting []uint64
	depth   int
	wide    bool // the text has bytes beyond ASCII
}

// Matcher returns a new matcher for f.
func (f *Filter) Matcher() *Matcher {
	return &Matcher{f: f, slots: make([]bool, f.slots), marks: make([]bool, f.marks)}
}

// Match reports whether a record passes. metadata is a JSON object of all that can be matched beside data; it is not
// looked at if no pattern needs it (Filter.Metadata). data is the record's data, which need not be JSON: a filter with
// a rule for data does not match then, nor if it is JSON but no object. Both are only read.
func (m *Matcher) Match(metadata, data []byte) bool {
	f, l := m.f, m.f.root
	slots := m.slots[l.at : l.at+len(l.initial)]
	copy(slots, l.initial)
	if f.metadata {
		m.depth = 1
		if i := space(metadata, 0); i >= len(metadata) || metadata[i] != '{' || m.object(metadata, i+1, l) == bad {
			return false // it is ours, so this does not happen
		}
	}
	if f.data != nil && f.metadata {
		if match, known := f.beforeData(slots); known {
			return match
		}
	}
	isObject := f.data != nil && m.readData(data)
	for i := range l.askers {
		if (isObject || !f.usesData[i]) && l.askers[i].all.holds(slots) {
			return true
		}
	}
	return false
}

// beforeData tells whether the metadata decides alone, and how: data that decides nothing need not be read, and be it
// no JSON.
func (f *Filter) beforeData(slots []bool) (match, known bool) {
	known = true
	for i := range f.root.askers {
		c := &f.root.askers[i].all
		switch {
		case !f.usesData[i]:
			if c.holds(slots) {
				return true, true
			}
		case !slices.ContainsFunc(c.slots, func(slot int) bool { return !slots[slot] && !f.ofData[slot] }):
			known = false
		}
	}
	return false, known
}

// readData reads a record's data and reports whether it is a JSON object.
func (m *Matcher) readData(data []byte) bool {
	n, l := m.f.data, m.f.root
	i := space(data, 0)
	if i >= len(data) || data[i] != '{' {
		return false
	}
	m.wide, m.depth = false, 1
	if i = m.object(data, i+1, n.sub); i == bad || space(data, i) != len(data) || m.wide && !utf8.Valid(data) {
		return false
	}
	m.ask(n, m.slots[l.at:])
	return true
}

// ask puts what the askers of n say of the object that was read last into the slots of the level above.
func (m *Matcher) ask(n *name, slots []bool) {
	below := m.slots[n.sub.at:]
	for i, slot := range n.slots {
		slots[slot] = n.sub.askers[i].all.holds(below)
	}
}

// object reads an object, whose brace stands before i, and sets the slots of l. A name that stands twice counts with
// its last value.
func (m *Matcher) object(b []byte, i int, l *level) int {
	slots := m.slots[l.at : l.at+len(l.initial)]
	copy(slots, l.initial)
	if i = space(b, i); i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return bad
		}
		from := i + 1
		end, escaped := m.text(b, from)
		if end == bad {
			return bad
		}
		key := b[from : end-1]
		if escaped {
			m.str = unescape(m.str[:0], key)
			key = m.str
		}
		if i = colon(b, end); i == bad {
			return bad
		}
		if n := l.find(key); n == nil {
			i = m.skip(b, i)
		} else {
			i = m.value(b, i, n, slots)
		}
		if i == bad {
			return bad
		}
		if i = space(b, i); i >= len(b) {
			return bad
		}
		if b[i] == '}' {
			return i + 1
		}
		if b[i] != ',' {
			return bad
		}
		i = space(b, i+1)
	}
}

// value reads a value of n and sets the slots of n.
func (m *Matcher) value(b []byte, i int, n *name, slots []bool) int {
	if i >= len(b) {
		return bad
	}
	switch b[i] {
	case '{':
		if i = m.below(b, i, n); i != bad && n.sub != nil {
			m.ask(n, slots)
		}
		for _, r := range n.rules {
			slots[r.slot] = r.absence
		}
		return i
	case '[':
		return m.list(b, i, n, slots)
	}
	v, i := m.scalar(b, i)
	if i == bad {
		return bad
	}
	for _, r := range n.rules {
		slots[r.slot] = r.match(v)
	}
	for j, slot := range n.slots {
		slots[slot] = n.sub.askers[j].absent
	}
	return i
}

// scalar reads a value that is neither an object nor a list.
func (m *Matcher) scalar(b []byte, i int) (v scalar, end int) {
	from := i
	switch c := b[i]; {
	case c == '"':
		end, escaped := m.text(b, i+1)
		if end == bad {
			return v, bad
		}
		v = scalar{'"', b[i+1 : end-1]}
		if escaped {
			m.str = unescape(m.str[:0], v.text)
			v.text = m.str
		}
		return v, end
	case c == '-' || c-'0' <= 9:
		if i = number(b, i); i == bad {
			return v, bad
		}
		return scalar{'0', b[from:i]}, i
	case c == 't' || c == 'f' || c == 'n':
		return scalar{c, nil}, word(b, i)
	}
	return v, bad
}

// list reads a list of values of n: a rule holds if it does for one of them, however deep in lists of lists; an asker
// is content if one object is what it asks for, so that all its fields are in the same object.
func (m *Matcher) list(b []byte, i int, n *name, slots []bool) int {
	marks := m.marks[n.mark : n.mark+len(n.rules)+len(n.slots)]
	clear(marks)
	for j := range n.slots {
		marks[len(n.rules)+j] = n.sub.askers[j].negative
	}
	i, scalars, objects := m.elements(b, i, n, marks)
	if i == bad {
		return bad
	}
	for j, r := range n.rules {
		slots[r.slot] = marks[j] || r.absence && !scalars
	}
	for j, slot := range n.slots {
		slots[slot] = marks[len(n.rules)+j]
		if !objects {
			slots[slot] = n.sub.askers[j].absent
		}
	}
	return i
}

// elements reads the elements of a list, and tells whether there were any scalars and any objects.
func (m *Matcher) elements(b []byte, i int, n *name, marks []bool) (end int, scalars, objects bool) {
	if m.depth++; m.depth > maxNesting {
		return bad, false, false
	}
	if i = space(b, i+1); i < len(b) && b[i] == ']' {
		m.depth--
		return i + 1, false, false
	}
	for {
		if i >= len(b) {
			return bad, false, false
		}
		switch b[i] {
		case '{':
			objects = true
			if i = m.element(b, i, n, marks[len(n.rules):]); i == bad {
				return bad, false, false
			}
		case '[':
			s, o := false, false
			if i, s, o = m.elements(b, i, n, marks); i == bad {
				return bad, false, false
			}
			scalars, objects = scalars || s, objects || o
		default:
			v, next := m.scalar(b, i)
			if i = next; i == bad {
				return bad, false, false
			}
			scalars = true
			for j, r := range n.rules {
				marks[j] = marks[j] || r.match(v)
			}
		}
		if i = space(b, i); i >= len(b) {
			return bad, false, false
		}
		if b[i] == ']' {
			m.depth--
			return i + 1, scalars, objects
		}
		if b[i] != ',' {
			return bad, false, false
		}
		i = space(b, i+1)
	}
}

// below reads an object that is a value of n.
func (m *Matcher) below(b []byte, i int, n *name) int {
	if n.sub == nil {
		return m.skip(b, i)
	}
	if m.depth++; m.depth > maxNesting {
		return bad
	}
	i = m.object(b, i+1, n.sub)
	m.depth--
	return i
}

// element reads an object in a list.
func (m *Matcher) element(b []byte, i int, n *name, marks []bool) int {
	if i = m.below(b, i, n); i == bad || n.sub == nil {
		return i
	}
	below := m.slots[n.sub.at:]
	for j := range n.sub.askers {
		a := &n.sub.askers[j]
		if a.negative {
			marks[j] = marks[j] && a.all.holds(below)
		} else {
			marks[j] = marks[j] || a.all.holds(below)
		}
	}
	return i
}
