package main

import "testing"

// The account comes from the flag, else from an access key that names one, else it is the default.
func TestTheFlagNamesTheAccount(t *testing.T) {
	for _, c := range []struct{ flag, key, want string }{
		{"444455556666", "111122223333", "444455556666"},
		{"", "111122223333", "111122223333"},
		{"", "AKIAIOSFODNN7EXAMPLE", "000000000000"},
		{"", "", "000000000000"},
	} {
		t.Setenv("AWS_ACCESS_KEY_ID", c.key)
		cl, err := (&connection{account: c.flag}).client()
		if err != nil || cl.account != c.want {
			t.Errorf("--account %q with the key %q: %+v, %v; want %s", c.flag, c.key, cl, err, c.want)
		}
	}
}
