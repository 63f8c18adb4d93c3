package function_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/storage/memory"
)

// The code of a function that is missing or damaged is noticed when the server starts: the function is Failed and says
// what to do, and works again once its file is back or its code is updated.
func TestLostCodeIsNoticedAtStart(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(zip string) error{
		"gone":      os.Remove,
		"shortened": func(zip string) error { return os.Truncate(zip, 10) },
		"a pipe":    func(zip string) error { return errors.Join(os.Remove(zip), syscall.Mkfifo(zip, 0o600)) },
		"a directory": func(zip string) error {
			return errors.Join(os.Remove(zip), os.MkdirAll(filepath.Join(zip, "x", "y"), 0o755))
		},
		"all of it": func(zip string) error { return os.RemoveAll(filepath.Dir(zip)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, dir := memory.New(memory.Options{}), t.TempDir()
			same := func(o *function.Options) { o.Store, o.Dir = store, dir }
			b := start(t, same)
			zip := filepath.Join(dir, "code", b.provided("f", "echo").CodeSHA256+".zip")
			b.provided("g", "echo")
			b.Stop(t.Context())
			code, err := os.ReadFile(zip)
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(zip); err != nil {
				t.Fatal(err)
			}

			b = start(t, same)
			for _, f := range []string{"f", "g"} { // they share it
				if c := b.settled(f); c.State != function.Failed ||
					!strings.Contains(c.StateReason, zip+", cannot be read") ||
					!strings.Contains(c.StateReason, "Update the function's code") {
					t.Errorf("%s: %s", c.State, c.StateReason)
				}
			}
			if _, err := b.UpdateCode(t.Context(), function.UpdateCodeInput{Ref: ref("g"), Zip: code}); err != nil {
				t.Fatal(err)
			}
			if c := b.settled("g"); c.State != function.Active {
				t.Errorf("with its code updated: %s: %s", c.State, c.StateReason)
			}
			want(t, b.invoke("g", `1`), function.Success, `1`)
			b.Stop(t.Context())

			b = start(t, same)
			if c := b.settled("f"); c.State != function.Active {
				t.Errorf("with the file back: %s: %s", c.State, c.StateReason)
			}
			want(t, b.invoke("f", `2`), function.Success, `2`)
		})
	}
}

// A byte that has changed in a package is noticed when it is unpacked.
func TestDamagedCodeIsNoticedWhenItIsUnpacked(t *testing.T) {
	t.Parallel()
	store, dir := memory.New(memory.Options{}), t.TempDir()
	same := func(o *function.Options) { o.Store, o.Dir = store, dir }
	b := start(t, same)
	zip := filepath.Join(dir, "code", b.provided("f", "echo").CodeSHA256+".zip")
	b.Stop(t.Context())
	code, err := os.ReadFile(zip)
	if err != nil {
		t.Fatal(err)
	}
	code[len(code)/2] ^= 1
	if err := os.WriteFile(zip, code, 0o600); err != nil {
		t.Fatal(err)
	}

	b = start(t, same)
	if r := b.invoke("f", `1`); r.Class != function.ConfigError || !strings.Contains(r.Detail, "it is damaged") {
		t.Errorf("got %+v", r)
	}
}
