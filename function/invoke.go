package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/internal/ids"
)

// Invocation is one call of a function.
type Invocation struct {
	Ref           Ref
	Qualifier     string // a version or an alias; "" is $LATEST
	RequestID     string // "" makes one
	Payload       []byte // JSON; not modified, may be shared
	ClientContext string // JSON; "" for none
	Tail          bool   // collect LogTail
	InvokedARN    string // as the caller addressed the function; "" is its ARN with the qualifier
	// wait in line for room on the machine and for State Active, until ctx ends, instead of being refused
	Wait    bool
	TraceID string // of X-Amzn-Trace-Id; "" makes one

	// of the last record of a batch, by the clock: iterator age is measured from it; zero: no batch of a stream
	LastArrival time.Time

	coin    float64 // decides where an alias with weights leads to
	ticket  fleet.Ticket
	measure measurement
}

// Unhandled is the only kind of function error that AWS reports.
const Unhandled = "Unhandled"

// Result is the result of an Invocation.
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
// Invoke returns PlatformError at once and the handler goes on: it counts until it ends.
func (f *Functions) Invoke(ctx context.Context, inv Invocation) Result {
	inv.coin = f.opt.Coin()
	g, refusal := f.ready(ctx, &inv)
	if g == nil {
		return refusal
	}
	select {
	case <-f.stopping:
		return platform(ReasonStopping, errStopping)
	default:
	}
	now := time.Now()
	ticket, a := f.fleet.ask(now, g, inv.Wait)
	if inv.RequestID == "" {
		inv.RequestID = ids.New()
	}
	if inv.InvokedARN == "" {
		inv.InvokedARN = inv.Ref.ARN() + suffixOf(inv.Qualifier)
	}
	if inv.TraceID == "" {
		inv.TraceID = newTraceID(now)
	}
	inv.ticket, inv.measure.scope = ticket, f.meter.scope(inv.Ref, inv.Qualifier, g.conf.Version)
	res, e, how := f.invoke(ctx, g, &inv, a)
	if how != left {
		f.count(&inv, &res, how, e)
	}
	return res
}

// count measures what an invocation came to and ends it in the fleet, unless the fleet has ended it.
func (f *Functions) count(inv *Invocation, res *Result, how outcome, e *environment) {
	inv.end(res)
	switch {
	case how == unserved:
	case how == finished && !e.isDead():
		f.fleet.done(inv.ticket, e)
	default: // a dead environment is taken out by its supervisor
		f.fleet.ended(inv.ticket)
	}
}

// ready finds the code to run, waiting for a version that is being created.
func (f *Functions) ready(ctx context.Context, inv *Invocation) (*generation, Result) {
	now, ok := f.find(inv)
	if ok && now.current != nil {
		return now.current, Result{}
	}
	var limit <-chan time.Time
	if !inv.Wait {
		t := time.NewTimer(f.patience(pendingWait))
		defer t.Stop()
		limit = t.C
	}
	for {
		now, ok = f.find(inv)
		switch {
		case !ok:
			qualifier := cmp.Or(inv.Qualifier, Latest)
			return nil, Result{
				Class: ConfigError, Reason: ReasonNotFound,
				Detail: "Function not found: " + inv.Ref.ARN() + ":" + qualifier, StatusCode: 404,
			}
		case now.current != nil:
			return now.current, Result{}
		case now.conf.settled():
			return nil, Result{
				Class: ConfigError, Reason: now.conf.StateCode, Detail: now.conf.StateReason, StatusCode: 502,
			}
		}
		pending := Result{
			Class: NotAdmitted, Reason: Pending, StatusCode: 409,
			Detail: "The operation cannot be performed at this time. The function is currently in the following state: " +
				Pending,
		}
		select {
		case <-now.settled:
		case <-limit:
			return nil, pending
		case <-ctx.Done():
			return nil, pending
		case <-f.stopping:
			return nil, platform(ReasonStopping, errStopping)
		}
	}
}

// find returns the version that an invocation goes to.
func (f *Functions) find(inv *Invocation) (version, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if e := f.entries[inv.Ref]; e != nil {
		return e.resolve(inv.Qualifier, inv.coin)
	}
	return version{}, false
}

func platform(reason string, err error) Result {
	return Result{Class: PlatformError, Reason: reason, Detail: err.Error(), StatusCode: 500}
}

// invoke runs inv in the environment that it is granted, and returns the last one used. If an environment dies before
// it has seen the event, another is tried.
func (f *Functions) invoke(
	ctx context.Context, g *generation, inv *Invocation, a answer,
) (res Result, e *environment, how outcome) {
	again := false
	for {
		if a.grant == stands {
			a = f.fleet.await(ctx, inv.ticket, a.later)
		}
		d := &delivery{inv: inv, again: again}
		switch a.grant {
		case mayStart:
			f.begin(&inv.measure)
			if last, paused := g.pause(); paused {
				f.fleet.gone(a.number)
				return last.result(inv.RequestID, g.conf.Version), nil, lost
			}
			var err error
			if e, err = f.boot(ctx, g, a.number, d); err != nil {
				return f.bootFailed(g, inv, err), nil, lost
			}
		case warm:
			f.begin(&inv.measure)
			if e = a.env; !e.begin(d) {
				a = f.fleet.again(inv.ticket, g)
				continue
			}
		case stale:
			if g, res = f.ready(ctx, inv); g == nil {
				return res, nil, lost
			}
			f.led(inv, g) // an alias may lead elsewhere by now
			a = f.fleet.again(inv.ticket, g)
			continue
		case refused, stands:
			return f.refusal(ctx, inv, a.reason), nil, unserved
		}
		if res, how = f.await(ctx, e, d); how != retry {
			return res, e, how
		}
		again = d.again
		a = f.fleet.again(inv.ticket, g)
	}
}

// refusal returns the result of an invocation that the fleet has ended.
func (f *Functions) refusal(ctx context.Context, inv *Invocation, why fleet.Reason) Result {
	res := Result{Class: NotAdmitted, Reason: ReasonAccount, Detail: "Rate Exceeded.", StatusCode: 429}
	switch why {
	case fleet.Closing:
		return platform(ReasonStopping, errStopping)
	case fleet.ReservedLimit:
		res.Reason = ReasonReserved
	case fleet.AccountLimit:
	case fleet.MachineLimit:
		if err := ctx.Err(); err != nil {
			res.Detail = err.Error()
			return res
		}
		res.Hint = fmt.Sprintf("This machine runs at most %d execution environments at once, and all are busy.",
			f.opt.MaxEnvironments)
	}
	inv.measure.scope.throttled(f.opt.Clock.Now())
	return res
}

// bootFailed returns the result when no process could be started.
func (f *Functions) bootFailed(g *generation, inv *Invocation, err error) Result {
	var entry *launcher.EntryPoint
	var unusable *launcher.Unusable
	switch {
	case errors.As(err, &entry):
		fail := failure{kind: entry.Kind, message: entry.Message, status: "error"}
		g.initFailed(fail)
		return fail.result(inv.RequestID, g.conf.Version)
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

// NewTraceID returns an X-Amzn-Trace-Id that samples nothing.
func NewTraceID() string { return newTraceID(time.Now()) }

func newTraceID(now time.Time) string {
	b := make([]byte, 0, len("Root=1-01234567-0123456789abcdef01234567;Parent=0123456789abcdef;Sampled=0"))
	b = appendHex(append(b, "Root=1-"...), uint64(uint32(now.Unix())), 8)
	b = appendHex(append(b, '-'), uint64(rand.Uint32()), 8)
	b = appendHex(b, rand.Uint64(), 16)
	b = appendHex(append(b, ";Parent="...), rand.Uint64(), 16)
	return string(append(b, ";Sampled=0"...))
}

// appendHex appends the last digits of n, so many of them.
func appendHex(b []byte, n uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[n>>shift&15])
	}
	return b
}
