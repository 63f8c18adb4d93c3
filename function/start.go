package function

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/function/sandbox"
)

// boot starts an environment of g whose first invocation is d. The fleet counts it already under its number; on error
// it is given back.
func (f *Functions) boot(
	ctx context.Context, g *generation, number fleet.Environment, d *delivery,
) (*environment, error) {
	e, err := f.prepare(ctx, g, d)
	if err != nil {
		f.fleet.gone(number)
		return nil, err
	}
	e.number = number
	f.fleet.started(e)
	f.work.Go(e.out.read)
	f.work.Go(e.supervise)
	f.guard.watch(e)
	return e, nil
}

func (f *Functions) prepare(ctx context.Context, g *generation, d *delivery) (_ *environment, err error) {
	select {
	case f.starting <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.stopping:
		return nil, errStopping
	}
	var undo []func()
	undo = append(undo, func() { <-f.starting })
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()
	plan, err := f.plan(ctx, g.conf)
	if err != nil {
		return nil, err
	}
	dir, _, err := f.code.unpacked(ctx, g.conf.CodeSHA256)
	if err != nil {
		return nil, err
	}
	directory, err := g.takeDirectory()
	if err != nil {
		return nil, fmt.Errorf("make a directory for an environment: %w", err)
	}
	undo = append(undo, func() { g.keepDirectory(directory) })
	e := &environment{
		f: f, g: g, directory: directory, up: make(chan struct{}), events: make(chan signal, 8), delivery: d,
		started: time.Now(), begun: f.opt.Clock.Now(), display: plan.Display, over: make(chan struct{}),
	}
	if err = e.listen(); err != nil {
		return nil, fmt.Errorf("open the Runtime API: %w", err)
	}
	undo = append(undo, e.api.Close, func() { close(e.up) })
	e.follows = f.opt.SteeredClock && plan.SteersClock
	e.cred = f.keys.issue(g.conf.Ref, g.conf.Version)
	undo = append(undo, func() { f.keys.revoke(e.cred.accessKey) })
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe for the log: %w", err)
	}
	defer pw.Close()
	undo = append(undo, func() { _ = pr.Close() })
	stream := streamName(f.opt.Clock.Now(), g.conf)
	if e.out, err = newOutput(f.logs, f.opt.Clock.Now, g.conf.Ref, g.conf.LogGroup, stream, pr); err != nil {
		return nil, fmt.Errorf("read a pipe for the log: %w", err)
	}
	e.out.measure = f.meter.embedded(g.conf.Ref, e.behind)
	if !g.left.Load() && e.mayLeave() {
		e.out.watch = e.watchLine
	}
	e.out.emit(e.initStart(plan))
	spec := sandbox.Spec{
		Path: plan.Path, Args: plan.Args, Output: pw, Env: e.environ(plan, dir), MemoryMB: g.conf.MemoryMB,
	}
	e.show(&spec, plan, dir)
	if e.proc, err = f.box.Start(spec); err != nil {
		return nil, startError(plan, err)
	}
	e.answerInside()
	close(e.up)
	return e, nil
}

// badProgram are the errors of exec that blame the file.
var badProgram = []syscall.Errno{
	syscall.ENOEXEC, syscall.EACCES, syscall.EPERM, syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP, syscall.ETXTBSY,
}

// startError tells an executable that the system refuses from a system without room for a process. Names are as on AWS,
// with code in /var/task.
func startError(plan launcher.Plan, err error) error {
	ours := plan.ExecutionEnv != "" // an interpreter of this machine, not the customer's bootstrap
	var errno syscall.Errno
	if !ours && errors.As(err, &errno) && slices.Contains(badProgram, errno) {
		return &launcher.EntryPoint{
			Kind: "Runtime.InvalidEntrypoint", Message: "fork/exec /var/task/bootstrap: " + errno.Error(),
		}
	}
	return fmt.Errorf("start %s: %w", plan.Path, err)
}

// booted gives the place among the starting environments back, once.
func (e *environment) booted() {
	e.booting.Do(func() { <-e.f.starting })
}
