package filter

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// kind says how a test compares. Where nothing else is said it wants a string.
type kind uint8

const (
	equal      kind = iota + 1 // to the character
	equalFold                  // upper and lower case are the same
	prefix                     //
	prefixFold                 //
	suffix                     //
	suffixFold                 //
	wildcard                   //
	cidr                       // an address in a block
	sameNumber                 // a number that is written so: 300 is not 300.0
	numeric                    // a number within bounds, compared as IEEE doubles
	literal                    // true, false or null
	present                    // any value but objects and lists
	absent                     // no such value
	notEqual                   // any value but these strings
	notNumber                  // any value but these numbers
	noneOf                     // any value for which none of other tests holds
)

// test is one of the things that a value may be.
type test struct {
	kind  kind
	text  string
	value byte     // of literal: t, f or n
	list  []string // what to differ from; the parts between the stars of a wildcard
	none  []test
	block netip.Prefix

	low, high           float64
	aboveLow, belowHigh bool // the bound itself is out
}

// scalar is a value of a record that is neither an object nor a list.
type scalar struct {
	kind byte   // " 0 t f n
	text []byte // of a string, decoded; of a number, as it is written
}

// rule is the list of what a value may be.
type rule struct {
	text    string // as it stands in the pattern
	tests   []test
	strings map[string]bool // the tests for equal strings, when there are many
	absence bool            // one of them is absent
}

// many is how many strings are looked up rather than compared one by one.
const many = 12

func (r *rule) add(t test) {
	if t.kind == absent {
		r.absence = true
		return
	}
	r.tests = append(r.tests, t)
	if n := len(r.tests); n < many || slices.ContainsFunc(r.tests, func(t test) bool { return t.kind != equal }) {
		r.strings = nil
		return
	}
	if r.strings == nil {
		r.strings = map[string]bool{}
		for _, t := range r.tests {
			r.strings[t.text] = true
		}
	}
	r.strings[t.text] = true
}

// negative reports whether the rule asks for absence and nothing else.
func (r *rule) negative() bool { return len(r.tests) == 0 }

// match reports whether a value is one of those that the rule allows.
func (r *rule) match(v scalar) bool {
	if r.strings != nil {
		return v.kind == '"' && r.strings[string(v.text)]
	}
	for i := range r.tests {
		if r.tests[i].match(v) {
			return true
		}
	}
	return false
}

func (t *test) match(v scalar) bool {
	switch t.kind {
	case equal:
		return v.kind == '"' && string(v.text) == t.text
	case equalFold:
		return v.kind == '"' && len(v.text) <= utf8.UTFMax*len(t.text) && foldEqual(v.text, t.text)
	case prefix:
		return v.kind == '"' && len(v.text) >= len(t.text) && string(v.text[:len(t.text)]) == t.text
	case suffix:
		return v.kind == '"' && len(v.text) >= len(t.text) && string(v.text[len(v.text)-len(t.text):]) == t.text
	case prefixFold:
		_, ok := foldPrefix(v.text, t.text)
		return v.kind == '"' && ok
	case suffixFold:
		return v.kind == '"' && foldSuffix(v.text, t.text)
	case wildcard:
		return v.kind == '"' && t.wild(v.text)
	case cidr:
		return v.kind == '"' && t.contains(v.text)
	case sameNumber:
		return v.kind == '0' && string(v.text) == t.text
	case numeric:
		return v.kind == '0' && t.within(v.text)
	case literal:
		return v.kind == t.value
	case present:
		return true
	case absent:
		return false
	case notEqual:
		return v.kind != '"' || !slices.Contains(t.list, string(v.text))
	case notNumber:
		return v.kind != '0' || !slices.Contains(t.list, string(v.text))
	case noneOf:
		for i := range t.none {
			if t.none[i].match(v) {
				return false
			}
		}
		return true
	}
	return false
}

// within compares a number as an IEEE double; one beyond its range counts as infinite.
func (t *test) within(number []byte) bool {
	f, err := strconv.ParseFloat(string(number), 64)
	if err != nil && !math.IsInf(f, 0) {
		return false
	}
	return (f > t.low || f == t.low && !t.aboveLow) && (f < t.high || f == t.high && !t.belowHigh)
}

func (t *test) contains(address []byte) bool {
	if n := len(address); n < len("::") || n > len("0000:0000:0000:0000:0000:ffff:255.255.255.255") {
		return false
	}
	a, err := netip.ParseAddr(string(address))
	return err == nil && a.Zone() == "" && t.block.Contains(a)
}

// wild matches the parts between the stars in their order, each as early as it can be.
func (t *test) wild(s []byte) bool {
	first, last := t.list[0], t.list[len(t.list)-1]
	if len(t.list) == 1 {
		return string(s) == first
	}
	if len(s) < len(first)+len(last) || string(s[:len(first)]) != first || string(s[len(s)-len(last):]) != last {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range t.list[1 : len(t.list)-1] {
		i := index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// index is bytes.Index for a string.
func index(s []byte, part string) int {
	if part == "" {
		return 0
	}
	for from := 0; ; {
		i := bytes.IndexByte(s[from:], part[0])
		if i < 0 || len(s)-from-i < len(part) {
			return -1
		}
		if from += i; string(s[from:from+len(part)]) == part {
			return from
		}
		from++
	}
}

// sameFolded reports whether two characters differ in case only.
func sameFolded(a, b rune) bool {
	if a == b {
		return true
	}
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

func foldEqual(s []byte, want string) bool {
	n, ok := foldPrefix(s, want)
	return ok && n == len(s)
}

// foldPrefix reports whether s begins with want, and how many bytes of s that are.
func foldPrefix(s []byte, want string) (n int, ok bool) {
	for _, w := range want {
		r, size := utf8.DecodeRune(s[n:])
		if size == 0 || !sameFolded(r, w) {
			return 0, false
		}
		n += size
	}
	return n, true
}

func foldSuffix(s []byte, want string) bool {
	for len(want) > 0 {
		w, wsize := utf8.DecodeLastRuneInString(want)
		r, size := utf8.DecodeLastRune(s)
		if size == 0 || !sameFolded(r, w) {
			return false
		}
		s, want = s[:len(s)-size], want[:len(want)-wsize]
	}
	return true
}
