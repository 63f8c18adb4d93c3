package simshell

import (
	"context"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream"
)

// meddle does something to the world.
func (w *world) meddle() {
	r := w.rng
	if w.knobs.owners > 1 && r.IntN(3) == 0 {
		w.handOver()
		return
	}
	switch n := r.IntN(100); {
	case n < 20:
		w.p.die(pick(r, 0, 0, 50, 100))
		w.crashed()
	case n < 27:
		w.restart()
	case n < 42:
		k := w.anyKnobs()
		if r.IntN(2) == 0 { // most updates leave the lanes alone
			k.ParallelizationFactor, k.TumblingWindowSeconds = w.config.ParallelizationFactor,
				w.config.TumblingWindowSeconds
		}
		w.update(k)
	case n < 50:
		w.enable(!w.enabled)
	case n < 55 && !w.knobs.rough():
		w.trim()
	case n < 63:
		w.reshard()
	case n < 75:
		w.slots = pick(r, 0, 1, 1, 2, 4, -1)
		w.note("%d slots", w.slots)
		w.disturb(0)
		w.p.functions.change(func() { w.p.functions.limit = w.slots })
	case n < 80:
		w.note("the function changes")
		w.disturb(0)
		w.p.functions.change(func() {})
	case n < 83:
		w.note("the function is gone for a moment")
		w.disturb(0)
		w.p.functions.change(func() { w.p.functions.missing = true })
		pause(upTo(r, 2*time.Second))
		w.disturb(0)
		w.p.functions.change(func() { w.p.functions.missing = false })
	case n < 92: // others want slots, too, and do not take at once what they are offered
		p, d, slow := w.p, upTo(r, 3*time.Second)+1, upTo(r, 1500*time.Millisecond)+1
		for range 1 + r.IntN(3) {
			w.pending.Go(func() { p.functions.occupy(d, slow) })
		}
	case n < 93 && w.knobs.backlog == 0 && !w.knobs.rough():
		w.outage()
	}
}

// extra does something of what a world has beside, if it has something and its turn has come.
func (w *world) extra() bool {
	r := w.more
	var of []func()
	if w.knobs.filtered {
		of = append(of, w.refilter, w.refilter, w.refilter, w.spoil, w.overQuota)
	}
	if w.knobs.qualified {
		of = append(of, w.moveAlias, w.moveAlias, w.loseAlias, w.requalify)
	}
	if w.knobs.recreated {
		of = append(of, w.recreate)
	}
	if len(of) == 0 || r.IntN(3) > 0 {
		return false
	}
	of[r.IntN(len(of))]()
	return true
}

// pace and streamPace are how long things take.
func (w *world) pace() (p engine.Pace) {
	if w.knobs.paced {
		p = engine.AWSPace()
	}
	return p
}

func (w *world) streamPace() (p stream.Pace) {
	if w.knobs.paced {
		p = stream.AWSPace()
	}
	return p
}

// outage lets nothing be processed for longer than records are kept. It is the product's clock that jumps, as a user
// may let it.
func (w *world) outage() {
	w.note("nothing is processed for longer than records are kept")
	f := w.p.functions
	f.change(func() { f.limit = 0 })
	pause(20 * time.Second) // invocations end
	w.mu.Lock()
	w.offset.Add(int64(w.kept + upTo(w.rng, 2*time.Hour)))
	w.mu.Unlock()
	w.p.clock.SetOffset(time.Duration(w.offset.Load()))
	pause(upTo(w.rng, 3*time.Minute)) // the sweeper comes by
	w.disturb(0)
	f.change(func() { f.limit = w.slots })
}

// update changes the mapping, again and again until it is known that it did.
func (w *world) update(k mapping.Knobs) {
	rebuilt := *k.ParallelizationFactor != *w.config.ParallelizationFactor ||
		*k.TumblingWindowSeconds != *w.config.TumblingWindowSeconds
	w.mu.Lock()
	in := k
	if w.knobs.filtered {
		if same := list(w.sieve.patterns()) == w.stored; !same && len(w.sieve) > w.quota {
			w.sieve = w.sieve[:w.quota]
		}
		k.Filters = w.sieve.patterns()
		if in.Filters = k.Filters; list(k.Filters) == w.stored && (len(w.sieve) > w.quota || w.more.IntN(2) == 0) {
			in.Filters = nil // what is not sent stays
		}
		w.stored = list(k.Filters)
	}
	w.logf("config %+v %s", core(k), k.Filters)
	w.mu.Unlock()
	w.config = k
	w.configured(k, rebuilt)
	w.change(mapping.UpdateInput{Knobs: in})
	w.configured(k, rebuilt)
}

func (w *world) enable(on bool) {
	w.note("enabled %t", on)
	w.disturb(attempts)
	w.enabled = on
	w.change(mapping.UpdateInput{Knobs: mapping.Knobs{Enabled: &on}})
	w.disturb(attempts)
}

// change makes an Update until it succeeds or the process dies; what a crash undoes is done again.
func (w *world) change(in mapping.UpdateInput) {
	var last error
	for range 200 {
		_, _, err := w.p.nodes[0].mappings.Update(context.Background(), caller, w.uuid(), in)
		last = err
		if w.p.dead.Load() { // what it did may be behind the moment that the crash keeps, whatever it returned
			<-w.p.died
			w.crashed()
			continue
		}
		if err == nil {
			return
		}
		w.linger(time.Second)
	}
	w.say("the mapping cannot be changed for minutes: %v", last)
}

// trim lets retention take a part of a shard before its time.
func (w *world) trim() {
	p := w.p
	w.mu.Lock()
	sh := w.shards[record.ShardID(w.rng.IntN(len(w.shards)))]
	if sh == nil || len(sh.book.Records) == 0 {
		w.mu.Unlock()
		return
	}
	before := sh.book.Records[w.rng.IntN(len(sh.book.Records))].Pos
	sh.trimmed = max(sh.trimmed, before)
	sh.book.Trim(before)
	w.logf("shard %d is trimmed to %d", sh.id, before)
	w.mu.Unlock()
	_ = p.store.Log().Trim(context.Background(), storage.Shard{Stream: w.stream, Index: sh.id}, before)
}
