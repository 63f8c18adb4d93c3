package launcher

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

//go:embed python/bootstrap.py python/awslambdaric/*.py python/awslambdaric/_shardmill/*.py
var pythonRuntime embed.FS

// LogEvent and LogBreak mark a log message of several lines from our bootstraps: a line that begins with LogEvent is
// one message, in which LogBreak stands for a line break.
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
	bootstrap, err := l.writePython(r)
	if err != nil {
		return Plan{}, err
	}
	found, err := l.survey(ctx, f.Path, filepath.Join(l.opt.Dir, "awslambdaric"))
	if err != nil {
		return Plan{}, err
	}
	packages, err := l.bootstrap(r, found.name(), found.text)
	if err != nil {
		return Plan{}, err
	}
	// Isolated from the daemon's PYTHON* variables and user site; text is UTF-8; the code directory is read-only, so
	// compiled files go elsewhere.
	args := []string{f.Path, "-I", "-u", "-X", "utf8"}
	reads := append(prefixes(f.Path), found.Reads...)
	if l.opt.HostPackages {
		reads = append(reads, found.Installed...)
	} else {
		args = append(args, "-S") // of the installed packages only those that the bootstrap allows
	}
	if r.Cache != "" {
		args = append(args, "-X", "pycache_prefix="+r.Cache)
	}
	// The last argument is the bootstrap, as on AWS: wrapper scripts insert interpreter options before it.
	args = append(args, "-X", "shardmill="+packages, bootstrap)
	want := strings.TrimPrefix(r.Runtime, "python")
	p := Plan{
		Path: f.Path,
		Args: args,
		Env: map[string]string{
			"PATH":            systemPath(filepath.Dir(f.Path)),
			"LD_LIBRARY_PATH": r.TaskRoot + ":" + filepath.Join(r.TaskRoot, "lib") + ":/opt/lib",
		},
		ExecutionEnv: "AWS_Lambda_" + r.Runtime,
		RuntimeDir:   filepath.Dir(bootstrap),
		Version:      f.Version,
		Display:      "python:" + want,
		Reads:        besideSystem(reads),
		SteersClock:  true,
	}
	if minor := strings.SplitN(f.Version, ".", 3); strings.Join(minor[:2], ".") != want {
		p.Display += " (running " + f.Version + ")"
		p.Hint = fmt.Sprintf(
			"%s runs on Python %s (%s), the nearest version found. Use --python PATH to choose another.", r.Runtime,
			f.Version, f.Path,
		)
	}
	return p, nil
}

// writePython writes the runtime's files to Options.Dir, laid out as in /var/runtime on AWS, and returns the path of
// bootstrap.py as the process of r sees it.
func (l *Launcher) writePython(r Request) (bootstrap string, err error) {
	err = fs.WalkDir(pythonRuntime, "python", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := pythonRuntime.ReadFile(path)
		if err != nil {
			return err
		}
		seen, err := l.bootstrap(r, strings.TrimPrefix(path, "python/"), content)
		if path == "python/bootstrap.py" {
			bootstrap = seen
		}
		return err
	})
	return bootstrap, err
}

// searchPython searches in this order: Options.Python, $VIRTUAL_ENV, ./.venv, the version's own name on PATH, python3
// and python on PATH. It takes the first that works.
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
		runtime: runtime, language: "Python 3", named: l.opt.Python, flag: "--python", paths: paths,
		where: "$VIRTUAL_ENV, ./.venv, PATH", install: "python3",
		// It names the real executable behind a shim; a virtual environment's python stays as it is, because its
		// packages depend on the path.
		probe: []string{"-I", "-c", `import sys, json
print(json.dumps({"path": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3]}))`},
		usable: func(version string) bool { return strings.HasPrefix(version, "3.") },
		exact:  func(string) bool { return true },
	}
}
