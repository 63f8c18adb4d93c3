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
	s        *shard
	x        *engine.Executor
	ended    bool
	stale    bool // another one has taken over
	revision int  // of the checkpoint that its next Save replaces
	fetch    engine.Fetch
	waits    bool // fetch waits for news
	wakes    time.Time
	seen     session // the judge's
}

var wholeRange = record.HashKeyRange{End: record.MaxHashKey}

// start makes a machine for a shard from its durable checkpoint.
func (w *world) start(s *shard) {
	from := s.saved.checkpoint
	w.tracef("shard %d starts from %s", s.id, shown(from))
	r := &runner{w: w, s: s, revision: s.saved.revision, seen: newSession(w.cfg, from)}
	id := engine.Identity{Mapping: "sim", Stream: 1, Shard: s.id, FunctionARN: "function"}
	r.x = engine.NewExecutor(id, w.cfg, wholeRange, format{}, from, w.rng.Uint64(), r.observed)
	s.runner = r
	w.in(0, func() { r.step(esm.Tick{}) })
}

// dead reports that nothing that happens reaches the machine any more.
func (r *runner) dead() bool { return r.ended || r.s.runner != r && !r.stale }

// soon does something later, unless the machine is dead by then.
func (r *runner) soon(within time.Duration, do func()) {
	p := r.w.process
	r.w.in(r.w.upTo(within), func() {
		if r.w.process == p && !r.dead() {
			do()
		}
	})
}

// step feeds an event to the machine and performs what it wants.
func (r *runner) step(ev esm.Event) {
	if r.dead() {
		return
	}
	r.w.steps++
	if r.w.opts.Trace {
		if e, ok := ev.(esm.ReadReturned); ok {
			r.w.tracef("shard %d < read %d records, next %d, %s", r.s.id, len(e.Records), e.Next, e.End)
		} else {
			r.w.tracef("shard %d < %T%+v", r.s.id, ev, ev)
		}
	}
	effects := append([]engine.Effect(nil), r.x.Step(r.w.now, ev)...)
	for _, e := range effects {
		r.perform(e)
	}
	r.sleep()
}

// sleep sees to it that the machine gets its Tick.
func (r *runner) sleep() {
	wake := r.x.Wake()
	if r.ended || wake.IsZero() || wake.Equal(r.wakes) && wake.After(r.w.now) {
		return
	}
	r.wakes = wake
	p := r.w.process
	r.w.in(max(0, wake.Sub(r.w.now)), func() {
		if r.w.process == p && !r.dead() && r.wakes.Equal(wake) {
			r.wakes = time.Time{}
			r.step(esm.Tick{})
		}
	})
}

func (r *runner) perform(e engine.Effect) {
	switch e := e.(type) {
	case engine.Fetch:
		r.w.tracef("shard %d > fetch %d from %d, at most %d, wait=%t", r.s.id, e.Seq, e.From, e.Limit.Records, e.Wait)
		r.fetch, r.waits = e, false
		if e.Wait && len(r.s.log) > 0 && e.From > r.s.log[len(r.s.log)-1].Pos && e.From >= r.s.oldest && !r.s.closed ||
			e.Wait && len(r.s.log) == 0 && !r.s.closed {
			r.waits = true
			return
		}
		r.fetchSoon()
	case engine.Call:
		r.call(e)
	case engine.CancelCall:
		delete(r.seen.flight, e.Batch)
	case engine.Announce:
		r.announce(e)
	case engine.Keep:
		r.keep(e.Checkpoint)
	case engine.Done:
		r.done(e.Reason)
	}
}

// fetchSoon answers the Fetch that is out, after a moment.
func (r *runner) fetchSoon() {
	seq := r.fetch.Seq
	r.soon(50*time.Millisecond, func() {
		if r.fetch.Seq == seq {
			r.answerFetch()
		}
	})
}

func (r *runner) answerFetch() {
	f := r.fetch
	if r.w.chance(8) {
		r.step(esm.ReadFailed{Seq: f.Seq})
		return
	}
	if f.From < r.s.oldest {
		r.step(r.x.Fetched(f.Seq, nil, f.From, storage.End{Kind: storage.Trimmed, Oldest: r.s.oldest}))
		return
	}
	limit := f.Limit.Records
	if r.w.chance(25) { // a short read
		limit = min(limit, 1+r.w.rng.IntN(4))
	}
	var got []record.Record
	next, bytes := f.From, 0
	for i := range r.s.log {
		rec := r.s.log[i]
		if rec.Pos < f.From {
			continue
		}
		if len(got) == limit || len(got) > 0 && bytes+rec.Size() > f.Limit.Bytes {
			r.step(r.x.Fetched(f.Seq, got, next, storage.End{Kind: storage.More}))
			return
		}
		got = append(got, rec)
		next = rec.Pos + 1
		bytes += rec.Size()
	}
	end := storage.End{Kind: storage.Tail, Sealed: record.MillisOf(r.w.now.Add(-r.w.skew))}
	if r.s.closed {
		end = storage.End{Kind: storage.ShardEnd}
	}
	r.step(r.x.Fetched(f.Seq, got, next, end))
}

// keep makes a checkpoint durable, or does not.
func (r *runner) keep(cp esm.Checkpoint) {
	r.w.judgeSave(r.s, r, &cp)
	r.w.tracef("shard %d > save %s", r.s.id, shown(cp))
	p := r.w.process
	delay := r.w.upTo(20 * time.Millisecond)
	if r.w.chance(10) {
		delay = r.w.upTo(4 * time.Second)
	}
	fault, lost := r.w.chance(8), r.w.chance(50)
	r.w.in(delay, func() {
		gone := r.w.process != p || r.dead()
		switch {
		case r.revision != r.s.saved.revision || gone && r.s.runner != r && lost:
			if !gone {
				r.step(esm.Saved{Result: esm.SaveConflict})
			}
			return
		case fault:
			if !gone {
				r.step(esm.Saved{Result: esm.SaveFault})
			}
			return
		case gone && r.s.runner != nil: // the next machine has read what was there when it started
			return
		}
		r.w.judgeDurable(r.s, &cp)
		r.s.saved = durable{cp, r.s.saved.revision + 1}
		r.revision = r.s.saved.revision
		if !gone {
			r.step(esm.Saved{Result: esm.SaveDone})
		}
	})
}

func (r *runner) done(reason esm.FinishReason) {
	r.w.tracef("shard %d > %s", r.s.id, reason)
	r.ended = true
	clear(r.seen.flight)
	if r.stale {
		return
	}
	r.s.runner = nil
	if reason == esm.Ended {
		r.w.judgeEnded(r.s)
	}
	r.w.mappingStep(esm.ShardFinished{Shard: r.s.id, Reason: reason})
}

// freeSlots offers what is free to the lanes that were refused, one after the other.
func (w *world) freeSlots() {
	for n := w.slots - w.running; n > 0 && len(w.waiters) > 0; n-- {
		x := w.waiters[0]
		w.waiters = w.waiters[1:]
		w.in(0, func() { x.r.step(esm.SlotFree{Lane: x.lane}) })
	}
}
