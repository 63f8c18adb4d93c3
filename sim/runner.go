package sim

import (
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// runner performs the effects of one machine, as the live shell does, but in virtual time and with faults.
type runner struct {
	w        *world
	n        *node
	s        *shard
	x        *engine.Executor
	ended    bool
	keeping  bool   // a checkpoint is being saved: that is always waited for
	finished func() // called once that is over
	revision int    // of the checkpoint that its next Save replaces
	fetch    engine.Fetch
	waits    bool  // fetch waits for news
	reserved int64 // of the budget, for reads under way
	wakes    time.Time
	seen     session // the judge's
}

var wholeRange = record.HashKeyRange{End: record.MaxHashKey}

// start makes a machine for a shard from its durable checkpoint.
func (w *world) start(n *node, s *shard) {
	from := s.saved.checkpoint
	w.tracef("shard %d starts on node %d from %s", s.id, n.id, shown(from))
	r := &runner{w: w, n: n, s: s, revision: s.saved.revision, seen: newSession(w, n, s, w.cfg, from)}
	id := engine.Identity{Mapping: "sim", Stream: 1, Shard: s.id, FunctionARN: "function"}
	r.x = engine.NewExecutor(id, w.cfg, s.keyRange(), w.format, from, w.rng.Uint64(), r.observed)
	r.x.Share(n.budget)
	r.x.Filter(w.compiled(w.cfg.Filter))
	n.runners = append(n.runners, r)
	if w.cfg.Factor > 1 && s.keyRange() != wholeRange {
		w.saw("lanes over a part of the keys")
	}
	w.alive(n, 0, func() { r.step(esm.Tick{}) })
}

// close ends the machine, and what it has taken of the budget.
func (r *runner) close() {
	r.ended = true
	r.x.Close()
	r.n.budget.Return(r.reserved)
	r.reserved = 0
}

// soon does something later, unless the machine is dead by then.
func (r *runner) soon(within time.Duration, do func()) {
	r.w.in(r.w.upTo(within), func() {
		if !r.ended {
			do()
		}
	})
}

// step feeds an event to the machine and performs what it wants.
func (r *runner) step(ev esm.Event) {
	if r.ended {
		return
	}
	r.w.steps++
	if r.w.opts.Trace {
		if e, ok := ev.(esm.ReadReturned); ok {
			r.w.tracef("shard %d < read %d: %d records, next %d, %s", r.s.id, e.Seq, len(e.Records), e.Next, e.End)
		} else {
			r.w.tracef("shard %d < %T%+v", r.s.id, ev, ev)
		}
	}
	if c, ok := ev.(esm.Reconfigured); ok {
		r.x.Filter(r.w.compiled(c.Config.Filter))
	}
	r.seen.begins(ev)
	effects := append([]engine.Effect(nil), r.x.Step(r.w.now, ev)...)
	r.seen.wants(effects)
	for _, e := range effects {
		if r.ended {
			r.w.complain("shard %d: %T after the last effect", r.s.id, e)
			return
		}
		r.perform(e)
	}
	if !r.ended {
		r.seen.rests()
	}
	r.sleep()
}

// sleep sees to it that the machine gets its Tick.
func (r *runner) sleep() {
	if r.ended {
		return
	}
	wake := r.x.Wake()
	if wake.IsZero() || wake.Equal(r.wakes) && wake.After(r.w.now) {
		return
	}
	r.wakes = wake
	r.w.in(max(0, wake.Sub(r.w.now)), func() {
		if !r.ended && r.wakes.Equal(wake) {
			r.wakes = time.Time{}
			r.step(esm.Tick{})
		}
	})
}

func (r *runner) perform(e engine.Effect) {
	switch e := e.(type) {
	case engine.Fetch:
		r.w.tracef("shard %d > fetch %d from %d, at most %d and %d bytes, wait=%t",
			r.s.id, e.Seq, e.From, e.Limit.Records, e.Limit.Bytes, e.Wait)
		r.seen.fetched(&e)
		if r.waits && r.w.chance(50) { // the read that it replaces was answered all the same
			r.read(r.fetch)
		}
		r.fetch, r.waits = e, false
		if n := len(r.s.log); e.Wait && !r.s.closed && e.From >= r.s.oldest && (n == 0 || e.From > r.s.log[n-1].Pos) {
			r.waits = true
			return
		}
		r.read(e)
	case engine.Call:
		r.call(e)
	case engine.CancelCall:
		r.seen.cancelled(e.Batch)
		r.w.cancelInvoke(r, e.Batch)
	case engine.Announce:
		r.announce(e)
	case engine.Keep:
		r.keep(e.Checkpoint)
	case engine.Done:
		r.done(e.Reason)
	}
}

// read takes what there is now and brings it after a moment. A newer read may have replaced this one by then: the shell
// cancels it, or is too late for that.
func (r *runner) read(f engine.Fetch) {
	limit, reserved := r.n.budget.Reserve(f.Limit, f.Least)
	r.reserved += reserved
	fails, late := r.w.chance(8), r.w.chance(50)
	got, next, end := r.scan(f.From, limit)
	r.soon(50*time.Millisecond, func() {
		give := func() {
			r.n.budget.Return(reserved)
			r.reserved -= reserved
		}
		switch {
		case f.Seq != r.fetch.Seq && !late:
			give()
		case fails:
			give()
			r.step(esm.ReadFailed{Seq: f.Seq})
		default:
			ev := r.x.Fetched(f.Seq, got, next, end)
			give()
			r.step(ev)
		}
	})
}

// scan reads the log.
func (r *runner) scan(from record.Position, limit storage.Limit) ([]record.Record, record.Position, storage.End) {
	if from < r.s.oldest {
		return nil, from, storage.End{Kind: storage.Trimmed, Oldest: r.s.oldest}
	}
	if r.w.chance(25) { // a short read
		limit.Records = min(limit.Records, 1+r.w.rng.IntN(4))
	}
	var got []record.Record
	next, bytes := from, 0
	for _, rec := range r.s.log[r.s.search(from):] {
		if len(got) == limit.Records || len(got) > 0 && bytes+rec.Size() > limit.Bytes {
			return got, next, storage.End{Kind: storage.More}
		}
		got = append(got, rec)
		next = rec.Pos + 1
		bytes += rec.Size()
	}
	if r.s.closed {
		return got, next, storage.End{Kind: storage.ShardEnd}
	}
	return got, next, storage.End{Kind: storage.Tail, Sealed: record.MillisOf(r.w.now.Add(-r.w.skew))}
}

// keep makes a checkpoint durable, or does not.
func (r *runner) keep(cp esm.Checkpoint) {
	r.w.tracef("shard %d > save %s", r.s.id, shown(cp))
	r.seen.judgeSave(&cp)
	r.keeping = true
	life := r.n.life
	delay := r.w.upTo(20 * time.Millisecond)
	if r.w.chance(10) {
		delay = r.w.upTo(4 * time.Second)
	}
	fault, lost := r.w.chance(8), r.w.chance(50)
	r.w.in(delay, func() {
		crashed := r.n.life != life
		r.keeping = false
		if r.finished != nil {
			defer r.finished()
		}
		switch {
		case crashed && (lost || len(r.w.on(r.s)) > 0 || r.n.starts[r.s.id] != nil):
			return // the next machine has read what was there when it started
		case r.revision != r.s.saved.revision:
			r.step(esm.Saved{Result: esm.SaveConflict})
		case fault:
			r.step(esm.Saved{Result: esm.SaveFault})
		default:
			r.w.judgeDurable(r.s, &cp)
			r.s.saved.checkpoint = cp
			r.s.saved.revision++
			r.revision = r.s.saved.revision
			if cp.Ended {
				r.w.changed()
			}
			r.step(esm.Saved{Result: esm.SaveDone})
		}
	})
}

func (r *runner) done(reason esm.FinishReason) {
	r.w.tracef("shard %d > %s", r.s.id, reason)
	r.seen.judgeDone(reason)
	r.close()
	for i, other := range r.n.runners {
		if other == r {
			r.n.runners = append(r.n.runners[:i:i], r.n.runners[i+1:]...)
			break
		}
	}
	if len(r.n.runners) == 0 {
		r.w.judgeBudget(r.n)
	}
	life := r.n.life
	r.finished = func() {
		if r.n.life == life {
			r.w.mappingStep(r.n, esm.ShardFinished{Shard: r.s.id, Reason: reason})
		}
	}
	if !r.keeping {
		r.finished()
	}
}
