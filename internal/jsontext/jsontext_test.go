package jsontext

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFaithfulFindsWhatTheDecoderWouldReplace(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"a":"\ud83d\ude00"}`:     true,
		`{"a":"\uD83D\uDE00\n\\"}`: true,
		`{"a":"\\ud83d"}`:          true, // a backslash, then letters
		`{"a":"\\\ud83d"}`:         false,
		`{"a":"\ud83d"}`:           false,
		`{"a":"\ud83dx"}`:          false,
		`{"a":"\ud83d\n"}`:         false,
		`{"a":"\ud83d\u0041"}`:     false,
		`{"a":"\ude00"}`:           false,
		`{"a":"\ud83d\ud83d"}`:     false,
		`{"a":"\ud83d`:             false,
		"{\"a\":\"\xff\"}":         false,
		"":                         true,
	} {
		if got := Faithful([]byte(body)); got != want {
			t.Errorf("%q: got %v", body, got)
		}
	}
}

// A faithful text decodes without U+FFFD, unless it was sent.
func FuzzFaithful(f *testing.F) {
	f.Add(`\ud83d\ude00`)
	f.Add(`\\\ud83d`)
	f.Add(`\ud83d\u0041`)
	f.Fuzz(func(t *testing.T, text string) {
		var s string
		if body := []byte(`"` + text + `"`); json.Unmarshal(body, &s) != nil ||
			strings.Contains(strings.ToLower(text), "ufffd") || strings.ContainsRune(text, utf8.RuneError) &&
			utf8.ValidString(text) {
			return
		}
		if got := Faithful([]byte(`"` + text + `"`)); got == strings.ContainsRune(s, utf8.RuneError) {
			t.Errorf("%q decodes to %q, faithful: %v", text, s, got)
		}
	})
}
