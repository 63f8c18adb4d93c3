package server

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/auth"
	"github.com/shardmill/shardmill/function"
)

// A function may do what its owner may, in the account in which both are: a key of the same name in another account is
// somebody else's. One that nobody answers for, because signatures were not verified then, operates and governs not.
func TestWhoAnswersForAFunction(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, Config{}) // whose keys have the names of their roles
	for _, c := range []struct {
		account, owner string
		govern, put    bool
	}{
		{auth.DefaultAccount, "admin", true, true},
		{auth.DefaultAccount, "produce", false, true},
		{auth.DefaultAccount, "view", false, false},
		{auth.DefaultAccount, "gone", false, false},
		{auth.DefaultAccount, "", false, true},
		{"111111111111", "admin", false, false},
		{"111111111111", "produce", false, false},
		{"111111111111", "", false, true},
	} {
		who := g.s.function(function.Holding{
			Ref:   function.Ref{Account: c.account, Region: "us-east-1", Name: "f"},
			Owner: c.owner,
		})
		if who.Account != c.account || who.Rights.May("iam", "CreateRole") != c.govern ||
			who.Rights.May("shardmill", "Reset") != c.govern || who.Rights.May("kinesis", "PutRecord") != c.put {
			t.Errorf("%s of %s: %+v", c.owner, c.account, who.Rights)
		}
	}
}

// Versions of TLS before 1.2 are not spoken, whatever a client would take.
func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	b := start(t, Config{TLSSelfSigned: t.TempDir()})
	at := strings.TrimPrefix(b.s.Endpoint(), "https://")
	for most, served := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", at, &tls.Config{
			MinVersion: tls.VersionTLS10, MaxVersion: most, InsecureSkipVerify: true, // it is about the version alone
		})
		if (err == nil) != served {
			t.Errorf("up to %x: %v", most, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}
