package kinesis

import (
	"encoding/json"
	"iter"
)

// The functions here walk JSON that isObject has accepted. They keep nothing, so a request of any shape costs no more
// memory than its body.

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// valueEnd returns the index behind the value that begins at i.
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch b[i] {
			case '"':
				i = stringEnd(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(b) && !endsScalar(b[i]) {
		i++
	}
	return i
}

func endsScalar(c byte) bool {
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// stringEnd returns the index behind the closing quote of the string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// members yields the names (decoded) and values (raw) of an object, in order.
func members(b []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		i := skipSpace(b, skipSpace(b, 0)+1)
		for b[i] != '}' {
			nameEnd := stringEnd(b, i)
			name := text(b[i:nameEnd])
			i = skipSpace(b, skipSpace(b, nameEnd)+1) // behind the colon
			end := valueEnd(b, i)
			if !yield(name, b[i:end]) {
				return
			}
			i = skipSpace(b, end)
			if b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
	}
}

// elements yields the raw values of a list, in order.
func elements(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := skipSpace(b, skipSpace(b, 0)+1)
		for b[i] != ']' {
			end := valueEnd(b, i)
			if !yield(b[i:end]) {
				return
			}
			i = skipSpace(b, end)
			if b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
	}
}

// text returns a raw string decoded.
func text(raw []byte) string {
	plain := true
	for _, c := range raw {
		if c == '\\' || c >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		panic(err) // the body was valid as a whole
	}
	return s
}

// Kinds of raw values, by their first byte.
func isNull(raw []byte) bool   { return len(raw) == 0 || raw[0] == 'n' }
func isString(raw []byte) bool { return raw[0] == '"' }
func isBool(raw []byte) bool   { return raw[0] == 't' || raw[0] == 'f' }
func isList(raw []byte) bool   { return raw[0] == '[' }
func isMap(raw []byte) bool    { return raw[0] == '{' }
