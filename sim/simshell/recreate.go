package simshell

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/sim/book"
	"github.com/shardmill/shardmill/storage"
)

// uuid is the mapping of a world; one that is created again has another. What depends on chance in a mapping is seeded
// by it.
func (w *world) uuid() string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", w.generation.Load()+1)
}

// begins is where a mapping that is created again starts, as the judge knows it. The zero value is the oldest record.
type begins struct {
	latest bool
	open   bool                               // it is being created: what is put now is in it or is not
	at     record.Millis                      // what came before is not in it
	before map[record.ShardID]record.Position // with latest: what is below need not be in it
}

// recreate deletes the mapping while records come and attempts are in flight, and creates it again.
func (w *world) recreate() {
	w.count("the mapping is deleted")
	old := w.uuid()
	w.disturb(attempts)
	w.mu.Lock()
	w.leaving = true
	w.mu.Unlock()
	w.surely("deleted", func(p *process) bool {
		_, err := p.nodes[0].mappings.Delete(context.Background(), caller, old)
		return err == nil || fault.CodeOf(err) == fault.CodeNotFound
	})
	if w.more.IntN(4) == 0 && !w.p.dead.Load() {
		w.restart()
	}
	w.surely("gone", func(p *process) bool {
		_, err := p.nodes[0].mappings.Get(context.Background(), caller, old)
		return fault.CodeOf(err) == fault.CodeNotFound
	})
	if w.knobs.owners > 1 {
		w.linger(zombies) // another owner hears of it later
	}
	w.mu.Lock()
	w.absent = true
	w.mu.Unlock()
	w.linger(upTo(w.more, 5*time.Second))
	w.surely("forgotten", func(p *process) bool {
		kept, err := p.nodes[0].checkpoints.Shards(context.Background(), old)
		if err == nil && len(kept) > 0 && !p.dead.Load() {
			w.say("the mapping is deleted, and checkpoints of %v are kept", kept)
		}
		return err == nil
	})
	w.create()
}

// create creates the mapping again, somewhere in the stream.
func (w *world) create() {
	in := mapping.CreateInput{Knobs: w.config, EventSourceARN: ptr(w.sourceARN())}
	in.FunctionName, in.Enabled = ptr(w.target()), ptr(w.enabled)
	if w.knobs.filtered {
		in.Filters = w.sieve.patterns()
		if len(in.Filters) > w.quota {
			w.sieve = w.sieve[:w.quota]
			in.Filters = w.sieve.patterns()
		}
		w.config.Filters, w.stored = in.Filters, list(in.Filters)
	}
	var from begins
	switch w.more.IntN(3) {
	case 0:
		w.count("created at TRIM_HORIZON")
		in.StartingPosition = ptr(mapping.TrimHorizon)
	case 1:
		w.count("created at LATEST")
		in.StartingPosition = ptr(mapping.Latest)
		from = begins{latest: true, open: true, before: map[record.ShardID]record.Position{}}
	default:
		w.count("created at AT_TIMESTAMP")
		from.at = record.MillisOf(w.began.Add(upTo(w.more, w.now().Sub(w.began)+1)))
		in.StartingPosition, in.StartingPositionTimestamp = ptr(mapping.AtTimestamp), &from.at
	}
	w.mu.Lock()
	w.anew(from)
	w.logf("created again at %s %d", *in.StartingPosition, from.at)
	w.mu.Unlock()
	w.generation.Add(1)
	w.configured(w.config, false)
	w.surely("created", func(p *process) bool {
		_, _, err := p.nodes[0].mappings.Create(context.Background(), caller, in)
		if err != nil {
			_, err = p.nodes[0].mappings.Get(context.Background(), caller, w.uuid()) // an attempt before
		}
		return err == nil
	})
	w.configured(w.config, false)
	if from.latest {
		w.mu.Lock()
		ids := slices.Collect(maps.Keys(w.shards))
		w.mu.Unlock()
		for _, id := range ids {
			_, end, _, err := w.p.store.Log().Bounds(context.Background(), storage.Shard{Stream: w.stream, Index: id})
			w.mu.Lock()
			if err == nil {
				w.from.before[id] = end
			}
			w.mu.Unlock()
		}
		w.mu.Lock()
		w.from.open = false
		w.mu.Unlock()
	}
}

// surely does something until it is known to be done, in whatever process.
func (w *world) surely(what string, do func(*process) bool) {
	for range 300 {
		p := w.p
		done := do(p)
		if p.dead.Load() {
			<-p.died
			w.crashed()
			continue
		}
		if done || w.red.Load() {
			return
		}
		w.linger(time.Second)
	}
	w.say("the mapping is not %s within minutes", what)
}

// linger lets time pass, and goes on with another process when one dies.
func (w *world) linger(d time.Duration) {
	t := time.NewTimer(max(0, d))
	defer t.Stop()
	for {
		select {
		case <-w.p.died:
			w.crashed()
		case <-t.C:
			return
		}
	}
}

// anew begins the account again: of every record it is open what becomes of it, but for those that lie before the
// start of the mapping. w.mu is held.
func (w *world) anew(from begins) {
	w.from, w.leaving, w.absent = from, false, false
	w.configs, w.sieves, w.until = nil, nil, nil
	w.lost, w.tries, w.notices = map[string]int{}, map[string]*try{}, map[string]*notice{}
	w.called = map[string][]record.Position{}
	w.forgive(w.now())
	for _, sh := range w.shards {
		sh.durable, sh.epoch, sh.revision, sh.late, sh.flights = nil, 0, 0, false, nil
		for _, e := range sh.book.Records {
			f := sh.facts[e.Pos]
			*f = fact{id: f.id}
			e.Done, e.Noticed, e.Dropped, e.Lost, e.Out = false, false, false, false, false
			e.Windowed, e.Plain, e.Reported, e.Excused = false, false, false, false
			w.begun(sh, e, f)
			f.never = f.early && w.sent[f.id].acked
		}
	}
}

// begun leaves a record out that lies before the start of the mapping, or may. w.mu is held.
func (w *world) begun(sh *shard, e *book.Entry, f *fact) {
	switch {
	case w.from.latest && (w.from.open || e.Pos < w.from.before[sh.id]), e.Own < w.from.at:
		e.Out, f.early = true, true
	}
}
