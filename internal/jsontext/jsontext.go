// Package jsontext tells which JSON has only one meaning. All code that reads JSON from outside uses it, so that two
// different inputs never become one.
package jsontext

import (
	"strconv"
	"unicode/utf8"
)

// Faithful reports whether Go's JSON decoder reads every text of body as it was sent. The decoder silently replaces
// broken UTF-8 and a \u escape of half a surrogate pair by U+FFFD, so that two different keys become one; a service
// refuses such a body.
func Faithful(body []byte) bool { return utf8.Valid(body) && !halfSurrogate(body) }

func halfSurrogate(b []byte) bool {
	high := false // the escape just before was the first half
	for i := 0; i < len(b); i++ {
		unit := uint64(0)
		if b[i] == '\\' {
			i++ // on the escaped character
			if i+4 < len(b) && b[i] == 'u' {
				unit, _ = strconv.ParseUint(string(b[i+1:i+5]), 16, 16) // the decoder refuses what is not a number
				i += 4
			}
		}
		low := unit >= 0xDC00 && unit <= 0xDFFF
		if low != high {
			return true
		}
		high = unit >= 0xD800 && unit <= 0xDBFF
	}
	return high
}
