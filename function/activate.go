package function

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/shardmill/shardmill/function/launcher"
)

// activate ends the transition that a version is in, in the background: it unpacks the code if need be, looks for the
// runtime, and makes the version Active or its update Successful, or Failed with the reason.
func (f *Functions) activate(l live) {
	conf := l.conf
	f.preparing.Add(1)
	f.work.Go(func() {
		defer f.preparing.Add(-1)
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
		end := conf.LastModified.Add(f.opt.Transition)
		if f.opt.Transition > 0 && end.After(f.opt.Clock.Now()) && !f.rest(ctx, end) {
			return
		}
		f.conclude(ctx, l, plan, err)
	})
}

// rest lets an activation wait for an instant by the clock; it is not at work until then. It reports false if ctx ends
// before.
func (f *Functions) rest(ctx context.Context, until time.Time) bool {
	over := make(chan struct{})
	timer := f.opt.Clock.At(until, func() {
		f.preparing.Add(1)
		close(over)
	})
	f.preparing.Add(-1)
	select {
	case <-over:
	case <-ctx.Done():
		if timer.Stop() {
			f.preparing.Add(1)
			return false
		}
		<-over
	}
	return ctx.Err() == nil
}

// plan finds out how conf is started.
func (f *Functions) plan(ctx context.Context, conf *Configuration) (launcher.Plan, error) {
	dir, cache, err := f.code.unpacked(ctx, conf.CodeSHA256)
	if err != nil {
		return launcher.Plan{}, err
	}
	return f.launch.Plan(ctx, f.request(conf, dir, cache))
}

// conclude writes the end of the transition, unless the version was deleted meanwhile.
func (f *Functions) conclude(ctx context.Context, l live, plan launcher.Plan, planErr error) {
	conf := l.conf
	f.change.Lock()
	defer f.change.Unlock()
	e := f.entry(conf.Ref)
	if e == nil {
		return
	}
	now, ok := e.version(conf.Version)
	if !ok || now.settled != l.settled { // another transition
		return
	}
	before := now.live
	next := before.conf.clone()
	f.touch(next)
	next.RuntimeDigest = runtimeDigest(conf.Runtime, plan.Version)
	next.Hint = plan.Hint
	now.current = nil
	var unusable *launcher.Unusable
	var entryPoint *launcher.EntryPoint
	switch {
	case planErr == nil || errors.As(planErr, &entryPoint): // AWS reports a missing entry point at the invocation
		next.State, next.StateReason, next.StateCode = Active, "", ""
		next.UpdateStatus, next.UpdateReason, next.UpdateCode = Successful, "", ""
		now.current = f.newGeneration(next)
	default:
		reason, code := planErr.Error(), "InternalError"
		if errors.As(planErr, &unusable) {
			code = unusable.Code
		} else {
			f.opt.Log.Error("activate function", "function", conf.Ref.ARN(), "version", conf.Version, "error", planErr)
			reason = "The function could not be prepared. See the log of shardmill."
		}
		next.State, next.StateReason, next.StateCode = Failed, reason, code
		next.UpdateStatus, next.UpdateReason, next.UpdateCode = Failed, reason, code
	}
	now.conf = next
	if err := f.saveConclusion(ctx, e, &now); err != nil {
		f.opt.Log.Error("write function", "function", conf.Ref.ARN(), "version", conf.Version, "error", err)
		// The version stays in its transition, which the next change or start repeats; invocations do not wait for
		// that.
		next = before.conf.clone()
		next.State, next.StateReason, next.StateCode = Failed, "The state of the function could not be written.", "InternalError"
		next.UpdateStatus = Failed
		f.fleet.retire(now.current) // nothing runs on it, and its code is let go
		now.conf, now.current = next, nil
		e.set(now)
	}
	if plan.Hint != "" {
		f.opt.Log.Info("hint", "function", conf.Ref.ARN(), "hint", plan.Hint)
	}
	f.publish(conf.Ref, e)
	close(now.settled)
	f.fleet.retire(before.current)
}

// saveConclusion commits a version at the end of its transition and makes it part of e. On error nothing is stored.
func (f *Functions) saveConclusion(ctx context.Context, e *entry, now *version) error {
	if now.conf.Version == Latest {
		old := e.live
		e.live = now.live
		err := f.save(ctx, e)
		if err != nil {
			e.live = old
		}
		now.revision = e.revision
		return err
	}
	op, err := now.op()
	if err != nil {
		return err
	}
	if now.revision, err = f.coord.Commit(ctx, coordGroup, op); err != nil {
		now.revision = op.Expect
		return err
	}
	e.set(*now)
	return nil
}

// runtimeDigest changes when the interpreter changes.
func runtimeDigest(runtime, version string) string {
	sum := sha256.Sum256([]byte(runtime + "\x00" + version))
	return hex.EncodeToString(sum[:])
}
