package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a running program.
type process struct {
	cmd   *exec.Cmd
	addr  string // of a server: host:port
	done  chan struct{}
	out   tail
	meant atomic.Bool // we ended it
}

// tail keeps the last bytes that a process wrote to standard error.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-4096):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}

// spawn starts a program. Its output is dropped, except the end of standard error.
func (l *lab) spawn(env []string, path string, args ...string) (*process, error) {
	return l.spawnWith(func(*process) error { return nil }, env, path, args...)
}

// spawnWith calls adjust before the start.
func (l *lab) spawnWith(adjust func(*process) error, env []string, path string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), done: make(chan struct{})}
	// what killed servers leave behind is removed with the directory
	p.cmd.Env = append(append(os.Environ(), "TMPDIR="+l.dir, "XDG_RUNTIME_DIR="+l.dir), env...)
	p.cmd.Stderr = &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // we pass an interrupt at the terminal on ourselves
	if err := adjust(p); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.alive = append(l.alive, p)
	l.mu.Unlock()
	go func() {
		_ = p.cmd.Wait() // ProcessState says how it ended
		close(p.done)
	}()
	return p, nil
}

// kill ends a process at once, without a chance to clean up.
func (p *process) kill() {
	p.meant.Store(true)
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks a process to end, and kills it if it does not.
func (p *process) stop() {
	p.meant.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

// failed returns the error of a process that ended by itself.
func (p *process) failed() error {
	return fmt.Errorf(
		"%s %s ended (%v): %s", filepath.Base(p.cmd.Path), strings.Join(p.cmd.Args[1:], " "), p.cmd.ProcessState,
		p.out.String(),
	)
}

// died returns an error for processes that ended by themselves: a failed figure mentions them.
func (l *lab) died() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, p := range l.alive {
		select {
		case <-p.done:
			if !p.meant.Swap(true) {
				errs = append(errs, p.failed())
			}
		default:
		}
	}
	return errors.Join(errs...)
}

// server starts shardmill and waits until it is ready.
func (l *lab) server(ctx context.Context, c *cleanup, args ...string) (*process, error) {
	p, err := l.launch(ctx, args...)
	if err == nil {
		c.add(p.stop)
	}
	return p, err
}

func (l *lab) launch(ctx context.Context, args ...string) (*process, error) {
	ready := l.fresh("ready") + ".json"
	args = append(args, "--port", "0", "--ready-file", ready)
	if l.python != "" {
		args = append(args, "--python", l.python)
	}
	p, err := l.spawn(nil, l.binary, args...)
	if err != nil {
		return nil, err
	}
	limit := time.After(60 * time.Second)
	for {
		b, err := os.ReadFile(ready)
		if err == nil {
			var r struct{ Endpoint string }
			if err := json.Unmarshal(b, &r); err != nil {
				p.kill()
				return nil, err
			}
			_, p.addr, _ = strings.Cut(r.Endpoint, "://")
			return p, nil
		}
		select {
		case <-p.done:
			return nil, p.failed()
		case <-ctx.Done():
			p.kill()
			return nil, ctx.Err()
		case <-limit:
			p.kill()
			return nil, errors.New("the server is not ready after a minute")
		case <-time.After(time.Millisecond):
		}
	}
}

// memory starts a server that keeps everything in memory; durable starts one with a directory of its own.
func (l *lab) memory(ctx context.Context, c *cleanup) (*process, error) {
	return l.server(ctx, c, "dev")
}

func (l *lab) durable(ctx context.Context, c *cleanup) (*process, error) {
	dir, err := l.scratch("data", c)
	if err != nil {
		return nil, err
	}
	return l.server(ctx, c, "serve", "--data", dir)
}
