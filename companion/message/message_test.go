package message

import (
	"strings"
	"testing"
)

// "The name can contain the following characters: A-Z, a-z, 0-9, underscore (_), hyphen (-), and period (.). The name
// must not start or end with a period, and it should not have successive periods. … The name must not start with AWS.
// or Amazon. (or any casing variants). … The name can be up to 256 characters long."
func TestNamesOfAttributes(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"a", "A-b_c.9", "-", "aws", "awsome.x", "AmazonX.y", "x.aws.", strings.Repeat("n", MaxAttributeName),
	} {
		if want := !strings.HasSuffix(s, "."); ValidAttributeName(s) != want {
			t.Errorf("%s: %t", s, !want)
		}
	}
	for _, s := range []string{
		"", ".", ".a", "a.", "a..b", "a b", "é", "AWS.x", "aws.x", "Amazon.x", "aMAZON.x",
		strings.Repeat("n", MaxAttributeName+1),
	} {
		if ValidAttributeName(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestNumbersAreDecimal(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"0", "-1", "+1.5", ".5", "5.", "1e10", "-1.25E-3"} {
		if !ValidNumber(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", "x", "0x10", "1_000", "NaN", "Inf", "1e", "1e999", "--1", " 1", "1,5"} {
		if ValidNumber(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestNamesHaveTheirLength(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"a": true, "a-B_9": true, "123456": false, "": false, "a.b": false, "é": false,
	} {
		if ValidName(s, 5) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
}
