package cloudwatch

import (
	"strings"
	"testing"
)

// Values are counted without being decoded, whatever the width of their heads; strings are skipped, and truncated input
// ends the count.
func TestValuesOfCBORAreCounted(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		"": 0, "\xa0": 1, "\x83\x01\x02\x03": 4, "\x9f\x01\x02\xff": 4, "\xa1\x61a\xf6": 3,
		"\x82\x19\x01\x02\x1b\x01\x02\x03\x04\x05\x06\x07\x08": 3, "\xfb\x00\x00\x00\x00\x00\x00\x00\x00": 1,
		"\x78\x03\xa0\xa0\xa0\x01": 2, "\x5f\x42\x01\x01\xff": 3, "\xc1\x01": 2,
		"\x63a": 1, "\x19\x01": 1, "\x7b\xff\xff\xff\xff\xff\xff\xff\xff": 1, strings.Repeat("\x80", 1000): 1000,
	} {
		if got := values([]byte(body)); got != want {
			t.Errorf("%.20x: %d values, want %d", body, got, want)
		}
	}
}
