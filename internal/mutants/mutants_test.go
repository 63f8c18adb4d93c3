package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var only = flag.String("mutants.only", "", "a pattern for the sentences or files of the mutants to try")

// patience is how long a test may take on a mutant. A test that hangs has caught it.
const patience = 60 * time.Second

func all(t *testing.T) (out []mutant) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		mutants, err := parse(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, mutants...)
	}
	return out
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// shell matches the rooms that carry out what a core decides.
var shell = regexp.MustCompile(`^(engine|checkpoint|stream|function|storage/pebble)/`)

const least, leastInShell = 100, 50

// There are enough mutants, and each applies to the present code.
func TestMutantsFollowTheCode(t *testing.T) {
	t.Parallel()
	base := root(t)
	names := map[string]string{}
	inShell := 0
	for _, m := range all(t) {
		if before, twice := names[m.name]; twice {
			t.Errorf("%s has the name of %s", m.where, before)
		}
		names[m.name] = m.where
		sources, err := m.sources(base)
		if err != nil {
			t.Errorf("%s: %v", m.where, err)
		}
		for path := range sources {
			if shell.MatchString(path) && !strings.HasPrefix(path, "function/fleet/") {
				inShell++
				break
			}
		}
	}
	if len(names) < least || inShell < leastInShell {
		t.Errorf(
			"%d mutants, %d of them in the shell; there are to be %d and %d", len(names), inShell, least, leastInShell,
		)
	}
}

// Every mutant is caught by its test, which passes where no mutant is alive.
func TestMutantsAreCaught(t *testing.T) {
	base := root(t)
	pick := regexp.MustCompile(*only)
	var picked []*mutant
	for _, m := range all(t) {
		if pick.MatchString(m.name) || pick.MatchString(m.where) {
			picked = append(picked, &m)
		}
	}
	batches, err := batches(base, picked)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		t.Run(strings.ReplaceAll(b.pkg[2:], "/", "_"), func(t *testing.T) {
			t.Parallel()
			b.mustBeCaught(t, base)
		})
	}
}

// mustBeCaught compiles a batch, and tries its mutants, each in a process of its own.
func (b *batch) mustBeCaught(t *testing.T, base string) {
	dir := filepath.Join(base, b.pkg)
	binary, err := build(t, base, b.pkg, b.sources)
	if err != nil && len(b.mutants) == 1 {
		t.Fatal(err)
	}
	if err != nil {
		t.Logf("each is tried alone, since together they do not compile: %v", err)
	}
	pass := map[string]bool{}
	for i, m := range b.mutants {
		args := strings.Join(m.test, " ")
		if b.switched && err == nil && !pass[args] {
			pass[args] = true
			t.Run("no mutant", func(t *testing.T) {
				t.Parallel()
				if out, err := run(t, dir, binary, m.test[1:], 0); err != nil {
					t.Fatalf("go test %s: %v\n%s", args, err, out)
				}
			})
		}
		t.Run(strings.ReplaceAll(strings.TrimSuffix(m.name, "."), " ", "_"), func(t *testing.T) {
			t.Parallel()
			binary := binary
			if err != nil {
				sources, err := m.sources(base)
				if err != nil {
					t.Fatal(err)
				}
				if binary, err = build(t, base, b.pkg, sources); err != nil {
					t.Fatal(err)
				}
			}
			out, err := run(t, dir, binary, m.test[1:], i+1)
			if err == nil {
				t.Fatalf("%s: not caught by go test %s", m.where, args)
			}
			t.Logf("caught by go test %s\n%s", args, said(out))
		})
	}
}

// build compiles the tests of a package over changed sources.
func build(t *testing.T, base, pkg string, sources map[string]string) (binary string, err error) {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range sources {
		changed := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(base, filepath.FromSlash(path))] = changed
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "mutant.test")
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", file, "-o", binary, pkg)
	cmd.Dir = base
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as the product is built; the C linker would take most of the time
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return binary, nil
}

// run runs a test binary in the package's directory, with one mutant alive, or none (0). A binary that did not start,
// or ran no test, has caught nothing.
func run(t *testing.T, dir, binary string, args []string, number int) (out []byte, err error) {
	t.Helper()
	flags := []string{"-test.failfast", "-test.run"}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(flags, args[1:]...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), chosen+"="+strconv.Itoa(number))
	out, err = cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("no tests to run")) || bytes.Contains(out, []byte("flag provided but not defined")) {
		t.Fatalf("%s: %s", args, out)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("it hangs: %w", ctx.Err())
	}
	return out, err
}

// said returns the lines of a test's output that say what it found.
func said(out []byte) string {
	var lines []string
	for line := range strings.Lines(string(out)) {
		if len(lines) < 6 && !strings.HasPrefix(line, "===") && strings.TrimSpace(line) != "" {
			lines = append(lines, line[:min(len(line), 200)])
		}
	}
	return strings.Join(lines, "")
}
