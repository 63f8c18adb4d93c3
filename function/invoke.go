package function

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/internal/ids"
)

// Invocation is one call of a function.
type Invocation struct {
	Ref           Ref
	RequestID     string // "" makes one
	Payload       []byte // JSON; not modified, may be shared
	ClientContext string // JSON; "" for none
	Tail          bool   // collect LogTail
	InvokedARN    string // as the caller addressed the function; "" is its plain ARN
	// stand in line for room on the machine and for State Active, until ctx ends, instead of being refused
	Wait    bool
	TraceID string // of X-Amzn-Trace-Id; "" makes one

	// of the last record of a batch, by the clock: iterator age is measured from it; zero: no batch of a stream
	LastArrival time.Time

	measure measurement
}

// Unhandled is the only kind of function error that AWS reports.
const Unhandled = "Unhandled"

// Result is what became of an Invocation.
type Result struct {
	Class           Class
	Payload         []byte // the response, or with FunctionError the error document; owned by the caller
	ErrorKind       string // "Unhandled" with FunctionError
	Reason          string // why: a Reason constant, a State, or the error type
	Detail          string // for a person
	Hint            string // advice for a person; "" without any
	LogTail         []byte // with Tail: the last 4,096 bytes of this invocation's log
	ExecutedVersion string
	Started         time.Time     // when the handler got the event
	Duration        time.Duration // of the handler
	Init            time.Duration // of the init phase, on the first invocation of an environment
	StatusCode      int           // as the Invoke API would answer
	MaxMemoryMB     int
}

// pendingWait is how long an invocation waits for a function that is being created.
const pendingWait = 5 * time.Second

var errStopping = errors.New("shardmill is stopping")

// Invoke runs a function and returns what became of it; it does not fail otherwise. It blocks for the function's
// timeout and the init phase at most, and with Wait for as long as ctx lasts. When ctx ends while the handler runs,
// Invoke returns PlatformError at once and the handler goes on: its slot stays taken until it ends.
func (f *Functions) Invoke(ctx context.Context, inv Invocation) Result {
	g, refusal := f.ready(ctx, &inv)
	if g == nil {
		return refusal
	}
	select {
	case <-f.stopping:
		return platform(ReasonStopping, errStopping)
	default:
	}
	if reason := f.fleet.admit(inv.Ref); reason != "" {
		f.meter.throttled(inv.Ref, f.opt.Clock.Now())
		return Result{Class: NotAdmitted, Reason: reason, Detail: "Rate Exceeded.", StatusCode: 429}
	}
	f.busy.Add(1)
	if inv.RequestID == "" {
		inv.RequestID = ids.New()
	}
	if inv.InvokedARN == "" {
		inv.InvokedARN = inv.Ref.ARN()
	}
	if inv.TraceID == "" {
		inv.TraceID = NewTraceID()
	}
	inv.measure.scope = f.meter.scope(inv.Ref)
	res, running := f.invoke(ctx, g, &inv)
	if running == nil {
		inv.end(&res)
		f.settleSlot(inv.Ref)
	}
	return res
}

// settleSlot ends an invocation's count.
func (f *Functions) settleSlot(ref Ref) {
	f.busy.Add(-1)
	f.fleet.release(ref)
}

// ready finds the code to run, waiting for a function that is being created.
func (f *Functions) ready(ctx context.Context, inv *Invocation) (*generation, Result) {
	e := f.entry(inv.Ref)
	if e != nil && e.current != nil {
		return e.current, Result{}
	}
	var limit <-chan time.Time
	if !inv.Wait {
		t := time.NewTimer(pendingWait)
		defer t.Stop()
		limit = t.C
	}
	for {
		e = f.entry(inv.Ref)
		switch {
		case e == nil:
			return nil, Result{
				Class: ConfigError, Reason: ReasonNotFound,
				Detail: "Function not found: " + inv.Ref.ARN() + ":" + Latest, StatusCode: 404,
			}
		case e.current != nil:
			return e.current, Result{}
		case e.conf.settled():
			return nil, Result{
				Class: ConfigError, Reason: e.conf.StateCode, Detail: e.conf.StateReason, StatusCode: 502,
			}
		}
		pending := Result{
			Class: NotAdmitted, Reason: Pending, StatusCode: 409,
			Detail: "The operation cannot be performed at this time. The function is currently in the following state: " +
				Pending,
		}
		select {
		case <-e.settled:
		case <-limit:
			return nil, pending
		case <-ctx.Done():
			return nil, pending
		case <-f.stopping:
			return nil, platform(ReasonStopping, errStopping)
		}
	}
}

func platform(reason string, err error) Result {
	return Result{Class: PlatformError, Reason: reason, Detail: err.Error(), StatusCode: 500}
}

// invoke finds or starts an environment and runs inv in it. An environment that dies before it has seen the event costs
// nothing but a new try. running is set when the handler goes on without the caller.
func (f *Functions) invoke(ctx context.Context, g *generation, inv *Invocation) (res Result, running *environment) {
	again := false
	for {
		r := &run{inv: inv, again: again}
		e, what := f.fleet.acquire(ctx, g, inv.Wait)
		switch what {
		case mayStart:
			f.begin(&inv.measure)
			if last, paused := g.pause(); paused {
				f.fleet.gone(g)
				return last.result(inv.RequestID), nil
			}
			var err error
			if e, err = f.boot(ctx, g, r); err != nil {
				return f.bootFailed(g, inv, err), nil
			}
		case full:
			res := f.noRoom(ctx)
			if res.Class == NotAdmitted && ctx.Err() == nil {
				f.meter.throttled(inv.Ref, f.opt.Clock.Now())
			}
			return res, nil
		case stale:
			if g, res = f.ready(ctx, inv); g == nil {
				return res, nil
			}
			continue
		case warm:
			f.begin(&inv.measure)
			if !e.begin(r) {
				continue
			}
		}
		res, outcome := f.await(ctx, e, r)
		switch outcome {
		case retry:
			again = r.again
			continue
		case left:
			return res, e
		case finished:
			return res, nil
		}
	}
}

func (f *Functions) noRoom(ctx context.Context) Result {
	select {
	case <-f.stopping:
		return platform(ReasonStopping, errStopping)
	default:
	}
	if err := ctx.Err(); err != nil {
		return Result{Class: NotAdmitted, Reason: ReasonAccount, Detail: err.Error(), StatusCode: 429}
	}
	return Result{
		Class: NotAdmitted, Reason: ReasonAccount, Detail: "Rate Exceeded.", StatusCode: 429,
		Hint: fmt.Sprintf(
			"This machine runs at most %d execution environments at once, and all are busy.", f.opt.MaxEnvironments,
		),
	}
}

// bootFailed returns the result when no process could be started.
func (f *Functions) bootFailed(g *generation, inv *Invocation, err error) Result {
	var entry *launcher.EntryPoint
	var unusable *launcher.Unusable
	switch {
	case errors.As(err, &entry):
		fail := failure{kind: entry.Kind, message: entry.Message, status: "error"}
		g.initFailed(fail)
		return fail.result(inv.RequestID)
	case errors.As(err, &unusable):
		return Result{Class: ConfigError, Reason: unusable.Code, Detail: unusable.Reason, StatusCode: 502}
	case errors.Is(err, errStopping):
		return platform(ReasonStopping, err)
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		f.opt.Log.Error("start environment", "function", inv.Ref.ARN(), "error", err)
	}
	return platform(ReasonSpawn, err)
}

// begin gives r to a warm environment. It reports false when the environment is dead.
func (e *environment) begin(r *run) bool {
	e.mu.Lock()
	for len(e.events) > 0 { // of an earlier invocation whose end nobody waited for
		<-e.events
	}
	switch e.phase {
	case dead:
		e.mu.Unlock()
		return false
	case ready:
		e.run = r
		if err := e.dispatch(r); err != nil {
			e.mu.Lock()
			e.run, e.phase = nil, dead
			e.mu.Unlock()
			e.proc.Kill()
			return false
		}
		return true
	case answering, initialising, working: // the runtime has answered its last invocation and is on its way back
		e.run = r
	}
	e.mu.Unlock()
	return true
}

// comeBack is how long an invocation waits for the runtime to return from the one before; then it goes to another
// environment.
const comeBack = 2 * time.Second

// outcome says how await ended.
type outcome uint8

const (
	finished outcome = iota
	retry            // the event was not delivered
	left             // the caller's context ended; the handler goes on, and its slot is settled by whoever watches it
)

// await sees r through to its end. e belongs to the caller before, and to the fleet or to nobody after.
func (f *Functions) await(ctx context.Context, e *environment, r *run) (Result, outcome) {
	w := f.watchRun(e, r)
	ours := true
	defer func() {
		if ours {
			w.timer.Stop()
		}
	}()
	for {
		select {
		case s := <-e.events:
			if res, o, over := w.on(s); over {
				return res, o
			}
		case <-w.timer.C:
			if res, o, over := w.late(); over {
				return res, o
			}
		case <-ctx.Done():
			if e.withdraw(r) {
				f.fleet.put(e)
				return Result{
					Class: NotAdmitted, Reason: ReasonAccount, Detail: ctx.Err().Error(), StatusCode: 429,
				}, finished
			}
			ours = false
			f.work.Go(func() {
				defer w.timer.Stop()
				res := w.finish()
				r.inv.end(&res)
				f.settleSlot(r.inv.Ref)
			})
			return platform(ReasonAbandoned, context.Cause(ctx)), left
		}
	}
}

// withdraw takes r back from a warm environment that has not come back for it yet.
func (e *environment) withdraw(r *run) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.run != r || r.sent || e.phase != answering {
		return false
	}
	e.run = nil
	return true
}

// watcher follows one invocation in one environment.
type watcher struct {
	f     *Functions
	e     *environment
	r     *run
	timer *time.Timer
	slow  bool // the init phase has begun to use up the function's timeout
	held  *Result
}

func (f *Functions) watchRun(e *environment, r *run) *watcher {
	w := &watcher{f: f, e: e, r: r}
	e.mu.Lock()
	wait := f.opt.InitTimeout
	switch {
	case r.sent:
		wait = time.Until(e.deadline(r))
	case e.phase == answering:
		wait = comeBack
	}
	e.mu.Unlock()
	w.timer = time.NewTimer(wait)
	return w
}

// finish follows the invocation without a caller. Of what was not delivered there is no result: nobody waits for
// another try.
func (w *watcher) finish() (res Result) {
	for {
		over := false
		select {
		case s := <-w.e.events:
			res, _, over = w.on(s)
		case <-w.timer.C:
			res, _, over = w.late()
		}
		if over {
			return res
		}
	}
}

// on takes a signal.
func (w *watcher) on(s signal) (Result, outcome, bool) {
	switch s.kind {
	case wasSent:
		w.e.mu.Lock() // until the event has its instant
		deadline := w.e.deadline(w.r)
		w.e.mu.Unlock()
		w.timer.Reset(time.Until(deadline))
	case wasAnswered:
		res := w.answered(s)
		if w.r.inv.Tail {
			w.held = &res
			w.timer.Reset(w.f.opt.TailWait)
			return Result{}, finished, false
		}
		w.f.fleet.put(w.e)
		return res, finished, true
	case wasReported:
		if w.held != nil {
			return w.release(), finished, true
		}
	case undelivered:
		return Result{}, retry, true
	case initFailed, died:
		if w.held != nil { // it died after it had answered
			return w.release(), finished, true
		}
		return w.failed(s.fail), finished, true
	}
	return Result{}, finished, false
}

// release returns a result that waited for its log.
func (w *watcher) release() Result {
	w.held.LogTail = w.e.out.takeTail()
	w.f.fleet.put(w.e)
	return *w.held
}

// late returns the timer: of the init phase, of the function's timeout, of a runtime that does not come back, or of a
// held answer.
func (w *watcher) late() (Result, outcome, bool) {
	e, r := w.e, w.r
	if w.held != nil {
		return w.release(), finished, true
	}
	if e.withdraw(r) {
		// It counts as busy until its timeout and is killed then: something in it still runs.
		time.AfterFunc(e.g.conf.Timeout, e.stop)
		return Result{}, retry, true
	}
	e.mu.Lock()
	inInit := e.run == r && !r.sent && e.phase == initialising
	e.mu.Unlock()
	if inInit && !w.slow {
		w.slow = true
		e.booted()
		w.timer.Reset(e.g.conf.Timeout)
		return Result{}, finished, false
	}
	fail := w.f.timedOut(r.inv.RequestID, e.g.conf.Timeout)
	if inInit {
		e.g.initFailed(fail)
	}
	if !e.abandon(r, fail) {
		w.timer.Reset(time.Second) // the answer is in the channel already
		return Result{}, finished, false
	}
	return w.failed(fail), finished, true
}

// answered returns the result of a runtime's answer.
func (w *watcher) answered(s signal) Result {
	r, a := w.r, s.answer
	res := Result{
		Class: Success, Payload: a.Payload, ExecutedVersion: Latest, StatusCode: 200, Hint: w.e.g.conf.Hint,
		Started: r.begun, Duration: s.at.Sub(r.begun), Init: r.init, MaxMemoryMB: w.e.usedMB(),
	}
	switch {
	case a.TooLarge:
		fail := tooLarge()
		res.Class, res.ErrorKind = FunctionError, Unhandled
		res.Payload, res.Reason, res.Detail = fail.payload, fail.kind, fail.message
	case a.Failed:
		res.Class, res.ErrorKind, res.Reason = FunctionError, Unhandled, a.Kind
	}
	if a.Hint == "" && a.Failed {
		a.Hint = w.e.leavesFirst(a.Payload)
	}
	if a.Hint == "" {
		a.Hint = w.e.g.hint()
	}
	if a.Hint != "" {
		res.Hint = a.Hint
		w.e.g.advise(a.Hint)
	}
	return res
}

// failed returns the result of a failure that ended the environment.
func (w *watcher) failed(fail failure) Result {
	r := w.r
	w.e.mu.Lock()
	stopped := w.e.stopped && fail.payload == nil && fail.status != "timeout"
	w.e.mu.Unlock()
	if stopped {
		select {
		case <-w.f.hard: // we cut it off: nobody knows what it did
			return platform(ReasonStopping, errStopping)
		default:
		}
	}
	res := fail.result(r.inv.RequestID)
	if r.sent {
		res.Started, res.Duration, res.Init = r.begun, r.took, r.init
	}
	res.MaxMemoryMB = w.e.usedMB()
	if r.inv.Tail {
		res.LogTail = w.e.out.takeTail()
	}
	w.adviseSDK(&res, fail)
	if res.Hint == "" {
		res.Hint = w.e.leavesFirst(fail.payload)
	}
	w.e.g.advise(res.Hint)
	return res
}

// adviseSDK adds a hint to a failed init phase for lack of the SDK, which AWS bundles and we do not.
func (w *watcher) adviseSDK(res *Result, fail failure) {
	text := string(fail.payload)
	if !strings.Contains(text, "No module named '") && !strings.Contains(text, "Cannot find module '") &&
		!strings.Contains(text, "Cannot find package '") {
		return
	}
	plan, err := w.f.plan(context.Background(), w.e.g.conf)
	if err != nil || plan.SDK == "" || !strings.Contains(text, " '"+plan.SDK) {
		return
	}
	res.Hint = plan.SDKHint
}

// NewTraceID returns an X-Amzn-Trace-Id that samples nothing.
func NewTraceID() string {
	return fmt.Sprintf(
		"Root=1-%08x-%08x%016x;Parent=%016x;Sampled=0", uint32(time.Now().Unix()), rand.Uint32(), rand.Uint64(),
		rand.Uint64(),
	)
}
