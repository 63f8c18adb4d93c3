package function

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/shardmill/shardmill/function/launcher"
)

// activate ends the transition that conf is in, in the background: it unpacks the code if need be, looks for the
// runtime, and makes the function Active or its update Successful, or Failed with the reason. transition is the settled
// of its entry.
func (f *Functions) activate(conf *Configuration, transition chan struct{}) {
	f.work.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			select {
			case <-f.stopping:
				cancel()
			case <-stop:
			}
		}()
		plan, err := f.plan(ctx, conf)
		if ctx.Err() != nil {
			return // the next start finishes it
		}
		if dir, _, e := f.code.unpacked(ctx, conf.CodeSHA256); err == nil && e == nil && !f.confined() {
			plan.Hint = strings.TrimSpace(plan.Hint + " " + sharedHint(dir))
		}
		if left := conf.LastModified.Add(f.opt.Transition).Sub(f.opt.Clock.Now()); f.opt.Transition > 0 && left > 0 &&
			f.opt.Clock.Sleep(ctx, left) != nil {
			return
		}
		f.conclude(ctx, conf, transition, plan, err)
	})
}

// plan finds out how conf is started.
func (f *Functions) plan(ctx context.Context, conf *Configuration) (launcher.Plan, error) {
	dir, cache, err := f.code.unpacked(ctx, conf.CodeSHA256)
	if err != nil {
		return launcher.Plan{}, err
	}
	return f.launch.Plan(ctx, f.request(conf, dir, cache))
}

// conclude writes the end of the transition, unless the function was deleted meanwhile.
func (f *Functions) conclude(
	ctx context.Context, conf *Configuration, transition chan struct{}, plan launcher.Plan, planErr error,
) {
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(conf.Ref)
	if e == nil || e.settled != transition {
		return
	}
	next := e.conf.clone()
	f.touch(next)
	next.RuntimeDigest = runtimeDigest(conf.Runtime, plan.Version)
	next.Hint = plan.Hint
	var current *generation
	var unusable *launcher.Unusable
	var entryPoint *launcher.EntryPoint
	switch {
	case planErr == nil || errors.As(planErr, &entryPoint): // AWS reports a missing entry point at the invocation
		next.State, next.StateReason, next.StateCode = Active, "", ""
		next.UpdateStatus, next.UpdateReason, next.UpdateCode = Successful, "", ""
		current = f.newGeneration(next)
	default:
		reason, code := planErr.Error(), "InternalError"
		if errors.As(planErr, &unusable) {
			code = unusable.Code
		} else {
			f.opt.Log.Error("activate function", "function", conf.Ref.ARN(), "error", planErr)
			reason = "The function could not be prepared. See the log of shardmill."
		}
		next.State, next.StateReason, next.StateCode = Failed, reason, code
		next.UpdateStatus, next.UpdateReason, next.UpdateCode = Failed, reason, code
	}
	revision, err := f.save(ctx, next, e.revision)
	if err != nil {
		f.opt.Log.Error("write function", "function", conf.Ref.ARN(), "error", err)
		// The function stays in its transition, which the next change or start repeats; invocations do not wait for
		// that.
		next = e.conf.clone()
		next.State, next.StateReason, next.StateCode = Failed, "The state of the function could not be written.", "InternalError"
		next.UpdateStatus, revision = Failed, e.revision
		f.fleet.retire(current) // nothing runs on it, and its code is let go
		current = nil
	}
	if plan.Hint != "" {
		f.opt.Log.Info("hint", "function", conf.Ref.ARN(), "hint", plan.Hint)
	}
	f.publish(conf.Ref, &entry{conf: next, revision: revision, current: current, settled: e.settled})
	close(e.settled)
	f.fleet.retire(e.current)
}

// runtimeDigest changes when the interpreter changes.
func runtimeDigest(runtime, version string) string {
	sum := sha256.Sum256([]byte(runtime + "\x00" + version))
	return hex.EncodeToString(sum[:])
}
