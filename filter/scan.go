package filter

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// This file reads JSON in one pass, without building anything, and tells whether it is JSON: exactly what encoding/json
// accepts, if it is UTF-8 as well. Every function takes the index of what it reads and returns the index behind it, or
// bad.

const bad = -1

// maxNesting is how deep objects and lists may nest: encoding/json's own limit.
const maxNesting = 10_000

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// A byte of a word is found by arithmetic on all eight: x - ones has the high bit set in the lowest byte that is zero.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// text reads a string whose opening quote stands before i, and tells whether it has escapes.
func (m *Matcher) text(b []byte, i int) (end int, escaped bool) {
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			// a quote, a backslash, a control character, or a byte beyond ASCII
			stop := (((w ^ '"'*ones) - ones) | ((w ^ '\\'*ones) - ones) | (w - ' '*ones) | w) & highs
			if stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return bad, false
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			escaped = true
			if i = escape(b, i); i == bad {
				return bad, false
			}
		case c < ' ':
			return bad, false
		case c >= utf8.RuneSelf:
			m.wide = true
			for i < len(b) && b[i] >= utf8.RuneSelf {
				i++
			}
		default:
			i++
		}
	}
}

// escape reads an escape.
func escape(b []byte, i int) int {
	if i+1 >= len(b) {
		return bad
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if i+6 > len(b) {
			return bad
		}
		for _, c := range b[i+2 : i+6] {
			if hexValue[c] == 0xff {
				return bad
			}
		}
		return i + 6
	}
	return bad
}

var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range byte(16) {
		t["0123456789abcdef"[i]], t["0123456789ABCDEF"[i]] = i, i
	}
	return t
}()

// unescape appends a string without its quotes, decoded. One half of a surrogate pair becomes U+FFFD.
func unescape(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			i++
			continue
		}
		c := s[i+1]
		if c != 'u' {
			i += 2
			switch c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
			dst = append(dst, c)
			continue
		}
		r := unit(s, i)
		i += 6
		if utf16.IsSurrogate(r) {
			if i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
				if whole := utf16.DecodeRune(r, unit(s, i)); whole != utf8.RuneError {
					i += 6
					dst = utf8.AppendRune(dst, whole)
					continue
				}
			}
			r = utf8.RuneError
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// unit returns the code unit of a \u escape.
func unit(s []byte, i int) rune {
	return rune(hexValue[s[i+2]])<<12 | rune(hexValue[s[i+3]])<<8 | rune(hexValue[s[i+4]])<<4 | rune(hexValue[s[i+5]])
}

func digits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == from {
		return bad
	}
	return i
}

func number(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i == bad {
		return bad
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i == bad {
			return bad
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

func word(b []byte, i int) int {
	want := "true"
	switch b[i] {
	case 'f':
		want = "false"
	case 'n':
		want = "null"
	}
	if len(b)-i < len(want) || string(b[i:i+len(want)]) != want {
		return bad
	}
	return i + len(want)
}

// skip reads a value of any kind that nobody asks for.
func (m *Matcher) skip(b []byte, i int) int {
	if i >= len(b) {
		return bad
	}
	switch c := b[i]; {
	case c == '"':
		i, _ = m.text(b, i+1)
		return i
	case c == '-' || c-'0' <= 9:
		return number(b, i)
	case c == 't' || c == 'f' || c == 'n':
		return word(b, i)
	case c == '{' || c == '[':
		return m.skipNested(b, i)
	}
	return bad
}

// skipNested reads an object or a list. What it is inside of is kept as one bit for each depth, set for an object.
func (m *Matcher) skipNested(b []byte, i int) int {
	outside := m.depth
	for {
		// b[i] opens an object or a list
		if m.depth++; m.depth > maxNesting {
			return bad
		}
		object := b[i] == '{'
		m.setInside(object)
		i = space(b, i+1)
		if i >= len(b) {
			return bad
		}
		closed := b[i] == '}' && object || b[i] == ']' && !object
		for {
			if closed {
				i++
				if m.depth--; m.depth == outside {
					return i
				}
				object = m.inside()
			} else {
				if object {
					if i = m.key(b, i); i == bad {
						return bad
					}
				}
				if i >= len(b) {
					return bad
				}
				if b[i] == '{' || b[i] == '[' {
					break
				}
				if i = m.skip(b, i); i == bad {
					return bad
				}
			}
			if i = space(b, i); i >= len(b) {
				return bad
			}
			switch c := b[i]; {
			case c == ',':
				i, closed = space(b, i+1), false
			case c == '}' && object, c == ']' && !object:
				closed = true
			default:
				return bad
			}
		}
	}
}

// key reads a name and its colon, and the space behind it.
func (m *Matcher) key(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return bad
	}
	if i, _ = m.text(b, i+1); i == bad {
		return bad
	}
	return colon(b, i)
}

func colon(b []byte, i int) int {
	if i = space(b, i); i >= len(b) || b[i] != ':' {
		return bad
	}
	return space(b, i+1)
}

func (m *Matcher) setInside(object bool) {
	at := m.depth >> 6
	for at >= len(m.nesting) {
		m.nesting = append(m.nesting, 0)
	}
	if bit := uint64(1) << (m.depth & 63); object {
		m.nesting[at] |= bit
	} else {
		m.nesting[at] &^= bit
	}
}

func (m *Matcher) inside() bool { return m.nesting[m.depth>>6]>>(m.depth&63)&1 == 1 }
