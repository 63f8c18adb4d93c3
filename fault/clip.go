package fault

import (
	"strings"
	"unicode/utf8"
)

// Clip cuts a caller's text to no more than most bytes, for a message that a person reads. It cuts between characters
// and marks the cut.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(Cut(s, most), "") + "…"
}

// Cut returns the beginning of a text, no more than most bytes. It ends between characters; text that is not UTF-8
// there is cut at the limit.
func Cut[T ~string | ~[]byte](s T, most int) T {
	if len(s) <= most {
		return s
	}
	for at := most; at >= max(0, most-utf8.UTFMax+1); at-- {
		if utf8.RuneStart(s[at]) {
			return s[:at]
		}
	}
	return s[:most]
}

// CutFront returns the end of a text, no more than most bytes. It begins between characters if the text is UTF-8 there.
func CutFront[T ~string | ~[]byte](s T, most int) T {
	if len(s) <= most {
		return s
	}
	from := len(s) - most
	for at := from; at <= min(len(s), from+utf8.UTFMax-1); at++ {
		if at == len(s) || utf8.RuneStart(s[at]) {
			return s[at:]
		}
	}
	return s[from:]
}
