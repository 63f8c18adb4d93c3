package launcher

import (
	"bytes"
	"context"
	_ "embed" // bootstrap.py
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed bootstrap.py
var pythonBootstrap []byte

// LogEvent and LogBreak are how bootstrap.py marks a log message of several lines: a line that begins with LogEvent is one message, in which
// LogBreak stands for a line break.
const (
	LogEvent = '\x1e'
	LogBreak = '\x1f'
)

func isPython(runtime string) bool {
	minor, ok := strings.CutPrefix(runtime, "python3.")
	return ok && minor != ""
}

// interpreter is what a probe tells about a Python.
type interpreter struct {
	Path    string `json:"path"` // the real executable, not a version manager's shim
	Version string `json:"version"`
	Boto3   bool   `json:"boto3"`
}

func (i interpreter) minor() string {
	parts := strings.SplitN(i.Version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// finding is the interpreter chosen for a runtime, or why there is none.
type finding struct {
	interpreter
	err error
}

func (l *Launcher) planPython(ctx context.Context, r Request) (Plan, error) {
	f := l.findPython(ctx, r.Runtime)
	if f.err != nil {
		return Plan{}, f.err
	}
	bootstrap, err := l.writeBootstrap()
	if err != nil {
		return Plan{}, err
	}
	want := strings.TrimPrefix(r.Runtime, "python")
	p := Plan{
		Path: f.Path,
		// Isolated from the daemon's PYTHON* variables and user site; text is UTF-8; the code directory is read-only, so compiled files go elsewhere.
		Args: []string{f.Path, "-I", "-u", "-X", "utf8", "-X", "pycache_prefix=" + r.Cache, bootstrap},
		Env: map[string]string{
			"PATH":            systemPath(filepath.Dir(f.Path)),
			"LD_LIBRARY_PATH": r.TaskRoot + ":" + filepath.Join(r.TaskRoot, "lib") + ":/opt/lib",
		},
		ExecutionEnv: "AWS_Lambda_" + r.Runtime,
		RuntimeDir:   filepath.Dir(bootstrap),
		Version:      f.Version,
		Display:      "python:" + want,
		SDKHint: fmt.Sprintf("boto3, which AWS bundles with %s, is not installed for %s. Install it with: %s -m pip install boto3"+
			" (or into a virtual environment: python3 -m venv .venv && .venv/bin/pip install boto3, and start shardmill in this directory).", r.Runtime, f.Path, f.Path),
	}
	if f.minor() != want {
		p.Display += " (running " + f.Version + ")"
		p.Hint = fmt.Sprintf("%s runs on Python %s (%s), the nearest version found. Use --python PATH to choose another.", r.Runtime, f.Version, f.Path)
	}
	return p, nil
}

// findPython looks in this order: Options.Python, $VIRTUAL_ENV, ./.venv, the version's own name on PATH, python3 and python on PATH.
// Candidates that do not run, or are not Python 3, are passed over; a Python named by option must work. Success is remembered; failure is not, so
// that an interpreter installed later is found by the next function.
func (l *Launcher) findPython(ctx context.Context, runtime string) finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.python[runtime]; ok {
		if executable(f.Path) {
			return f
		}
		delete(l.python, runtime)
	}
	var searched []string
	try := func(path string) (finding, bool) {
		i, err := l.probe(ctx, path)
		if err != nil {
			searched = append(searched, fmt.Sprintf("%s (%v)", path, err))
			return finding{}, false
		}
		f := finding{interpreter: i}
		l.python[runtime] = f
		return f, true
	}
	if named := l.opt.Python; named != "" {
		paths := []string{named}
		if !strings.ContainsRune(named, filepath.Separator) {
			paths = l.lookPath(named)
		}
		for _, path := range paths {
			if f, ok := try(path); ok {
				return f
			}
		}
		return finding{err: noPython(runtime, append(searched, "--python "+named))}
	}
	for _, path := range l.candidates(runtime) {
		if executable(path) {
			if f, ok := try(path); ok {
				return f
			}
		}
	}
	return finding{err: noPython(runtime, append(searched, "$VIRTUAL_ENV, ./.venv, PATH"))}
}

func (l *Launcher) candidates(runtime string) []string {
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
	return paths
}

func noPython(runtime string, searched []string) error {
	return &Unusable{Code: "InvalidRuntime", Reason: fmt.Sprintf(
		"No usable Python 3 was found for %s. Searched: %s. Install python3 or start shardmill with --python PATH.", runtime, strings.Join(searched, "; "))}
}

// probeScript names the real executable behind a shim; a virtual environment's python stays as it is, since its packages hang on it.
const probeScript = `import sys, json, importlib.util
print(json.dumps({"path": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3], "boto3": importlib.util.find_spec("boto3") is not None}))`

// probe runs path once per file version; shims of version managers cost 110 to 340 ms each time, the real interpreter a third of that.
func (l *Launcher) probe(ctx context.Context, path string) (interpreter, error) {
	info, err := os.Stat(path)
	if err != nil {
		return interpreter{}, err
	}
	key := fmt.Sprintf("%s@%d", path, info.ModTime().UnixNano())
	if i, ok := l.probed[key]; ok {
		return i, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-I", "-c", probeScript)
	cmd.Env = l.opt.Env
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errout
	if err := cmd.Run(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(errout.String()), "\n")
		if line == "" {
			return interpreter{}, err
		}
		return interpreter{}, fmt.Errorf("%w: %s", err, line)
	}
	var i interpreter
	if err := json.Unmarshal(out.Bytes(), &i); err != nil || !filepath.IsAbs(i.Path) || !strings.HasPrefix(i.Version, "3.") {
		return interpreter{}, fmt.Errorf("is no Python 3")
	}
	l.probed[key] = i
	return i, nil
}

// writeBootstrap puts bootstrap.py where an interpreter can read it.
func (l *Launcher) writeBootstrap() (string, error) {
	path := filepath.Join(l.opt.Dir, "bootstrap.py")
	if b, err := os.ReadFile(path); err == nil && bytes.Equal(b, pythonBootstrap) {
		return path, nil
	}
	if err := os.MkdirAll(l.opt.Dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(l.opt.Dir, "bootstrap-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // renamed by then, or unwanted
	_, err = tmp.Write(pythonBootstrap)
	if err == nil {
		err = tmp.Chmod(0o444)
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}
