package simshell

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/sim/book"
	"github.com/shardmill/shardmill/storage"
)

// judgeSave checks a checkpoint as it is given to the store: it passes nothing that has not come to an end.
func (w *world) judgeSave(p *process, ops []storage.Op) (record.ShardID, *esm.Checkpoint, uint64) {
	cp, epoch, _, err := checkpoint.Decode(ops[0].Value)
	name := ops[0].Key[strings.LastIndexByte(ops[0].Key, '/')+1:]
	n, err2 := strconv.ParseUint(name, 10, 32)
	w.mu.Lock()
	defer w.mu.Unlock()
	sh := w.shards[record.ShardID(n)]
	if p.dead.Load() || sh == nil {
		return 0, nil, 0
	}
	if err != nil || err2 != nil {
		w.complain("a checkpoint at %s that cannot be read: %v", ops[0].Key, err)
		return 0, nil, 0
	}
	for _, e := range sh.book.Records {
		if e.Pos <= sh.marked(&cp, e.Key) && !w.resolved(sh, e) {
			w.complain("shard %d: the checkpoint passes record %d, which has not come to an end", sh.id, e.Pos)
			break
		}
	}
	return sh.id, &cp, epoch
}

// judgeDurable checks that what is durable only moves on.
func (w *world) judgeDurable(p *process, id record.ShardID, cp *esm.Checkpoint, epoch uint64,
	revision storage.Revision,
) {
	w.mu.Lock()
	defer w.mu.Unlock()
	sh := w.shards[id]
	if p.dead.Load() || revision <= sh.revision {
		return
	}
	old := sh.durable
	back := old != nil && (cp.Low < old.Low || cp.Generation < old.Generation || old.Ended && !cp.Ended)
	// One engine forgets a deleted mapping while another, which has not heard of it, claims a shard, and hears before
	// it begins.
	claim := w.leaving && cp.Batches == 0 && cp.Lanes == nil && epoch > sh.epoch
	switch {
	case w.absent:
		w.complain("shard %d: a checkpoint at %d is saved, and there is no mapping", sh.id, cp.Low)
	case sh.late && !claim:
		w.complain("shard %d: the mapping was deleted, and is begun anew and saved at %d", sh.id, cp.Low)
	case back && !claim:
		w.complain("shard %d: the durable checkpoint goes back from %d to %d", sh.id, old.Low, cp.Low)
	}
	sh.late = sh.late || back && claim
	if epoch < sh.epoch {
		w.complain("shard %d: a checkpoint of epoch %d is written over one of epoch %d", sh.id, epoch, sh.epoch)
	}
	sh.durable, sh.epoch, sh.revision = cp, epoch, revision
}

// judgeReopened checks what a process finds when it begins: everything that was acknowledged, everything that a
// function saw, and no checkpoint older than one that was durable.
func (w *world) judgeReopened(p *process) {
	ctx := context.Background()
	w.mu.Lock()
	ids := make([]record.ShardID, 0, len(w.shards))
	for id := range w.shards {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	slices.Sort(ids)
	for _, id := range ids {
		there := map[record.Position]uint64{}
		var found []record.Record
		key := storage.Shard{Stream: w.stream, Index: id}
		oldest, _, _, err := p.store.Log().Bounds(ctx, key)
		if err == nil {
			_, _, err = p.store.Log().Scan(ctx, key, oldest, storage.Limit{},
				func(r record.Record) { found = append(found, r) })
		}
		h, saved, err2 := p.nodes[0].checkpoints.Load(ctx, w.uuid(), id)
		w.mu.Lock()
		sh := w.shards[id]
		if err != nil || err2 != nil {
			w.complain("shard %d cannot be read after a start: %v, %v", id, err, err2)
			w.mu.Unlock()
			continue
		}
		for i := range found {
			n, err := idOf(found[i].Data)
			if err != nil {
				w.complain("shard %d at %d: %v", id, found[i].Pos, err)
				continue
			}
			there[found[i].Pos] = n
			w.entry(sh, n, found[i].Pos, found[i].Arrival, 0)
		}
		w.judgePushed(id, oldest, there)
		for _, e := range sh.book.Records {
			f := sh.facts[e.Pos]
			if _, ok := there[e.Pos]; ok || e.Pos < oldest {
				continue
			}
			switch {
			case w.sent[f.id].acked:
				w.complain("shard %d: record %d was acknowledged and is gone", id, e.Pos)
			case f.first > 0:
				w.complain("shard %d: record %d was delivered and is gone", id, e.Pos)
			}
		}
		forgotten := (sh.closed || sh.expired) && !saved || w.leaving
		if sh.durable != nil && !forgotten && h.Revision < sh.revision {
			w.complain("shard %d: a checkpoint that was saved is gone: %d instead of %d", id, h.Revision, sh.revision)
		}
		if saved {
			sh.durable, sh.epoch, sh.revision = &h.Checkpoint, h.Epoch, h.Revision
		}
		sh.flights = nil
		w.mu.Unlock()
	}
	if w.knobs.consumed {
		w.judgeConsumers(p)
	}
}

// open1 is the first promise that is not kept yet, or "".
func (w *world) open1() string {
	live := map[record.ShardID]bool{}
	info, err := w.p.streams.Lookup(context.Background(), orders)
	if err != nil {
		return err.Error()
	}
	for i := range info.Shards {
		live[info.Shards[i].ID] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(w.shards)) { // one may have expired before anything was heard of it
		sh := w.shards[id]
		for _, e := range sh.book.Records {
			if !w.resolved(sh, e) {
				return fmt.Sprintf("record %d of shard %d never comes to an end", e.Pos, id)
			}
			if live[id] && e.Pos > sh.marked(sh.durable, e.Key) && !w.gone(sh, e) && !sh.facts[e.Pos].early {
				return fmt.Sprintf("record %d of shard %d has come to an end, and no checkpoint passes it", e.Pos, id)
			}
			if e.Windowed && !e.Plain && !w.reported(sh, e) {
				return fmt.Sprintf("record %d of shard %d was aggregated, and no end of a window has it", e.Pos, id)
			}
		}
		if cp := sh.durable; live[id] && cp != nil && cp.Window != nil && cp.Window.Last != 0 {
			return fmt.Sprintf("the window of shard %d from %d never got its final invocation", id, cp.Window.Start)
		}
	}
	return ""
}

// reported reports whether what was aggregated has come to the end of a window, or was given up as configured. w.mu is
// held.
func (w *world) reported(sh *shard, e *book.Entry) bool {
	f := sh.facts[e.Pos]
	if e.Reported || e.Excused || e.Noticed || e.Dropped || e.Lost || w.gone(sh, e) || w.excluded(e, f) {
		return true
	}
	retries, age, _ := w.limits()
	e.Excused = f.ends && (retries >= 0 || age > 0) || age > 0 && e.Age(w.now()) >= age
	return e.Excused
}

// judgeProbe checks that everything that was put has been processed by now.
func (w *world) judgeProbe(within time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sh := range w.shards {
		for _, e := range sh.book.Records {
			e.Out = e.Out || !e.Settled() && w.excluded(e, sh.facts[e.Pos])
		}
		if e := sh.book.Unsettled(record.MaxPosition, true, 0, nil); e != nil {
			w.complain("shard %d: record %d is not processed %s after it was put, and nothing holds it up", sh.id,
				e.Pos, within)
			return
		}
	}
}

// judgeIdle checks that nothing stands in a line when there is nothing to do. w.mu is held.
func (w *world) judgeIdle(p *process) {
	if waiters, flights := p.functions.enrolled(); waiters > 0 || flights > 0 {
		w.complain("%d lanes stand in the line and %d invocations run, and there is nothing to do", waiters, flights)
	}
}

// judgeStopped checks that an engine that has stopped holds on to nothing.
func (w *world) judgeStopped(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range p.nodes {
		if bytes := n.engine.Buffered(); bytes != 0 {
			w.complain("%d bytes of the buffer memory are taken after the end", bytes)
		}
		if !n.engine.Idle() {
			w.complain("something counts as under way after the end")
		}
	}
	if waiters, flights := p.functions.enrolled(); waiters > 0 || flights > 0 {
		w.complain("%d lanes stand in the line and %d invocations run after the end", waiters, flights)
	}
}

// judgeEnd checks what is durable at the end.
func (w *world) judgeEnd(p *process) {
	info, err := p.streams.Lookup(context.Background(), orders)
	if err != nil {
		w.say("the stream is gone: %v", err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range info.Shards {
		sh := w.shards[info.Shards[i].ID]
		last := record.Position(0)
		order := map[byte]*book.Entry{}
		for _, e := range sh.book.Records {
			if !w.resolved(sh, e) {
				w.complain("shard %d: record %d never came to an end", sh.id, e.Pos)
			}
			f := sh.facts[e.Pos]
			if e.Out && !f.early {
				w.rep.Events["a record is left out"]++
			}
			if before := order[e.Key]; f.first > 0 && before != nil && sh.facts[before.Pos].first > f.first {
				w.complain("shard %d: record %d came for the first time before %d, which has the same key", sh.id,
					e.Pos, before.Pos)
			}
			if f.first > 0 && !w.excluded(e, f) { // left out at first, it may come after those behind it
				order[e.Key] = e
			}
			if !w.gone(sh, e) && !f.early {
				last = e.Pos
			}
		}
		cp := sh.durable
		switch {
		case cp == nil && last > 0:
			w.complain("shard %d has no checkpoint", sh.id)
		case cp == nil:
		case cp.Low < last:
			w.complain("shard %d: everything came to an end up to %d, and is saved up to %d", sh.id, last, cp.Low)
		case sh.closed && !sh.expired && !cp.Ended:
			w.complain("shard %d is closed and everything of it came to an end, and it has not ended", sh.id)
		case cp.Window != nil && cp.Window.Last != 0:
			w.complain("shard %d: the window from %d never got its final invocation", sh.id, cp.Window.Start)
		}
	}
}
