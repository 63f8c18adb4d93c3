package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/shardmill/shardmill/api/control"
)

// A server needs no home: its token is in its data directory, and one in memory works without a place for it.
func TestServersNeedNoHome(t *testing.T) {
	for name, env := range map[string][2]string{
		"none": {"", ""}, "one that is none": {"/nonexistent", ""}, "no place to write": {"", "/proc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", env[0])
			t.Setenv("XDG_RUNTIME_DIR", env[1])
			t.Setenv("XDG_CACHE_HOME", "")
			dir := t.TempDir()
			for _, cfg := range []Config{{}, {Dev: true}, {Data: dir}} {
				b := start(t, cfg)
				b.ok(b.control("GET", control.PathClock, ""))
				if cfg.Data != "" {
					if text, err := os.ReadFile(DataTokenFile(dir)); err != nil || string(text) != b.s.Token()+"\n" {
						t.Errorf("token %q, %v", text, err)
					}
					if info, err := os.Stat(DataTokenFile(dir)); err != nil || info.Mode() != 0o600 {
						t.Errorf("token %v, %v", info, err)
					}
				}
				b.stopNow()
			}
			if _, err := os.Stat(DataTokenFile(dir)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the token of a server that has stopped: %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
