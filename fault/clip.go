package fault

import "strings"

// Clip cuts a caller's text to at most so many bytes, for a message that a person reads. It cuts between characters and shows that it has.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
