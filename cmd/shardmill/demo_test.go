package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What a newcomer runs first, go run ./cmd/shardmill demo, puts no shardmill on PATH; the commands that the demo ends
// with then begin by doing so.
func TestTheDemoKnowsWhetherAShellFindsIt(t *testing.T) {
	here := t.TempDir()
	self := filepath.Join(here, "shardmill")
	if err := os.WriteFile(self, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{t.TempDir(): false, here: true} {
		t.Setenv("PATH", path)
		if got := found(self); got != want {
			t.Errorf("with PATH=%s: found %t, want %t", path, got, want)
		}
	}
}
