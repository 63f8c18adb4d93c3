// Package launcher decides what to start for a runtime identifier: which executable, with which arguments, and where
// the language looks for code.
//
// A runtime family is one file and one line of the families table. The decision is a Plan, a value; sandbox starts it
// and function fills in what belongs to one environment. Interpreters are searched for when the first function needs
// one, never before. Source: Lambda Developer Guide, "Lambda runtimes" and the pages of each language.
package launcher

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Options says where to look for interpreters. The zero value uses the daemon's own environment.
type Options struct {
	Python string // the preferred interpreter: a path or a name on PATH
	Node   string // the same for Node.js
	// HostPackages lets functions import what is installed on this machine, in addition to what AWS bundles with their
	// runtime.
	HostPackages bool
	Dir          string // where embedded bootstraps are written; must be set before functions that need one are planned
	Work         string // where to look for ./.venv and ./node_modules; "" is the working directory
	// where PATH and VIRTUAL_ENV come from, and what a version manager's shim needs for the probe; nil: os.Environ()
	Env []string
}

// Request holds everything that a plan depends on.
type Request struct {
	Runtime      string
	Architecture string // x86_64 or arm64
	Code         string // directory of the unpacked code
	TaskRoot     string // where the process sees Code
	RuntimeRoot  string // where the process sees Options.Dir; "" is there
	Cache        string // a writable directory that belongs to this code, for compiled files; "" keeps none
	MemoryMB     int
	Environment  map[string]string // the customer's; not modified
}

// Plan says how to start the runtime.
type Plan struct {
	Path         string
	Args         []string          // including argv[0]
	Env          map[string]string // defaults that customers may override
	ExecutionEnv string            // AWS_EXECUTION_ENV; "" leaves it out
	RuntimeDir   string            // LAMBDA_RUNTIME_DIR
	Version      string            // of the runtime, for RuntimeVersionArn; "" if it has none
	Display      string            // for INIT_START, such as python:3.12 or python:3.12 (running 3.11.7)
	// directories of this machine with the interpreter, its library and what AWS bundles, without the system's
	Reads       []string
	Hint        string // advice for a person; "" for none
	SDK         string // prefix of the names of the SDK's modules that AWS bundles; "" if there are none
	SDKHint     string // advice if one of them cannot be imported
	SteersClock bool   // the bootstrap shows its code the server's clock if ClockVariable is set
}

// ClockVariable holds how many milliseconds the server's clock was ahead of real time when the runtime was started.
// Without it a bootstrap leaves time alone.
const ClockVariable = "SHARDMILL_CLOCK_OFFSET_MS"

// DirectVariable holds the address of the Runtime API for our own bootstraps, which take it away before any code of the
// function runs. Where AWS_LAMBDA_RUNTIME_API is another one, a wrapper has put a proxy between, and the bootstrap asks
// nothing of it that AWS's Runtime API does not have.
const DirectVariable = "SHARDMILL_RUNTIME_API"

// Unusable is the error of a function that cannot run on this machine: its State becomes Failed.
type Unusable struct {
	Code   string // one of AWS's StateReasonCodes
	Reason string
}

func (u *Unusable) Error() string { return u.Reason }

// EntryPoint is the error of a function without a valid entry point. AWS lets it become Active and fails each
// invocation.
type EntryPoint struct {
	Kind    string // error type of the invocation
	Message string
}

func (e *EntryPoint) Error() string { return e.Message }

// family is one kind of runtime.
type family struct {
	name    string
	has     func(runtime string) bool
	plan    func(*Launcher, context.Context, Request) (Plan, error)
	managed bool // AWS's own runtime, not the customer's
}

// families are tried in order.
var families = []family{
	{"provided", isProvided, (*Launcher).planProvided, false},
	{"python", isPython, (*Launcher).planPython, true},
	{"nodejs", isNodejs, (*Launcher).planNodejs, true},
}

// Launcher plans starts and remembers the interpreters it found. Safe for concurrent use.
type Launcher struct {
	opt Options

	mu     sync.Mutex
	probed map[string]interpreter // by path and modification time
	found  map[string]interpreter // by runtime
	sdks   map[string]nodeSDK     // by names and directories

	surveyed map[string]survey // by path of a Python
}

// New returns a Launcher that has not searched for anything yet.
func New(opt Options) *Launcher {
	if opt.Env == nil {
		opt.Env = os.Environ()
	}
	return &Launcher{
		opt: opt, probed: map[string]interpreter{}, found: map[string]interpreter{}, sdks: map[string]nodeSDK{},
		surveyed: map[string]survey{},
	}
}

// Runs reports whether functions of this runtime can run at all.
func Runs(runtime string) bool {
	for _, f := range families {
		if f.has(runtime) {
			return true
		}
	}
	return false
}

// Plan decides what to start. *Unusable: the function cannot run on this machine; *EntryPoint: this code cannot start.
func (l *Launcher) Plan(ctx context.Context, r Request) (Plan, error) {
	for _, f := range families {
		if f.has(r.Runtime) {
			p, err := f.plan(l, ctx, r)
			if err == nil && f.managed {
				p.wrap(r)
			}
			return p, err
		}
	}
	return Plan{}, &Unusable{
		Code: "InvalidRuntime", Reason: fmt.Sprintf("shardmill does not run %s functions yet.", r.Runtime),
	}
}

// getenv reads a variable from Options.Env; the last setting wins.
func (l *Launcher) getenv(name string) string {
	value := ""
	for _, e := range l.opt.Env {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// lookPath finds the executables called name on PATH, in its order.
func (l *Launcher) lookPath(name string) []string {
	var found []string
	for _, dir := range filepath.SplitList(l.getenv("PATH")) {
		if dir == "" || !filepath.IsAbs(dir) {
			continue // never take an interpreter from an entry relative to the working directory
		}
		if path := filepath.Join(dir, name); executable(path) {
			found = append(found, path)
		}
	}
	return found
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// prefixes returns the directories of an executable's installation: of the path by which it is called, such as a
// virtual environment, and of the file itself.
func prefixes(path string) []string {
	found := []string{filepath.Dir(filepath.Dir(path))}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		if prefix := filepath.Dir(filepath.Dir(real)); prefix != found[0] {
			found = append(found, prefix)
		}
	}
	return found
}

// systemPath returns PATH for functions: first, the system's directories, and a layer's.
func systemPath(first string) string {
	path := "/usr/local/bin:/usr/bin:/bin:/opt/bin"
	if first != "" && first != "/usr/bin" && first != "/usr/local/bin" {
		path = first + ":" + path
	}
	return path
}
