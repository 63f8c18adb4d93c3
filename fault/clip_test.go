package fault

import "testing"

func TestClipCutsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		most int
		want string
	}{{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"aä…", 2, "a…"}, {"ä", 1, "…"}} {
		if got := Clip(c.in, c.most); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

// A character of one to four bytes is whole on one side of a cut, wherever the limit falls; text that is not UTF-8 is
// cut at the limit.
func TestCutAndCutFrontKeepCharactersWhole(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in         string
		most       int
		head, tail string
	}{
		{"", 0, "", ""},
		{"abc", 3, "abc", "abc"},
		{"abc", 2, "ab", "bc"},
		{"aä", 2, "a", "ä"},
		{"äa", 2, "ä", "a"},
		{"😀", 3, "", ""},
		{"😀😀", 7, "😀", "😀"},
		{"\x80\x81\x82\x83\x84\x85", 5, "\x80\x81\x82\x83\x84", "\x81\x82\x83\x84\x85"},
	} {
		if got := Cut(c.in, c.most); got != c.head {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.in, c.most, got, c.head)
		}
		if got := CutFront([]byte(c.in), c.most); string(got) != c.tail {
			t.Errorf("CutFront(%q, %d) = %q, want %q", c.in, c.most, got, c.tail)
		}
	}
}
