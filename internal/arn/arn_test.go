package arn

import "testing"

func TestShortAccountsFoldToTheCaller(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account, id string
		folded, ok  bool
	}{
		"twelve digits are literal":       {"123456789012", "123456789012", false, true},
		"nine digits, as tutorials print": {"123456789", "000000000000", true, true},
		"thirteen digits are no account":  {"1234567890123", "", false, false},
		"letters are no account":          {"12345678901a", "", false, false},
		"an empty account is no account":  {"", "", false, false},
	} {
		id, folded, ok := FoldAccount(c.account, "000000000000")
		if id != c.id || folded != c.folded || ok != c.ok {
			t.Errorf("%s: got %q %v %v", name, id, folded, ok)
		}
	}
}

func TestParseAndStringAreInverse(t *testing.T) {
	t.Parallel()
	const text = "arn:aws:lambda:us-east-1:123456789012:function:f:1"
	a, ok := Parse(text)
	if !ok || a.String() != text || a.Resource != "function:f:1" {
		t.Errorf("got %+v %v", a, ok)
	}
	for _, bad := range []string{"", "arn:aws:lambda", "nra:aws:lambda:us-east-1:123456789012:f"} {
		if _, ok := Parse(bad); ok {
			t.Errorf("%q parsed", bad)
		}
	}
	if got := New(
		"kinesis", "cn-north-1", "123456789012", "stream/s",
	).String(); got != "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/s" {
		t.Error(got)
	}
}

func TestAccountsHaveTwelveDigits(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"123456789012": true, "000000000000": true, "12345678901": false, "1234567890123": false, "": false,
		"12345678901a": false, "12345678901٣": false,
	} {
		if IsAccount(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
}
