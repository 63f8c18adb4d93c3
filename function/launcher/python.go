package launcher

import (
	"context"
	_ "embed" // bootstrap.py
	"fmt"
	"path/filepath"
	"strings"
)

//go:embed bootstrap.py
var pythonBootstrap []byte

// LogEvent and LogBreak are how our bootstraps mark a log message of several lines: a line that begins with LogEvent is one message, in which
// LogBreak stands for a line break.
const (
	LogEvent = '\x1e'
	LogBreak = '\x1f'
)

func isPython(runtime string) bool {
	minor, ok := strings.CutPrefix(runtime, "python3.")
	return ok && minor != ""
}

func (l *Launcher) planPython(ctx context.Context, r Request) (Plan, error) {
	f, err := l.find(ctx, l.searchPython(r.Runtime))
	if err != nil {
		return Plan{}, err
	}
	bootstrap, err := l.bootstrap(r, "bootstrap.py", pythonBootstrap)
	if err != nil {
		return Plan{}, err
	}
	want := strings.TrimPrefix(r.Runtime, "python")
	// Isolated from the daemon's PYTHON* variables and user site; text is UTF-8; the code directory is read-only, so compiled files go elsewhere.
	args := []string{f.Path, "-I", "-u", "-X", "utf8"}
	if r.Cache != "" {
		args = append(args, "-X", "pycache_prefix="+r.Cache)
	}
	p := Plan{
		Path: f.Path,
		Args: append(args, bootstrap),
		Env: map[string]string{
			"PATH":            systemPath(filepath.Dir(f.Path)),
			"LD_LIBRARY_PATH": r.TaskRoot + ":" + filepath.Join(r.TaskRoot, "lib") + ":/opt/lib",
		},
		ExecutionEnv: "AWS_Lambda_" + r.Runtime,
		RuntimeDir:   filepath.Dir(bootstrap),
		Version:      f.Version,
		Display:      "python:" + want,
		Reads:        prefixes(f.Path),
		SDK:          "boto",
		SDKHint: fmt.Sprintf("boto3, which AWS bundles with %s, is not installed for %s. Install it with: %s -m pip install boto3"+
			" (or into a virtual environment: python3 -m venv .venv && .venv/bin/pip install boto3, and start shardmill in this directory).", r.Runtime, f.Path, f.Path),
	}
	if minor := strings.SplitN(f.Version, ".", 3); strings.Join(minor[:2], ".") != want {
		p.Display += " (running " + f.Version + ")"
		p.Hint = fmt.Sprintf("%s runs on Python %s (%s), the nearest version found. Use --python PATH to choose another.", r.Runtime, f.Version, f.Path)
	}
	return p, nil
}

// searchPython looks in this order: Options.Python, $VIRTUAL_ENV, ./.venv, the version's own name on PATH, python3 and python on PATH. The first that works
// is taken.
func (l *Launcher) searchPython(runtime string) search {
	var paths []string
	if venv := l.getenv("VIRTUAL_ENV"); venv != "" {
		paths = append(paths, filepath.Join(venv, "bin", "python"))
	}
	if venv, err := filepath.Abs(filepath.Join(l.opt.Work, ".venv")); err == nil {
		paths = append(paths, filepath.Join(venv, "bin", "python"))
	}
	for _, name := range []string{runtime, "python3", "python"} {
		paths = append(paths, l.lookPath(name)...)
	}
	return search{
		runtime: runtime, language: "Python 3", named: l.opt.Python, flag: "--python", paths: paths, where: "$VIRTUAL_ENV, ./.venv, PATH", install: "python3",
		// It names the real executable behind a shim; a virtual environment's python stays as it is, since its packages hang on it.
		probe: []string{"-I", "-c", `import sys, json
print(json.dumps({"path": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3]}))`},
		usable: func(version string) bool { return strings.HasPrefix(version, "3.") },
		exact:  func(string) bool { return true },
	}
}
