package function

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/function/runtimeapi"
	"github.com/shardmill/shardmill/function/sandbox"
)

// phase is the phase of an environment.
type phase uint8

const (
	initialising phase = iota // its runtime has not asked for work yet
	ready                     // its runtime waits for work
	working                   // an invocation runs
	answering                 // the caller has its answer; the runtime has not asked for more yet
	dead                      // it takes no work any more
)

// environment is one execution environment: a process group with its Runtime API, its log stream and its keys. It works
// on one invocation at a time, which owns it from when the fleet gives it out until it is put back.
type environment struct {
	f         *Functions
	g         *generation
	number    fleet.Environment // in the fleet
	cred      credentials
	follows   bool   // its runtime shows the server's clock to the function
	directory string // its /tmp; its TMPDIR where that is shared
	api       *runtimeapi.Server
	proc      *sandbox.Process
	out       *output
	started   time.Time
	begun     time.Time     // the same by the clock
	display   string        // of the runtime
	up        chan struct{} // closed when everything above is set: the process may call before its start has returned
	booting   sync.Once     // gives the place among the starting environments back

	events    chan signal // what happens to delivery; never more than it holds
	telemetry atomic.Pointer[telemetry]
	over      chan struct{} // closed when supervise has tidied up

	mu       sync.Mutex
	phase    phase
	delivery *delivery     // the invocation under way, or waiting until the runtime asks again
	report   *report       // of the last invocation, until its END and REPORT lines are out
	initTime time.Duration // for the first REPORT; then 0
	kept     bool          // directory goes to the next process
	oom      bool          // the watchdog killed it
	stopped  bool          // we ended it

	extensions []extension
	fatal      string // error type that an extension has reported

	peak    atomic.Int64 // memory in bytes
	sampled time.Time    // when peak was last read from the system; only Ready uses it
}

// delivery is one invocation on its way through one environment. Guarded by environment.mu.
type delivery struct {
	inv      *Invocation
	sent     bool
	begun    time.Time
	took     time.Duration // of an invocation whose runtime did not ask again
	init     time.Duration
	initOver time.Duration // part of the timeout that a long init phase has used up
	again    bool          // an environment has died over the event before it had read it
	// of who waits for the end: sending the event sets it to the deadline, which wakes nobody. nil: there is none yet
	timer *time.Timer
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
	wasAnswered signalKind = iota // with answer
	wasReported                   // REPORT is out
	initFailed                    // with fail
	died                          // with fail
	undelivered                   // the environment is gone and has not seen the event
)

// dispatch hands d to the runtime, which waits for it. e.mu is held, and released.
func (e *environment) dispatch(d *delivery) error {
	d.sent, d.begun = true, time.Now()
	d.init, e.initTime = e.initTime, 0
	e.phase = working
	deadline := e.deadline(d)
	if d.timer != nil {
		d.timer.Reset(time.Until(deadline))
	}
	e.mu.Unlock()

	e.f.guard.watch(e)
	if d.inv.Tail {
		e.out.startTail()
	}
	e.out.emit("START RequestId: " + d.inv.RequestID + " Version: " + e.g.conf.Version)
	if t := e.telemetry.Load(); t != nil {
		t.platform("platform.start", map[string]any{
			"requestId": d.inv.RequestID, "version": e.g.conf.Version,
			"tracing": map[string]string{"type": "X-Amzn-Trace-Id", "value": d.inv.TraceID},
		})
	}
	err := e.api.Send(&runtimeapi.Event{
		ID: d.inv.RequestID, ARN: d.inv.InvokedARN, Deadline: deadline, Clock: e.clock(),
		TraceID: d.inv.TraceID, ClientContext: d.inv.ClientContext, Payload: d.inv.Payload,
	})
	if err != nil {
		e.out.emit("END RequestId: " + d.inv.RequestID)
	}
	return err
}

// deadline returns when the time of d is up: the deadline that its runtime gets and that ends it. d has been sent, and
// e.mu is held.
func (e *environment) deadline(d *delivery) time.Time {
	return d.begun.Add(e.g.conf.Timeout - d.initOver)
}

// clock returns the clock that the runtime gets with each event, so that a warm environment follows a clock that has
// moved.
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
		if d := e.delivery; d != nil {
			d.initOver = max(0, e.initTime-e.f.opt.InitTimeout)
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
	d := e.delivery
	if e.phase != dead {
		e.phase = ready // not before the lines of the last invocation are out: the next one may begin at once
	}
	if e.phase == dead || d == nil || d.sent {
		e.mu.Unlock()
		return
	}
	if err := e.dispatch(d); err != nil {
		e.lose(d)
	}
}

// lose gives up an environment that could not be handed d: the event goes to another one.
func (e *environment) lose(d *delivery) {
	e.mu.Lock()
	if e.delivery == d {
		e.delivery = nil
		e.events <- signal{kind: undelivered}
	}
	e.phase = dead
	e.mu.Unlock()
	e.proc.Kill()
}

// isUp waits for the start to return and reports whether it worked. Without a process, the caller is another
// program of this machine.
func (e *environment) isUp() bool {
	<-e.up
	return e.proc != nil
}

// Answered is the runtime's answer to the invocation under way.
func (e *environment) Answered(a runtimeapi.Answer) {
	now := time.Now()
	e.mu.Lock()
	d := e.delivery
	if d == nil || e.phase != working {
		e.mu.Unlock()
		return
	}
	e.delivery, e.phase = nil, answering
	e.report = &report{
		id: d.inv.RequestID, duration: now.Sub(d.begun), init: d.init, tail: d.inv.Tail, bytes: len(a.Payload),
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
