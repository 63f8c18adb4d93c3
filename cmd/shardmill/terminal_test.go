package main

import "testing"

// What would control a terminal is shown as JSON escapes; bytes that are not UTF-8, which some terminals take for C1,
// in hex. The rest stays as it is.
func TestWhatCommandsATerminalIsEscaped(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain, ä, 日本, 👩\u200d💻\n\t.": "plain, ä, 日本, 👩\u200d💻\n\t.",
		"\x1b[2J":                     `\u001b[2J`,
		"\u009b2J":                    `\u009b2J`,
		"\x9b2J":                      `\x9b2J`,
		"a\xff\xe2\x80":               `a\xff\xe2\x80`,
		"\x00\a\x7f":                  `\u0000\u0007\u007f`,
		"a\u202eb\u2066\u200e\ufeff":  `a\u202eb\u2066\u200e\ufeff`,
		"a\u2028b\u2029":              `a\u2028b\u2029`,
		"\U000e0041":                  `\udb40\udc41`,
		"over\rwritten":               `over\u000dwritten`,
		"a line\r\n":                  "a line\n",
	} {
		if got := escaped(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}
