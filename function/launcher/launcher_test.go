package launcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake writes an executable that answers the probe as a Python of that version at that path; "" makes one that fails, as a shim without its version does.
func fake(t *testing.T, path, version string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
	if version != "" {
		script = fmt.Sprintf("#!/bin/sh\necho '{\"path\": \"%s\", \"version\": \"%s\", \"boto3\": false}'\n", path, version)
	}
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
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
	return New(opt).Plan(t.Context(), Request{Runtime: runtime, TaskRoot: "/code", Cache: "/cache"})
}

// Interpreters are looked for in this order: --python, $VIRTUAL_ENV, ./.venv, PATH with the version's own name first; what does not run is passed over.
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
		{"python3 on PATH", func(o *Options) { o.Python, o.Work, o.Env = "", "", []string{"PATH=" + dir + "/one:/bin"} }, other},
		{"--python as a name", func(o *Options) { o.Python, o.Env = "python3", []string{"PATH=" + dir + "/one:/bin"} }, other},
	} {
		opt := all
		c.change(&opt)

		p, err := plan(t, opt, "python3.12")

		if err != nil || p.Path != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.what, p.Path, err, c.want)
		}
	}
}

// A Python of another minor version runs the function, and that is said in INIT_START and in a hint; the hint about boto3 has exact commands.
func TestOtherMinorVersionIsTold(t *testing.T) {
	t.Parallel()
	python := fake(t, t.TempDir()+"/python", "3.11.7")

	p, err := plan(t, Options{Python: python}, "python3.12")

	if err != nil || p.Display != "python:3.12 (running 3.11.7)" || !strings.Contains(p.Hint, "python3.12 runs on Python 3.11.7 ("+python+")") ||
		!strings.Contains(p.SDKHint, python+" -m pip install boto3") || p.ExecutionEnv != "AWS_Lambda_python3.12" {
		t.Errorf("got %+v, %v", p, err)
	}
	if filepath.Base(p.Args[len(p.Args)-1]) != "bootstrap.py" {
		t.Errorf("args %q", p.Args)
	}
	if p, err := plan(t, Options{Python: python}, "python3.11"); err != nil || p.Hint != "" || p.Display != "python:3.11" {
		t.Errorf("got %+v, %v", p, err)
	}
}

// Without an interpreter the function cannot run, and the reason names what was tried.
func TestMissingPythonIsExplained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shim := fake(t, dir+"/python3", "")

	_, err := plan(t, Options{Env: []string{"PATH=" + dir}}, "python3.12")

	var u *Unusable
	if !errors.As(err, &u) || u.Code != "InvalidRuntime" || !strings.Contains(u.Reason, shim+" (exit status 127: pyenv: command not found)") {
		t.Errorf("got %v", err)
	}
	two := fake(t, dir+"/python2", "2.7.18")
	if _, err := plan(t, Options{Python: two}, "python3.12"); !errors.As(err, &u) || !strings.Contains(u.Reason, "is no Python 3") {
		t.Errorf("got %v", err)
	}
}

// Runtimes without a family are known by name only.
func TestRuns(t *testing.T) {
	t.Parallel()
	for runtime, want := range map[string]bool{"python3.14": true, "provided.al2023": true, "provided.al2": true, "nodejs22.x": false, "python3.": false, "java21": false} {
		if Runs(runtime) != want {
			t.Errorf("%s: %v", runtime, !want)
		}
	}
	var u *Unusable
	if _, err := plan(t, Options{}, "java21"); !errors.As(err, &u) {
		t.Errorf("got %v", err)
	}
}
