package function

import (
	"context"
	"strings"
	"time"
)

// begin gives d to a warm environment. It reports false when the environment is dead.
func (e *environment) begin(d *delivery) bool {
	e.mu.Lock()
	for len(e.events) > 0 { // of an earlier invocation, which ended before they came
		<-e.events
	}
	switch e.phase {
	case dead:
		e.mu.Unlock()
		return false
	case ready:
		e.delivery = d
		if err := e.dispatch(d); err != nil {
			e.mu.Lock()
			e.delivery, e.phase = nil, dead
			e.mu.Unlock()
			e.proc.Kill()
			return false
		}
		return true
	case answering, initialising, working: // the runtime has answered its last invocation and is on its way back
		e.delivery = d
	}
	e.mu.Unlock()
	return true
}

// comeBack is how long an invocation waits for the runtime to return from the one before; then it goes to another
// environment.
const comeBack = 2 * time.Second

// outcome says how an invocation, or a try of it, ended.
type outcome uint8

const (
	finished outcome = iota // the environment can take more
	lost                    // the environment cannot, or there is none
	retry                   // the event was not delivered
	left                    // the caller's context ended; the handler goes on, and its watcher ends the invocation
	unserved                // the fleet has refused it and no longer counts it
)

// await sees d through to its end, or until ctx ends.
func (f *Functions) await(ctx context.Context, e *environment, d *delivery) (Result, outcome) {
	w := f.watch(e, d)
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
			if e.withdraw(d) {
				return Result{
					Class: NotAdmitted, Reason: ReasonAccount, Detail: ctx.Err().Error(), StatusCode: 429,
				}, finished
			}
			ours = false
			f.work.Go(func() {
				defer w.timer.Stop()
				res, how := w.finish()
				f.count(d.inv, &res, how, e)
			})
			return platform(ReasonAbandoned, context.Cause(ctx)), left
		}
	}
}

// withdraw takes d back from a warm environment whose runtime has not asked for it yet.
func (e *environment) withdraw(d *delivery) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.delivery != d || d.sent || e.phase != answering {
		return false
	}
	e.delivery = nil
	return true
}

// watcher follows one invocation in one environment.
type watcher struct {
	f     *Functions
	e     *environment
	d     *delivery
	timer *time.Timer
	slow  bool // the init phase has begun to use up the function's timeout
	held  *Result
}

func (f *Functions) watch(e *environment, d *delivery) *watcher {
	w := &watcher{f: f, e: e, d: d}
	e.mu.Lock()
	defer e.mu.Unlock()
	wait := f.opt.InitTimeout
	switch {
	case d.sent:
		wait = time.Until(e.deadline(d))
	case e.phase == answering:
		wait = comeBack
	}
	w.timer = time.NewTimer(wait)
	d.timer = w.timer
	return w
}

// finish follows the invocation after its caller has left. If it was not delivered it has no result, because no caller
// is left for another try.
func (w *watcher) finish() (res Result, how outcome) {
	for over := false; !over; {
		select {
		case s := <-w.e.events:
			res, how, over = w.on(s)
		case <-w.timer.C:
			res, how, over = w.late()
		}
	}
	return res, how
}

// on takes a signal.
func (w *watcher) on(s signal) (Result, outcome, bool) {
	switch s.kind {
	case wasAnswered:
		res := w.answered(s)
		if w.d.inv.Tail {
			w.held = &res
			w.timer.Reset(w.f.opt.TailWait)
			return Result{}, finished, false
		}
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
		return w.failed(s.fail), lost, true
	}
	return Result{}, finished, false
}

// release returns a result that waited for its log.
func (w *watcher) release() Result {
	w.held.LogTail = w.e.out.takeTail()
	return *w.held
}

// late handles the end of the timer: of the init phase, of the function's timeout, of a runtime that does not ask
// again, or of a held answer.
func (w *watcher) late() (Result, outcome, bool) {
	e, d := w.e, w.d
	if w.held != nil {
		return w.release(), finished, true
	}
	if e.withdraw(d) {
		// It counts as busy until its timeout and is killed then: something in it still runs.
		time.AfterFunc(e.g.conf.Timeout, e.stop)
		return Result{}, retry, true
	}
	e.mu.Lock()
	inInit := false
	switch {
	case d.sent:
		if left := time.Until(e.deadline(d)); left > 0 { // it was sent as the time of what came before ended
			w.timer.Reset(left)
			e.mu.Unlock()
			return Result{}, finished, false
		}
	case e.delivery == d && e.phase == initialising:
		if !w.slow {
			w.slow = true
			w.timer.Reset(e.g.conf.Timeout)
			e.mu.Unlock()
			e.booted()
			return Result{}, finished, false
		}
		inInit = true
	}
	e.mu.Unlock()
	fail := w.f.timedOut(d.inv.RequestID, e.g.conf.Timeout)
	if inInit {
		e.g.initFailed(fail)
	}
	if !e.abandon(d, fail) {
		w.timer.Reset(time.Second) // the answer is in the channel already
		return Result{}, finished, false
	}
	return w.failed(fail), lost, true
}

// answered returns the result of a runtime's answer.
func (w *watcher) answered(s signal) Result {
	d, a := w.d, s.answer
	res := Result{
		Class: Success, Payload: a.Payload, ExecutedVersion: w.e.g.conf.Version, StatusCode: 200, Hint: w.e.g.conf.Hint,
		Started: d.begun, Duration: s.at.Sub(d.begun), Init: d.init, MaxMemoryMB: w.e.usedMB(),
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
	d := w.d
	w.e.mu.Lock()
	stopped := w.e.stopped && fail.payload == nil && fail.status != "timeout"
	w.e.mu.Unlock()
	if stopped {
		select {
		case <-w.f.hard: // we cut it off: what it did is unknown
			return platform(ReasonStopping, errStopping)
		default:
		}
	}
	res := fail.result(d.inv.RequestID, w.e.g.conf.Version)
	if d.sent {
		res.Started, res.Duration, res.Init = d.begun, d.took, d.init
	}
	res.MaxMemoryMB = w.e.usedMB()
	if d.inv.Tail {
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
