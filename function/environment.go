package function

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/function/runtimeapi"
	"github.com/shardmill/shardmill/function/sandbox"
)

// phase is where an environment stands.
type phase uint8

const (
	initialising phase = iota // its runtime has not asked for work yet
	ready                     // its runtime waits for work
	working                   // an invocation runs
	answering                 // the caller has its answer; the runtime has not come back for more yet
	dead                      // it takes no work any more
)

// stopGrace is the time between SIGTERM and SIGKILL.
const stopGrace = 500 * time.Millisecond

// environment is one execution environment: a process group with its Runtime API, its log stream and its keys. It works
// on one invocation at a time; whoever has taken it out of the fleet owns it until it is put back.
type environment struct {
	f       *Functions
	g       *generation
	cred    credentials
	follows bool   // its runtime shows the server's clock to the function
	slot    string // its /tmp; its TMPDIR where that is shared
	api     *runtimeapi.Server
	proc    *sandbox.Process
	out     *output
	started time.Time
	begun   time.Time     // the same by the clock
	display string        // of the runtime
	up      chan struct{} // closed when everything above is set: the process may call before its start has returned
	booting sync.Once     // gives the place among the starting environments back

	place     *list.Element // in the warm pool; guarded by fleet.mu
	idleSince time.Time     // guarded by fleet.mu

	events    chan signal // what happens to run; never more than it holds
	telemetry atomic.Pointer[telemetry]
	over      chan struct{} // closed when supervise has tidied up

	mu       sync.Mutex
	phase    phase
	run      *run          // the invocation under way, or waiting for the runtime to come back
	report   *report       // of the last invocation, until its END and REPORT lines are out
	initTime time.Duration // for the first REPORT; then 0
	kept     bool          // slot goes to the next process
	oom      bool          // the watchdog killed it
	stopped  bool          // we ended it

	extensions []extension
	fatal      string // error type that an extension has reported

	peak    atomic.Int64 // memory in bytes
	sampled time.Time    // when peak was last read from the system; only Ready uses it
}

// run is one invocation inside an environment. Guarded by environment.mu.
type run struct {
	inv      *Invocation
	sent     bool
	begun    time.Time
	took     time.Duration // of one whose runtime did not come back
	init     time.Duration
	initOver time.Duration // part of the timeout that a long init phase has used up
	again    bool          // an environment has died over the event before it had read it
}

// signal tells the invoker what happened.
type signal struct {
	kind   signalKind
	answer runtimeapi.Answer
	fail   failure
	at     time.Time
}

type signalKind uint8

const (
	wasSent     signalKind = iota // the event is with the runtime; its time runs
	wasAnswered                   // with answer
	wasReported                   // REPORT is out
	initFailed                    // with fail
	died                          // with fail
	undelivered                   // the environment is gone and has not seen the event
)

// boot starts an environment of g whose first invocation is r. The caller has a start counted in the fleet; on error it
// is given back.
func (f *Functions) boot(ctx context.Context, g *generation, r *run) (*environment, error) {
	e, err := f.prepare(ctx, g, r)
	if err != nil {
		f.fleet.gone(g)
		return nil, err
	}
	f.fleet.mu.Lock()
	f.fleet.all[e] = struct{}{}
	closed := f.fleet.closed
	f.fleet.mu.Unlock()
	f.work.Go(e.out.read)
	f.work.Go(e.supervise)
	f.guard.watch(e)
	if closed {
		e.stop()
	}
	return e, nil
}

func (f *Functions) prepare(ctx context.Context, g *generation, r *run) (_ *environment, err error) {
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
	slot, err := g.takeSlot()
	if err != nil {
		return nil, fmt.Errorf("make a directory for an environment: %w", err)
	}
	undo = append(undo, func() { g.keepSlot(slot) })
	e := &environment{f: f, g: g, slot: slot, up: make(chan struct{}), events: make(chan signal, 8), run: r,
		started: time.Now(), begun: f.opt.Clock.Now(), display: plan.Display, over: make(chan struct{})}
	if err = e.listen(); err != nil {
		return nil, fmt.Errorf("open the Runtime API: %w", err)
	}
	undo = append(undo, e.api.Close, func() { close(e.up) })
	e.follows = f.opt.SteeredClock && plan.SteersClock
	e.cred = f.keys.issue(g.conf.Ref)
	undo = append(undo, func() { f.keys.revoke(e.cred.accessKey) })
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe for the log: %w", err)
	}
	defer pw.Close()
	undo = append(undo, func() { _ = pr.Close() })
	stream := streamName(f.opt.Clock.Now(), g.conf.Ref.Name, g.conf.LogGroup != DefaultLogGroup(g.conf.Ref.Name))
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

// startError tells an executable that the system refuses from a system without room for a process. Names are AWS's,
// where code lies in /var/task.
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

// dispatch hands r to the runtime, which waits for it. e.mu is held, and released.
func (e *environment) dispatch(r *run) error {
	r.sent, r.begun = true, time.Now()
	r.init, e.initTime = e.initTime, 0
	e.phase = working
	deadline := e.deadline(r)
	e.mu.Unlock()

	e.f.guard.watch(e)
	if r.inv.Tail {
		e.out.startTail()
	}
	e.out.emit("START RequestId: " + r.inv.RequestID + " Version: " + Latest)
	if t := e.telemetry.Load(); t != nil {
		t.platform("platform.start", map[string]any{
			"requestId": r.inv.RequestID, "version": Latest,
			"tracing": map[string]string{"type": "X-Amzn-Trace-Id", "value": r.inv.TraceID},
		})
	}
	err := e.api.Send(&runtimeapi.Event{
		ID: r.inv.RequestID, ARN: r.inv.InvokedARN, Deadline: deadline, Clock: e.clock(),
		TraceID: r.inv.TraceID, ClientContext: r.inv.ClientContext, Payload: r.inv.Payload,
	})
	if err != nil {
		e.out.emit("END RequestId: " + r.inv.RequestID)
	}
	return err
}

// deadline returns when the time of r is up: what its runtime is told, and what ends it. r has been sent, and e.mu is
// held.
func (e *environment) deadline(r *run) time.Time { return r.begun.Add(e.g.conf.Timeout - r.initOver) }

// clock returns what the runtime is told of the time. It goes with each event, so that a warm environment follows a
// clock that has moved.
func (e *environment) clock() runtimeapi.Clock {
	if !e.f.opt.SteeredClock {
		return runtimeapi.Clock{}
	}
	return runtimeapi.Clock{Offset: e.f.opt.Clock.Offset(), Told: true, Follows: e.follows}
}

// behind returns how far the time that the function sees is behind the clock.
func (e *environment) behind() time.Duration {
	if e.follows {
		return 0
	}
	return e.f.opt.Clock.Offset()
}

// Ready is the runtime asking for work: the end of its init phase or of an invocation.
func (e *environment) Ready() {
	if !e.isUp() {
		return
	}
	e.out.drain()
	now := time.Now()
	if now.Sub(e.sampled) > time.Second {
		e.sampled = now
		e.note(e.proc.Peak())
	}
	e.mu.Lock()
	done := e.report
	e.report = nil
	first := e.phase == initialising
	if first {
		e.initTime = now.Sub(e.started)
		if r := e.run; r != nil {
			r.initOver = max(0, e.initTime-e.f.opt.InitTimeout)
		}
	}
	e.mu.Unlock()

	if first {
		e.booted()
		e.g.initWorked()
		e.tellInit(now.Sub(e.started))
	}
	if done != nil {
		done.emit(e.out, e.g.conf.MemoryMB, e.usedMB())
		e.tellReport(done)
		if done.tail {
			e.events <- signal{kind: wasReported}
		}
	}
	e.mu.Lock()
	r := e.run
	if e.phase != dead {
		e.phase = ready // not before the lines of the last invocation are out: the next one may begin at once
	}
	if e.phase == dead || r == nil || r.sent {
		e.mu.Unlock()
		return
	}
	e.events <- signal{kind: wasSent}
	if err := e.dispatch(r); err != nil {
		e.lose(r)
	}
}

// lose gives up an environment that could not be handed r: the event goes to another one.
func (e *environment) lose(r *run) {
	e.mu.Lock()
	if e.run == r {
		e.run = nil
		e.events <- signal{kind: undelivered}
	}
	e.phase = dead
	e.mu.Unlock()
	e.proc.Kill()
}

// isUp waits for the start to return and reports whether it worked. Without a process, the caller is somebody else on
// this machine.
func (e *environment) isUp() bool {
	<-e.up
	return e.proc != nil
}

// Answered is the runtime's answer to the invocation under way.
func (e *environment) Answered(a runtimeapi.Answer) {
	now := time.Now()
	e.mu.Lock()
	r := e.run
	if r == nil || e.phase != working {
		e.mu.Unlock()
		return
	}
	e.run, e.phase = nil, answering
	e.report = &report{
		id: r.inv.RequestID, duration: now.Sub(r.begun), init: r.init, tail: r.inv.Tail, bytes: len(a.Payload),
	}
	if a.Failed || a.TooLarge {
		e.report.status, e.report.kind = "error", a.Kind
		if a.TooLarge {
			e.report.kind = "Function.ResponseSizeTooLarge"
		}
	}
	e.events <- signal{kind: wasAnswered, answer: a, at: now}
	e.mu.Unlock()
	e.f.guard.unwatch(e)
}

// InitFailed is the runtime telling that it cannot start.
func (e *environment) InitFailed(kind, hint string, body []byte) {
	if !e.isUp() {
		return
	}
	e.out.drain()
	f := failure{kind: kind, payload: body, hint: hint, status: "error"}
	e.endInit(f, initFailed)
	e.end(runtimeapi.Failure)
}

// endInit closes an init phase that failed.
func (e *environment) endInit(f failure, kind signalKind) {
	took := time.Since(e.started)
	e.mu.Lock()
	r := e.run
	already := e.phase == dead
	e.run, e.phase = nil, dead
	e.mu.Unlock()
	if already && r == nil {
		return
	}
	e.out.emit(
		"INIT_REPORT Init Duration: " + string(
			appendMillis(nil, took),
		) + " ms\tPhase: init\tStatus: " + f.status + "\tError Type: " + f.kind,
	)
	e.g.initFailed(f)
	if r != nil {
		e.closeLog(r, f, 0)
		e.events <- signal{kind: kind, fail: f}
	}
}

// closeLog writes the lines of an invocation whose runtime will not come back.
func (e *environment) closeLog(r *run, f failure, duration time.Duration) {
	if !r.sent {
		if r.inv.Tail {
			e.out.startTail()
		}
		e.out.emit("START RequestId: " + r.inv.RequestID + " Version: " + Latest)
	}
	r.took = duration
	rep := report{id: r.inv.RequestID, duration: duration, init: r.init, status: f.status, kind: f.kind}
	switch {
	case f.status == "timeout":
		rep.note = e.f.opt.Clock.Now().UTC().Format(isoMillis) + " " + r.inv.RequestID + " " + f.message + "\n"
	case f.payload == nil:
		rep.note = "RequestId: " + r.inv.RequestID + " Error: " + f.message + "\n" + f.kind
	}
	rep.emit(e.out, e.g.conf.MemoryMB, e.usedMB())
	e.tellReport(&rep)
}

// supervise waits for the end of the process, hears what it had still sent, and tidies up after it.
func (e *environment) supervise() {
	defer close(e.over)
	<-e.proc.Done()
	ended := time.Now()
	unread := e.api.Finish()
	e.out.drain()
	e.booted()
	e.mu.Lock()
	r, was, done := e.run, e.phase, e.report
	e.report = nil
	if was != initialising {
		e.run, e.phase = nil, dead
	}
	f := e.exitFailure()
	e.mu.Unlock()
	switch {
	case was == initialising:
		e.endInit(f, died)
	// it had asked for work and was about to end: no handler has seen the event
	case r != nil && r.sent && unread && !r.again:
		r.again = true
		e.out.emit("END RequestId: " + r.inv.RequestID)
		e.events <- signal{kind: undelivered}
	case r != nil && r.sent:
		e.closeLog(r, f, ended.Sub(r.begun))
		e.events <- signal{kind: died, fail: f}
	case r != nil:
		e.events <- signal{kind: undelivered}
	}
	if done != nil {
		done.emit(e.out, e.g.conf.MemoryMB, e.usedMB())
		if done.tail {
			e.events <- signal{kind: wasReported}
		}
	}
	e.f.guard.unwatch(e)
	e.api.Close()
	e.leaveInside()
	e.out.close()
	e.f.keys.revoke(e.cred.accessKey)
	e.f.fleet.removeIdle(e)
	e.f.fleet.mu.Lock()
	delete(e.f.fleet.all, e)
	e.f.fleet.mu.Unlock()
	e.mu.Lock()
	kept, stopped := e.kept, e.stopped
	e.kept = true
	e.mu.Unlock()
	switch {
	case kept: // the next process has it
	case stopped:
		_ = removeAll(e.slot)
	default:
		e.g.keepSlot(e.slot)
	}
	e.f.fleet.gone(e.g)
}

// exitFailure says why the process ended, in AWS's words. e.mu is held.
func (e *environment) exitFailure() failure {
	exit := e.proc.Exit()
	switch {
	case e.fatal != "":
		f := failure{kind: e.fatal, message: "Runtime exited without providing a reason", status: "error"}
		if !exit.Clean() {
			f.message = "Runtime exited with error: " + exit.String()
		}
		return f
	case e.oom:
		return failure{kind: reasonOutOfMemory, message: "Runtime exited with error: signal: killed", status: "error"}
	case exit.Clean():
		return failure{kind: "Runtime.ExitError", message: "Runtime exited without providing a reason", status: "error"}
	}
	return failure{kind: "Runtime.ExitError", message: "Runtime exited with error: " + exit.String(), status: "error"}
}

// abandon ends an invocation that used up its time: the process dies at once, its private directory goes on to the next
// one. Extensions hear of it first. It reports false when the invocation was answered at that very moment.
func (e *environment) abandon(r *run, f failure) bool {
	e.mu.Lock()
	if e.run != r {
		e.mu.Unlock()
		return false
	}
	e.run, e.phase = nil, dead
	polite := len(e.extensions) > 0
	keep := !e.kept && !polite
	e.kept = e.kept || !polite
	begun := r.begun
	if begun.IsZero() {
		begun = e.started.Add(e.f.opt.InitTimeout)
	}
	e.mu.Unlock()
	took := time.Since(begun)
	if keep { // before the end of this process can let the generation go
		e.g.keepSlot(e.slot)
	}
	if polite {
		e.farewell(runtimeapi.Timeout)
		e.proc.Terminate(stopGrace)
		<-e.over // the directory is there for the next process
	} else {
		e.proc.Kill()
	}
	e.out.drain()
	e.closeLog(r, f, took)
	return true
}

// stop ends an environment that is not needed any more, politely and in the background: SHUTDOWN for its extensions,
// SIGTERM, and SIGKILL after a grace. The owner calls it, or nobody owns it.
func (e *environment) stop() { e.end(runtimeapi.Spindown) }

func (e *environment) end(reason string) {
	e.mu.Lock()
	already := e.stopped
	e.stopped = true
	if e.run == nil {
		e.phase = dead
	}
	e.mu.Unlock()
	if !already {
		go func() {
			e.farewell(reason)
			e.proc.Terminate(stopGrace) // ends with the process, which supervise waits for
		}()
	}
}

// isDead reports whether it takes no work any more.
func (e *environment) isDead() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.phase == dead
}

// note remembers the highest memory reading, in bytes.
func (e *environment) note(bytes int64) {
	for {
		old := e.peak.Load()
		if bytes <= old || e.peak.CompareAndSwap(old, bytes) {
			return
		}
	}
}

// usedMB returns the highest reading, rounded up, and never more than the limit, as on AWS.
func (e *environment) usedMB() int {
	return min(int((e.peak.Load()+1<<20-1)>>20), e.g.conf.MemoryMB)
}
