package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/crashpoint"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// perform starts one effect. It never waits; the result is posted.
func (r *shardRunner) perform(eff Effect) {
	switch eff := eff.(type) {
	case Fetch:
		if r.fetch != nil {
			r.fetch()
		}
		ctx, cancel := context.WithCancel(r.ctx)
		r.fetch = cancel
		r.start(func() { r.read(ctx, eff) })
	case Call:
		r.leave(eff.Lane)
		ctx, cancel := context.WithCancel(r.ctx)
		r.calls[eff.Batch] = cancel
		r.start(func() { r.call(ctx, eff) })
	case CancelCall:
		if cancel := r.calls[eff.Batch]; cancel != nil {
			cancel()
			delete(r.calls, eff.Batch)
		}
	case Announce:
		r.start(func() { r.announce(eff) })
	case Keep:
		revision := r.revision
		r.start(func() { r.keep(eff, revision) })
	case Done:
	}
}

// start runs f on another goroutine. The runner waits for its end before it ends itself.
func (r *shardRunner) start(f func()) {
	r.e.active.begin()
	r.wg.Add(1)
	r.e.crew.do(func() {
		defer r.wg.Done()
		defer r.e.active.end()
		f()
	})
}

// fetchBuffers holds the slices that reads fill; the executor copies what it keeps.
var fetchBuffers = sync.Pool{New: func() any { return new([]record.Record) }}

// read brings records, waiting at the tail for something new if it may.
func (r *shardRunner) read(ctx context.Context, f Fetch) {
	defer r.e.reads.Add(1)
	buf := fetchBuffers.Get().(*[]record.Record)
	paced := f.Wait && r.e.o.Pace.Poll > 0 && !r.src.Pushed() // the tail was seen, and what came since is not known
	for {
		if paced && !r.polled(ctx.Done()) {
			return
		}
		changed := r.src.Changed(r.id.Shard)
		*buf = (*buf)[:0]
		limit, reserved := r.e.budget.Reserve(f.Limit, f.Least)
		r.reserved.Add(reserved)
		next, end, err := r.src.Read(ctx, r.id.Shard, f.From, limit, func(rec record.Record) {
			*buf = append(*buf, rec)
		})
		if len(*buf) == 0 || err != nil || ctx.Err() != nil {
			r.giveBack(reserved)
			reserved = 0
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if h := hindranceOf(err); h != unhindered {
				r.hinders(h)
			}
			r.log.Warn("reading the shard; it is tried again", "error", err)
			r.postEvent(esm.ReadFailed{Seq: f.Seq})
			return
		}
		r.hinders(unhindered)
		if !f.Wait || len(*buf) > 0 || end.Kind != storage.Tail {
			r.post(func() esm.Event {
				ev := r.x.Fetched(f.Seq, *buf, next, end)
				r.giveBack(reserved) // what is held now counts by itself
				clear(*buf)
				fetchBuffers.Put(buf)
				return ev
			})
			return
		}
		if paced {
			continue
		}
		r.e.active.end() // a read that waits at the tail is not work under way
		select {
		case <-changed:
			r.e.active.begin()
		case <-ctx.Done():
			r.e.active.begin()
			return
		}
	}
}

func (r *shardRunner) giveBack(reserved int64) {
	r.e.budget.Return(reserved)
	r.reserved.Add(-reserved)
}

// call invokes the function once.
func (r *shardRunner) call(ctx context.Context, c Call) {
	var lastArrival time.Time // zero: no record, as at the end of a tumbling window
	if c.LastArrival > 0 {
		lastArrival = time.UnixMilli(int64(c.LastArrival))
	}
	sent := r.e.o.Clock.Now()
	a := r.e.invoke(ctx, function.Invocation{
		Ref: r.target.Ref, Qualifier: r.target.Qualifier, RequestID: c.RequestID, Payload: c.Payload,
		InvokedARN: r.id.FunctionARN, Wait: true, LastArrival: lastArrival,
	})
	r.meter.sent(sent, lastArrival, &a)
	if ctx.Err() != nil {
		return // cancelled: the result no longer matters
	}
	r.answered(c, a)
}

// invoke runs a function once. A payload beyond the limit, which one record alone can have, is refused as the Invoke
// API does. What it returns after ctx has ended means nothing.
func (e *Engine) invoke(ctx context.Context, inv function.Invocation) Answer {
	if n := len(inv.Payload); n > esm.MaxPayload {
		f := fault.New(
			fault.CodeRequestTooLarge,
			"%d byte payload is too large for the RequestResponse invocation type (limit %d bytes)", n, esm.MaxPayload,
		)
		a := Answer{Kind: AnswerError, StatusCode: 413, Reason: f.Error()}
		if c, ok := e.o.Functions.Find(inv.Ref, inv.Qualifier); ok {
			a.Version = c.Version // that would have run
		}
		return a
	}
	res := e.o.Functions.Invoke(ctx, inv)
	a := Answer{
		Payload: res.Payload, Reason: reasonOf(res), Code: res.Reason, FunctionError: res.ErrorKind,
		StatusCode: res.StatusCode, Version: res.ExecutedVersion, Duration: res.Duration,
	}
	switch res.Class {
	case function.Success:
		a.Kind = AnswerOK
		if ctx.Err() == nil {
			crashpoint.Hit(crashpoint.Delivered)
		}
	case function.FunctionError:
		a.Kind = AnswerError
	case function.NotAdmitted:
		a.Kind = AnswerThrottled
	default:
		a.Kind = AnswerNotRun
	}
	return a
}

func reasonOf(res function.Result) string {
	if res.Detail == "" {
		return res.Reason
	}
	if res.Reason == "" {
		return res.Detail
	}
	return res.Reason + ": " + res.Detail
}

func (r *shardRunner) answered(c Call, a Answer) {
	r.post(func() esm.Event {
		if cancel := r.calls[c.Batch]; cancel != nil {
			cancel()
			delete(r.calls, c.Batch)
		}
		if a.Kind == AnswerThrottled {
			r.enrol(c.Lane)
		}
		return r.x.Answered(c.Batch, a)
	})
}

// waiter is an enrolled lane.
type waiter struct{ cancel func() }

// enrol makes a refused lane a waiter of the function: it is told when a slot is free, in its turn.
func (r *shardRunner) enrol(lane int) {
	r.leave(lane)
	w := &waiter{}
	r.waiters[lane] = w
	free := posted{make: func() esm.Event {
		if r.waiters[lane] == w {
			delete(r.waiters, lane)
		}
		return esm.SlotFree{Lane: lane}
	}}
	// What frees the place does not wait for us: were the inbox full, the lane's back-off would end its wait.
	w.cancel = r.e.o.Functions.Enrol(r.target.Ref, func() { r.inbox.offer(free) })
}

// leave takes a lane off the function's waiters: it tries by itself now, and a slot offered to it would be lost to the
// others.
func (r *shardRunner) leave(lane int) {
	if w := r.waiters[lane]; w != nil {
		w.cancel()
		delete(r.waiters, lane)
	}
}

// announce delivers a notice.
func (r *shardRunner) announce(a Announce) {
	err := errors.New("the mapping has no destination")
	if r.send != nil {
		err = r.send.Send(r.ctx, a.Sending)
	}
	if err != nil && r.ctx.Err() != nil {
		return // abandoned: that is no answer of the destination, whatever the error says
	}
	ev := esm.Delivered{Batch: a.Batch, Result: esm.DeliveryDone}
	if err != nil {
		ev.Reason = fault.Clip(err.Error(), 200)
	}
	switch {
	case err == nil:
		crashpoint.Hit(crashpoint.Delivered)
	case destination.Refused(err):
		ev.Result = esm.DeliveryRefused
		r.log.Warn("the destination refused a notice", "error", err)
	default:
		ev.Result = esm.DeliveryFault
		r.log.Warn("a notice could not be delivered; it is tried again", "error", err)
	}
	r.postEvent(ev)
}

// keep saves a checkpoint over the revision that this runner wrote last.
func (r *shardRunner) keep(k Keep, over storage.Revision) {
	crashpoint.Hit(crashpoint.SaveBegun)
	// Not r.ctx: a commit that has begun is always awaited.
	revision, err := r.e.o.Checkpoints.Save(
		context.WithoutCancel(r.ctx), r.id.Mapping, r.id.Shard, &k.Checkpoint, r.epoch, over,
	)
	r.post(func() esm.Event {
		switch {
		case err == nil:
			r.revision = revision
			return esm.Saved{Result: esm.SaveDone}
		case errors.Is(err, storage.ErrConflict):
			r.log.Error("another process runs this shard; letting go of it")
			return esm.Saved{Result: esm.SaveConflict}
		}
		r.log.Warn("saving a checkpoint; it is tried again", "error", err)
		return esm.Saved{Result: esm.SaveFault}
	})
}
