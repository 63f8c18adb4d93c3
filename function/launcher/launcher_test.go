package launcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fake writes an executable that answers the probe like an interpreter of that version at that path; "" makes one that
// fails, like a shim without its version.
func fake(t *testing.T, path, version string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
	if version != "" {
		script = fmt.Sprintf("#!/bin/sh\necho '{\"path\": \"%s\", \"version\": \"%s\"}'\n", path, version)
	}
	syscall.ForkLock.RLock() // else a fork of another test could hold the file open for writing
	err := os.WriteFile(path, []byte(script), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func plan(t *testing.T, opt Options, runtime string) (Plan, error) {
	t.Helper()
	opt.Dir = t.TempDir()
	if opt.Work == "" {
		opt.Work = t.TempDir()
	}
	return New(opt).Plan(t.Context(), Request{
		Runtime: runtime, Code: "/code", TaskRoot: "/code", Cache: "/cache", MemoryMB: 512,
	})
}

// Python is searched for in this order: --python, $VIRTUAL_ENV, ./.venv, PATH with the version's own name first;
// candidates that do not run are skipped.
func TestPythonIsLookedForInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	named := fake(t, dir+"/named/python", "3.9.1")
	venv := fake(t, dir+"/venv/bin/python", "3.10.1")
	fake(t, dir+"/work/.venv/bin/python", "3.11.1")
	fake(t, dir+"/one/python3.12", "")
	exact := fake(t, dir+"/two/python3.12", "3.12.1")
	other := fake(t, dir+"/one/python3", "3.13.1")
	path := "PATH=" + dir + "/one:" + dir + "/two:/bin:/usr/bin"
	all := Options{Python: named, Work: dir + "/work", Env: []string{path, "VIRTUAL_ENV=" + dir + "/venv"}}
	for _, c := range []struct {
		what   string
		change func(*Options)
		want   string
	}{
		{"--python", func(*Options) {}, named},
		{"VIRTUAL_ENV", func(o *Options) { o.Python = "" }, venv},
		{"./.venv", func(o *Options) { o.Python, o.Env = "", []string{path} }, dir + "/work/.venv/bin/python"},
		{"exact name on PATH", func(o *Options) { o.Python, o.Work, o.Env = "", "", []string{path} }, exact},
		{
			"python3 on PATH",
			func(o *Options) { o.Python, o.Work, o.Env = "", "", []string{"PATH=" + dir + "/one:/bin"} }, other,
		},
		{
			"--python as a name",
			func(o *Options) { o.Python, o.Env = "python3", []string{"PATH=" + dir + "/one:/bin"} }, other,
		},
	} {
		opt := all
		c.change(&opt)

		p, err := plan(t, opt, "python3.12")

		if err != nil || p.Path != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.what, p.Path, err, c.want)
		}
	}
}

// If a found interpreter has disappeared, it is searched for again.
func TestInterpreterThatHasGoneIsLookedForAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := fake(t, dir+"/one/python3.12", "3.12.1"), fake(t, dir+"/two/python3.12", "3.12.2")
	l := New(Options{
		Dir: t.TempDir(), Work: t.TempDir(), Env: []string{"PATH=" + dir + "/one:" + dir + "/two:/bin:/usr/bin"},
	})
	for i, want := range []string{first, first, second} {
		if i == 2 {
			if err := os.Remove(first); err != nil {
				t.Fatal(err)
			}
		}
		p, err := l.Plan(t.Context(), Request{
			Runtime: "python3.12", Code: "/code", TaskRoot: "/code", Cache: "/cache", MemoryMB: 512,
		})
		if err != nil || p.Path != want {
			t.Errorf("got %s, %v; want %s", p.Path, err, want)
		}
	}
}

// A Python of another minor version runs the function, and INIT_START and a hint say so.
func TestOtherMinorVersionIsTold(t *testing.T) {
	t.Parallel()
	python := fake(t, t.TempDir()+"/python", "3.11.7")

	p, err := plan(t, Options{Python: python}, "python3.12")

	if err != nil || p.Display != "python:3.12 (running 3.11.7)" ||
		!strings.Contains(p.Hint, "python3.12 runs on Python 3.11.7 ("+python+")") ||
		p.ExecutionEnv != "AWS_Lambda_python3.12" {
		t.Errorf("got %+v, %v", p, err)
	}
	if filepath.Base(p.Args[len(p.Args)-1]) != "bootstrap.py" {
		t.Errorf("args %q", p.Args)
	}
	if p, err := plan(t, Options{Python: python}, "python3.11"); err != nil || p.Hint != "" ||
		p.Display != "python:3.11" {
		t.Errorf("got %+v, %v", p, err)
	}
}

// Without an interpreter the function cannot run, and the reason names all candidates.
func TestMissingPythonIsExplained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shim := fake(t, dir+"/python3", "")

	_, err := plan(t, Options{Env: []string{"PATH=" + dir}}, "python3.12")

	var u *Unusable
	if !errors.As(err, &u) || u.Code != "InvalidRuntime" ||
		!strings.Contains(u.Reason, shim+" (exit status 127: pyenv: command not found)") {
		t.Errorf("got %v", err)
	}
	two := fake(t, dir+"/python2", "2.7.18")
	if _, err := plan(t, Options{Python: two}, "python3.12"); !errors.As(err, &u) ||
		!strings.Contains(u.Reason, "is no Python 3") {
		t.Errorf("got %v", err)
	}
}

// Node.js is searched for in this order: --node, PATH with the version's own name first. The first of the runtime's
// major version is taken, else the first.
func TestNodeIsLookedForInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	named := fake(t, dir+"/named/node", "18.1.0")
	fake(t, dir+"/shim/node22", "")
	own := fake(t, dir+"/own/node22", "22.1.0")
	old := fake(t, dir+"/old/node", "20.1.0")
	exact := fake(t, dir+"/exact/node", "22.2.0")
	debian := fake(t, dir+"/debian/nodejs", "20.3.0")
	fake(t, dir+"/ancient/node", "12.22.0")
	path := func(names ...string) []string {
		return []string{"PATH=" + dir + "/" + strings.Join(names, ":"+dir+"/")}
	}
	for _, c := range []struct {
		what, node string
		env        []string
		want       string
	}{
		{"--node", named, path("own"), named},
		{"--node as a name", "node", path("old", "exact"), old},
		{"exact name", "", path("old", "shim", "own", "exact"), own},
		{"exact major version", "", path("ancient", "old", "exact"), exact},
		{"the first that is usable", "", path("ancient", "old"), old},
		{"nodejs", "", path("debian"), debian},
	} {
		p, err := plan(t, Options{Node: c.node, Env: c.env}, "nodejs22.x")

		if err != nil || p.Path != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.what, p.Path, err, c.want)
		}
	}
}

// A Node.js of another major version runs the function, and INIT_START and a hint say so.
func TestOtherNodeVersionIsTold(t *testing.T) {
	t.Parallel()
	node := fake(t, t.TempDir()+"/bin/node", "20.1.0")

	p, err := plan(t, Options{Node: node}, "nodejs24.x")

	if err != nil || p.Display != "nodejs:24 (running 20.1.0)" || p.ExecutionEnv != "AWS_Lambda_nodejs24.x" ||
		p.Hint != "nodejs24.x runs on Node.js 20.1.0 ("+node+
			"), the nearest version found. Use --node PATH to choose another." {
		t.Errorf("got %+v, %v", p, err)
	}
	if len(p.Args) != 8 || p.Args[3] != "--max-old-space-size=384" || p.Args[4] != "--max-semi-space-size=25" ||
		p.Args[5] != "--require" || filepath.Base(p.Args[7]) != "index.mjs" {
		t.Errorf("args %q", p.Args)
	}
	if want := "/opt/nodejs/node24/node_modules:/opt/nodejs/node_modules:" + p.RuntimeDir + "/sdk-"; !strings.HasPrefix(
		p.Env["NODE_PATH"], want,
	) {
		t.Errorf("NODE_PATH %s does not begin with %s", p.Env["NODE_PATH"], want)
	}
	if p, err := plan(t, Options{Node: node}, "nodejs20.x"); err != nil || p.Hint != "" || p.Display != "nodejs:20" {
		t.Errorf("got %+v, %v", p, err)
	}
}

// Without Node.js the function cannot run, and the reason names all candidates and what to do.
func TestMissingNodeIsExplained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := fake(t, dir+"/node", "14.21.3")

	_, err := plan(t, Options{Env: []string{"PATH=" + dir}}, "nodejs22.x")

	var u *Unusable
	want := "No usable Node.js 16 or later was found for nodejs22.x. Searched: " + old +
		" (is no Node.js 16 or later); PATH. Install Node.js or start shardmill with --node PATH."
	if !errors.As(err, &u) || u.Code != "InvalidRuntime" || u.Reason != want {
		t.Errorf("got %v", err)
	}
}

// Runtimes without a family are only known by name.
func TestRuns(t *testing.T) {
	t.Parallel()
	for runtime, want := range map[string]bool{
		"python3.14": true, "provided.al2023": true, "provided.al2": true, "nodejs22.x": true, "nodejs14.x": false,
		"nodejs.x": false, "nodejs22": false, "python3.": false, "java21": false,
	} {
		if Runs(runtime) != want {
			t.Errorf("%s: %v", runtime, !want)
		}
	}
	var u *Unusable
	if _, err := plan(t, Options{}, "java21"); !errors.As(err, &u) {
		t.Errorf("got %v", err)
	}
}
