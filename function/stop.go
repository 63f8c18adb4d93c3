package function

import (
	"time"

	"github.com/shardmill/shardmill/function/runtimeapi"
)

// stopGrace is the time between SIGTERM and SIGKILL.
const stopGrace = 500 * time.Millisecond

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
	d := e.delivery
	already := e.phase == dead
	e.delivery, e.phase = nil, dead
	e.mu.Unlock()
	if already && d == nil {
		return
	}
	e.out.emit(
		"INIT_REPORT Init Duration: " + string(
			appendMillis(nil, took),
		) + " ms\tPhase: init\tStatus: " + f.status + "\tError Type: " + f.kind,
	)
	e.g.initFailed(f)
	if d != nil {
		e.closeLog(d, f, 0)
		e.events <- signal{kind: kind, fail: f}
	}
}

// closeLog writes the closing lines of an invocation whose runtime will not ask again.
func (e *environment) closeLog(d *delivery, f failure, duration time.Duration) {
	if !d.sent {
		if d.inv.Tail {
			e.out.startTail()
		}
		e.out.emit("START RequestId: " + d.inv.RequestID + " Version: " + e.g.conf.Version)
	}
	d.took = duration
	rep := report{id: d.inv.RequestID, duration: duration, init: d.init, status: f.status, kind: f.kind}
	switch {
	case f.status == "timeout":
		rep.note = e.f.opt.Clock.Now().UTC().Format(isoMillis) + " " + d.inv.RequestID + " " + f.message + "\n"
	case f.payload == nil:
		rep.note = "RequestId: " + d.inv.RequestID + " Error: " + f.message + "\n" + f.kind
	}
	rep.emit(e.out, e.g.conf.MemoryMB, e.usedMB())
	e.tellReport(&rep)
}

// supervise waits for the end of the process, reads what it sent last, and cleans up after it.
func (e *environment) supervise() {
	defer close(e.over)
	<-e.proc.Done()
	ended := time.Now()
	e.f.fleet.died(e)
	unread := e.api.Finish()
	e.out.drain()
	e.booted()
	e.mu.Lock()
	d, was, done := e.delivery, e.phase, e.report
	e.report = nil
	if was != initialising {
		e.delivery, e.phase = nil, dead
	}
	f := e.exitFailure()
	e.mu.Unlock()
	switch {
	case was == initialising:
		e.endInit(f, died)
	// it asked for work just before its end: no handler has seen the event
	case d != nil && d.sent && unread && !d.again:
		d.again = true
		e.out.emit("END RequestId: " + d.inv.RequestID)
		e.events <- signal{kind: undelivered}
	case d != nil && d.sent:
		e.closeLog(d, f, ended.Sub(d.begun))
		e.events <- signal{kind: died, fail: f}
	case d != nil:
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
	e.mu.Lock()
	kept, stopped := e.kept, e.stopped
	e.kept = true
	e.mu.Unlock()
	switch {
	case kept: // the next process has it
	case stopped:
		_ = removeAll(e.directory)
	default:
		e.g.keepDirectory(e.directory)
	}
	e.f.fleet.gone(e.number)
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
func (e *environment) abandon(d *delivery, f failure) bool {
	e.mu.Lock()
	if e.delivery != d {
		e.mu.Unlock()
		return false
	}
	e.delivery, e.phase = nil, dead
	polite := len(e.extensions) > 0
	keep := !e.kept && !polite
	e.kept = e.kept || !polite
	begun := d.begun
	if begun.IsZero() {
		begun = e.started.Add(e.f.opt.InitTimeout)
	}
	e.mu.Unlock()
	took := time.Since(begun)
	if keep { // before the end of this process can let the generation go
		e.g.keepDirectory(e.directory)
	}
	if polite {
		e.farewell(runtimeapi.Timeout)
		e.proc.Terminate(stopGrace)
		<-e.over // the directory is kept for the next process
	} else {
		e.proc.Kill()
	}
	e.out.drain()
	e.closeLog(d, f, took)
	return true
}

// stop ends an environment that is not needed any more, politely and in the background: SHUTDOWN for its extensions,
// SIGTERM, and SIGKILL after a grace.
func (e *environment) stop() { e.end(runtimeapi.Spindown) }

func (e *environment) end(reason string) {
	e.mu.Lock()
	already := e.stopped
	e.stopped = true
	if e.delivery == nil {
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
