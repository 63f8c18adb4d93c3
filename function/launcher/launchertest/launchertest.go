// Package launchertest tests what package launcher promises to the room that starts functions. Every kind of runtime
// passes them, over interpreters of this machine and over scripts that stand for one. Imported by tests only.
package launchertest

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/shardmill/shardmill/function/launcher"
)

// Kind is a runtime and what it takes to start a function of it.
type Kind struct {
	Runtime string
	// Interpreter is the one that it runs on, and Program a name by which it is looked for on PATH. Both are "" for a
	// runtime that the package brings along.
	Interpreter, Program string
	Handler              string
	Package              map[string]string // files of a package, all of them executable, that Speaks expects; see there
	// of one that fails in its init phase; nil: what it does is the package's affair
	Broken map[string]string
	Fake   bool // Interpreter answers the launcher and runs nothing
}

// canary is in every variable of the server's environment. No plan may show it.
const canary = "inherited"

// bench is a package of a kind, and a launcher.
type bench struct {
	Kind
	*launch
	t   *testing.T
	req launcher.Request
}

// Run judges what a launcher plans for a kind and, unless its interpreter is fake, that what it plans speaks the
// Runtime API.
func Run(t *testing.T, k Kind) {
	l := newLaunch(t, k) // looking for an interpreter takes its time
	for _, c := range []struct {
		name string
		run  func(b *bench)
	}{
		{"what is to be started is there", startable},
		{"nothing of the server's environment is passed on", nothingInherited},
		{"a plan is the caller's, and the next is the same", values},
		{"plans made at once are the same", atOnce},
		{"the runtime is named as AWS names it", named},
		{"a process that sees the runtime elsewhere is told so", elsewhere},
		{"a wrapper stands before a runtime of AWS's, and before no other", wrapped},
		{"without an interpreter a function is unusable, until there is one", missing},
		{"a caller who has gone learns nothing of the runtime", cancelled},
		{"what is no runtime is unusable", unknown},
		{"a package without an entry point is told as AWS tells it", noEntryPoint},
		{"the runtime speaks the Runtime API", speaks},
		{"a proxy before the Runtime API hears only what AWS's knows", proxied},
		{"the process sees what it is given", seesItsEnvironment},
		{"a package that cannot start says so", breaks},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(newBench(t, k, l)) })
	}
}

// launch is a launcher that finds the interpreter of a kind on PATH.
type launch struct {
	*launcher.Launcher
	bin string // the first directory on PATH
	opt launcher.Options
}

func newLaunch(t *testing.T, k Kind) *launch {
	dir := t.TempDir()
	l := &launch{bin: filepath.Join(dir, "bin")}
	if err := os.Mkdir(l.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	l.opt = launcher.Options{
		Dir: filepath.Join(dir, "runtime"), Work: filepath.Join(dir, "work"), Env: []string{
			"PATH=" + l.bin + ":/usr/bin:/bin", "HOME=/" + canary, "PYTHONPATH=/" + canary, "PYTHONSTARTUP=/" + canary,
			"NODE_OPTIONS=--" + canary, "NODE_PATH=/" + canary, "LD_LIBRARY_PATH=/" + canary, "AWS_PROFILE=" + canary,
			"AWS_SECRET_ACCESS_KEY=" + canary, "SECRET=" + canary,
		},
	}
	l.Launcher = launcher.New(l.opt)
	l.install(t, k)
	return l
}

// install puts the interpreter on PATH, under the name by which it is looked for.
func (l *launch) install(t *testing.T, k Kind) {
	if k.Interpreter == "" {
		return
	}
	if err := os.Symlink(k.Interpreter, filepath.Join(l.bin, k.Program)); err != nil {
		t.Fatal(err)
	}
}

func newBench(t *testing.T, k Kind, l *launch) *bench {
	b := &bench{Kind: k, t: t, launch: l}
	dir := t.TempDir()
	code := filepath.Join(dir, "code")
	b.pack(code, k.Package)
	b.req = launcher.Request{
		Runtime: k.Runtime, Architecture: "x86_64", Code: code, TaskRoot: code, Cache: filepath.Join(dir, "cache"),
		MemoryMB: 256, Environment: map[string]string{"MINE": "1"},
	}
	return b
}

func (b *bench) pack(dir string, files map[string]string) {
	b.must(os.MkdirAll(dir, 0o755))
	// a fork of another test would hold a program open for writing, and it could not be executed
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for name, text := range files {
		b.must(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) plan() launcher.Plan {
	b.t.Helper()
	p, err := b.Plan(b.t.Context(), b.req)
	b.must(err)
	return p
}

func (b *bench) managed() bool { return b.Interpreter != "" }

func startable(b *bench) {
	p := b.plan()

	info, err := os.Stat(p.Path)
	if err != nil || !filepath.IsAbs(p.Path) || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		b.t.Errorf("what is to be started is %s: %v, %v", p.Path, info, err)
	}
	if len(p.Args) == 0 || p.Args[0] != p.Path {
		b.t.Errorf("the arguments are %q", p.Args)
	}
	for _, a := range p.Args { // the process may run as another user
		if !strings.HasPrefix(a, b.opt.Dir) {
			continue
		}
		if info, err := os.Stat(a); err != nil || info.Mode()&0o444 != 0o444 {
			b.t.Errorf("the argument %s: %v, %v", a, info, err)
		}
	}
	for _, dir := range p.Reads {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() || !filepath.IsAbs(dir) || dir == "/" {
			b.t.Errorf("it needs %s: %v", dir, err)
		}
	}
	inside := func(dir string) bool { return strings.HasPrefix(p.Path, dir+"/") }
	if !slices.ContainsFunc(append([]string{"/usr", "/bin", b.req.TaskRoot}, p.Reads...), inside) {
		b.t.Errorf("%s is to be started, and only %q is to be shown", p.Path, p.Reads)
	}
}

func nothingInherited(b *bench) {
	p := b.plan()

	for _, text := range append(slices.Concat(p.Args, p.Reads, []string{p.Path}), entries(p.Env)...) {
		if strings.Contains(text, canary) {
			b.t.Errorf("the plan has %s", text)
		}
	}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH"} {
		if p.Env[name] == "" {
			b.t.Errorf("the plan has no %s", name)
		}
	}
	if slices.Contains(filepath.SplitList(p.Env["PATH"]), "") {
		b.t.Errorf("programs are looked for in the working directory: PATH=%s", p.Env["PATH"])
	}
	if !maps.Equal(b.req.Environment, map[string]string{"MINE": "1"}) {
		b.t.Errorf("the customer's environment is %v now", b.req.Environment)
	}
}

func entries(env map[string]string) (out []string) {
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	return out
}

func values(b *bench) {
	first, second := b.plan(), b.plan()
	if !reflect.DeepEqual(first, second) {
		b.t.Fatalf("a plan is\n%+v\nand the next\n%+v", first, second)
	}
	for i := range first.Args {
		first.Args[i] = "changed"
	}
	for i := range first.Reads {
		first.Reads[i] = "changed"
	}
	for k := range first.Env {
		first.Env[k] = "changed"
	}
	if third := b.plan(); !reflect.DeepEqual(third, second) {
		b.t.Errorf("after a caller has changed its plan the next is\n%+v\nand was\n%+v", third, second)
	}
}

func atOnce(b *bench) {
	l := newLaunch(b.t, b.Kind)
	var all sync.WaitGroup
	plans := make([]launcher.Plan, 6)
	for i := range plans {
		all.Go(func() {
			p, err := l.Plan(b.t.Context(), b.req)
			if plans[i] = p; err != nil {
				b.t.Error(err)
			}
		})
	}
	all.Wait()
	for _, p := range plans[1:] {
		if !reflect.DeepEqual(p, plans[0]) {
			b.t.Errorf("one is\n%+v\nanother\n%+v", plans[0], p)
		}
	}
}

var version = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

func named(b *bench) {
	p := b.plan()
	execution := ""
	if b.managed() {
		execution = "AWS_Lambda_" + b.Runtime
	}
	if p.ExecutionEnv != execution || b.managed() != version.MatchString(p.Version) || p.RuntimeDir == "" {
		b.t.Errorf("AWS_EXECUTION_ENV %q, version %q, LAMBDA_RUNTIME_DIR %q", p.ExecutionEnv, p.Version, p.RuntimeDir)
	}
	name, _, _ := strings.Cut(p.Display, " ")
	if strings.ReplaceAll(name, ":", "") != strings.TrimSuffix(b.Runtime, ".x") {
		b.t.Errorf("INIT_START would say %q", p.Display)
	}
	if custom := launcher.Custom(b.Runtime); custom == b.managed() || !launcher.Runs(b.Runtime) {
		b.t.Errorf("custom is %t", custom)
	}
}

func elsewhere(b *bench) {
	b.req.TaskRoot, b.req.RuntimeRoot = "/var/task", "/var/runtime"
	p := b.plan()

	for _, text := range append(slices.Clone(p.Args), entries(p.Env)...) {
		if strings.Contains(text, b.opt.Dir) || strings.Contains(text, b.req.Code) {
			b.t.Errorf("the process does not see %s", text)
		}
	}
	if p.RuntimeDir != "/var/runtime" {
		b.t.Errorf("LAMBDA_RUNTIME_DIR is %s", p.RuntimeDir)
	}
	if b.managed() && !strings.HasPrefix(p.Args[len(p.Args)-1], "/var/runtime/") {
		b.t.Errorf("the bootstrap is not among the arguments %q", p.Args)
	}
	if !b.managed() && p.Path != "/var/task/bootstrap" {
		b.t.Errorf("%s is to be started", p.Path)
	}
}

func wrapped(b *bench) {
	plain := b.plan()
	b.req.Environment = map[string]string{launcher.WrapperVariable: "/var/task/wrapper"}
	p := b.plan()

	if !b.managed() {
		if !reflect.DeepEqual(p, plain) {
			b.t.Errorf("a package's own runtime is started by %q", p.Args)
		}
		return
	}
	at := slices.Index(p.Args, filepath.Join(b.req.TaskRoot, "wrapper"))
	if at < 0 || !slices.Equal(p.Args[at+1:], append([]string{plain.Path}, plain.Args[1:]...)) {
		b.t.Errorf("the arguments are %q, and were %q", p.Args, plain.Args)
	}
}

func missing(b *bench) {
	if !b.managed() {
		return // it needs none
	}
	l := newLaunch(b.t, b.Kind)
	l.opt.Env[0] = "PATH=" + l.bin
	l.Launcher = launcher.New(l.opt)
	b.must(os.Remove(filepath.Join(l.bin, b.Program)))
	_, err := l.Plan(b.t.Context(), b.req)
	b.unusable(err, "InvalidRuntime")

	l.install(b.t, b.Kind)
	if p, err := l.Plan(b.t.Context(), b.req); err != nil {
		b.t.Errorf("the interpreter is there now: %+v, %v", p, err)
	}
}

func (b *bench) unusable(err error, code string) {
	b.t.Helper()
	var u *launcher.Unusable
	if !errors.As(err, &u) || u.Code != code || u.Reason == "" {
		b.t.Errorf("%v, want one that is unusable with %s", err, code)
	}
}

// What becomes of a function by a plan is kept: a plan that was not finished must not make it fail for good.
func cancelled(b *bench) {
	l := newLaunch(b.t, b.Kind)
	ctx, cancel := context.WithCancel(b.t.Context())
	cancel()
	_, err := l.Plan(ctx, b.req)
	var u *launcher.Unusable
	var e *launcher.EntryPoint
	if errors.As(err, &u) || errors.As(err, &e) {
		b.t.Errorf("a caller who has gone is told: %v", err)
	}
	_, err = l.Plan(b.t.Context(), b.req)
	b.must(err)
}

func unknown(b *bench) {
	b.req.Runtime = "cobol85"
	_, err := b.Plan(b.t.Context(), b.req)
	b.unusable(err, "InvalidRuntime")
	if launcher.Runs(b.req.Runtime) {
		b.t.Errorf("%s runs", b.req.Runtime)
	}
}

func noEntryPoint(b *bench) {
	if b.managed() {
		return // its bootstrap says so, in its init phase
	}
	bootstrap := filepath.Join(b.req.Code, "bootstrap")
	entry := func(what, message string) {
		b.t.Helper()
		_, err := b.Plan(b.t.Context(), b.req)
		var e *launcher.EntryPoint
		if !errors.As(err, &e) || e.Kind != "Runtime.InvalidEntrypoint" || e.Message != message {
			b.t.Errorf("%s: %v, want %s", what, err, message)
		}
	}
	b.must(os.Chmod(bootstrap, 0o644))
	entry("not executable", "fork/exec /var/task/bootstrap: permission denied")
	b.must(os.Remove(bootstrap))
	entry("none", "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
	b.must(os.Mkdir(bootstrap, 0o755))
	entry("a directory", "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]")
}
