package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// options are the options of the command line.
type options struct {
	rounds int
	each   time.Duration
	dir    string
	binary string
	reopen int64
}

// lab is what figures share: a directory on a real disk, the programs to compare, the running processes.
type lab struct {
	opt     options
	dir     string
	binary  string // the server
	ready   string // the reference program of the start figures
	handler string // the Go function
	python  string // the interpreter itself, not a version manager's shim; "" when there is none
	source  string // the directory of Python sources

	mu    sync.Mutex
	dirs  int
	alive []*process
}

// stripped are the flags of make build, so that programs are comparable.
var stripped = []string{"build", "-trimpath", "-ldflags=-s -w", "-o"}

func newLab(ctx context.Context, opt options) (*lab, error) {
	l := &lab{opt: opt}
	if err := l.open(ctx); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// open prepares the directory, the programs and the sources.
func (l *lab) open(ctx context.Context) (err error) {
	opt := l.opt
	if l.dir, err = os.MkdirTemp(opt.dir, ".bench-"); err != nil {
		return err
	}
	if l.dir, err = filepath.Abs(l.dir); err != nil {
		return err
	}
	if err := realDisk(l.dir); err != nil {
		return err
	}
	if l.binary, err = filepath.Abs(opt.binary); err != nil {
		return err
	}
	if _, err := os.Stat(l.binary); errors.Is(err, os.ErrNotExist) {
		if err := l.build(ctx, l.binary, "./cmd/shardmill"); err != nil {
			return err
		}
	}
	l.source = filepath.Join("internal", "bench", "testdata")
	l.ready, l.handler = filepath.Join(l.dir, "ready"), filepath.Join(l.dir, "bootstrap")
	for to, from := range map[string]string{l.ready: "ready", l.handler: "handler"} {
		if err := l.build(ctx, to, "./"+filepath.Join(l.source, from)); err != nil {
			return err
		}
	}
	if l.source, err = filepath.Abs(l.source); err != nil {
		return err
	}
	if out, err := exec.CommandContext(
		ctx, "python3", "-I", "-c", "import sys; print(sys.executable)",
	).Output(); err == nil {
		l.python = strings.TrimSpace(string(out))
	}
	return nil
}

// build builds a program as make build does.
func (l *lab) build(ctx context.Context, to, pkg string) error {
	fmt.Fprintln(os.Stderr, "building", pkg)
	c := exec.CommandContext(ctx, "go", append(stripped, to, pkg)...)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s (bench runs in the module's root): %w\n%s", pkg, err, out)
	}
	return nil
}

// close ends every process and removes everything.
func (l *lab) close() {
	l.mu.Lock()
	alive := l.alive
	l.mu.Unlock()
	for _, p := range alive {
		p.kill()
	}
	if l.dir != "" {
		_ = os.RemoveAll(l.dir)
	}
}

// fresh returns a new name in the temporary directory.
func (l *lab) fresh(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirs++
	return filepath.Join(l.dir, fmt.Sprintf("%s-%d", name, l.dirs))
}

// scratch returns a new directory, removed with the stage.
func (l *lab) scratch(name string, c *cleanup) (string, error) {
	dir := l.fresh(name)
	c.add(func() { _ = os.RemoveAll(dir) })
	return dir, os.MkdirAll(dir, 0o755)
}

// machine describes the machine that the numbers come from.
func (l *lab) machine() []string {
	commit, _ := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	return []string{
		fmt.Sprintf(
			"shardmill %s, %s, %d processors %s, %s", bytes.TrimSpace(commit), runtime.Version(), runtime.NumCPU(),
			cpuName(), time.Now().UTC().Format(time.DateTime),
		),
		fmt.Sprintf(
			"%d rounds, references and ours in turn; the load generator runs on the same processors. Data on %s.",
			l.opt.rounds, diskName(l.dir),
		),
	}
}
