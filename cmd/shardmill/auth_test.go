package main

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/auth"
	"github.com/shardmill/shardmill/internal/eventually"
)

// A key that was added counts as soon as the process has got SIGHUP.
func TestKeysAreReadAgainAtAHangup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.yaml")
	add := func(name string) {
		t.Helper()
		if err := auth.Add(path, auth.New(name, "", auth.Rights{Role: auth.View})); err != nil {
			t.Fatal(err)
		}
	}
	add("alice")
	keys, err := auth.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := reloadOnHangup(keys)
	defer stop()
	add("bob")
	if _, ok := keys.Named("bob"); ok {
		t.Fatal("bob is known before the signal")
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually.Holds(t, "bob", func() bool {
		_, ok := keys.Named("bob")
		return ok
	})
}

// Requests are signed with the key that AWS's clients would take in the same shell; a key id of twelve digits names an
// account, whose key has the server's token for its secret.
func TestWithWhichKeyACommandSigns(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SHARDMILL_TOKEN"} {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	signs := func(f connection) string {
		t.Helper()
		c, err := f.client()
		if err != nil {
			t.Fatal(err)
		}
		k := c.signer()
		return k.ID + " " + k.Secret + " " + k.Session
	}
	if got := signs(connection{}); got != "000000000000 shardmill " {
		t.Errorf("with nothing: %s", got)
	}
	t.Setenv("SHARDMILL_TOKEN", "token")
	if got := signs(connection{}); got != "000000000000 token " {
		t.Errorf("with a token: %s", got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "123456789012")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if got := signs(connection{}); got != "123456789012 token " {
		t.Errorf("with an account: %s", got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SESSION_TOKEN", "session")
	if got := signs(connection{}); got != "AKIAIOSFODNN7EXAMPLE secret session" {
		t.Errorf("with a key: %s", got)
	}
	if got := signs(connection{account: "000000000001"}); got != "000000000001 token " {
		t.Errorf("with --account: %s", got)
	}
}
