package server

import (
	"os"
	"path/filepath"
	"testing"
)

// A start removes the tokens of servers that were killed, and of no other; a server that stops leaves the token of one
// that has taken its port since.
func TestTokensOfKilledServersAreSwept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "shardmill")
	path := func(name string) string { return filepath.Join(dir, name) }
	keep := func(name, token string) *os.File {
		t.Helper()
		f, err := keepToken(path(name), token)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	keep("127.0.0.1_1.token", "killed").Close() // as the end of a process does
	alive := keep("127.0.0.1_2.token", "alive")
	for _, name := range []string{unfinished + "1", "notes"} {
		if err := os.WriteFile(path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	own := keep("127.0.0.1_3.token", "own")

	for name, stays := range map[string]bool{
		"127.0.0.1_1.token": false, "127.0.0.1_2.token": true, "127.0.0.1_3.token": true, unfinished + "1": false,
		"notes": true,
	} {
		if _, err := os.Stat(path(name)); (err == nil) != stays {
			t.Errorf("%s: %v; stays should be %v", name, err, stays)
		}
	}
	if b, err := os.ReadFile(path("127.0.0.1_3.token")); err != nil || string(b) != "own\n" {
		t.Errorf("token %q, %v", b, err)
	}
	if info, err := os.Stat(path("127.0.0.1_3.token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	successor := keep("127.0.0.1_2.token", "successor")
	dropToken(path("127.0.0.1_2.token"), alive)
	dropToken(path("127.0.0.1_3.token"), own)

	if b, err := os.ReadFile(path("127.0.0.1_2.token")); err != nil || string(b) != "successor\n" {
		t.Errorf("token of the successor: %q, %v", b, err)
	}
	dropToken(path("127.0.0.1_2.token"), successor)
	if left, err := filepath.Glob(path("*.token")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
