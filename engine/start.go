package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// startShard makes the runner of a shard from its checkpoint, or from where the mapping starts. A checkpoint is claimed
// before anything is read, unless no other owner can have had the shard.
func (r *mappingRunner) startShard(id record.ShardID, epoch uint64) {
	sh := r.listed[id]
	if r.unusable != nil {
		r.problem(id, epoch, "PROBLEM: The filter criteria cannot be used: "+r.unusable.Error())
		r.unfiltered[id] = epoch
		return
	}
	take := r.e.o.Checkpoints.Claim
	if r.grants[id].Standing {
		take = r.e.o.Checkpoints.Resume
	}
	held, err := take(r.ctx, r.m.UUID, id, epoch, r.m.Starts[id])
	if errors.Is(err, storage.ErrConflict) {
		r.log.Warn("another owner has the shard; waiting for the next grant", "shard", id.String(), "error", err)
		r.done(startOf(id))
		r.fenced(id)
		r.step(esm.ShardFinished{Shard: id, Reason: esm.Fenced})
		return
	}
	if err == nil && !r.grants[id].Standing {
		var stands bool
		if stands, err = r.e.o.Mappings.Stands(r.ctx, r.uuid); err == nil && !stands {
			// The engine that decides forgets a deleted mapping without waiting for the others, so one that is told
			// late finds no checkpoint, and would begin the shard from its start. Its release is on the way; what was
			// claimed goes with the mapping, or when this engine hears that the mapping is gone.
			r.done(startOf(id))
			return
		}
	}
	if err == nil {
		err = r.foreign(id, &held)
	}
	if errors.Is(err, storage.ErrCorrupt) {
		r.done(startOf(id))
		r.log.Error("the shard stands still: its checkpoint cannot be used, and is left as it is", "shard", id.String(),
			"error", err)
		r.problem(id, epoch, "PROBLEM: "+err.Error()+". It is left as it is: run the shardmill that wrote it, or restore "+
			"a backup of the data directory; or delete this mapping and create it anew")
		return
	}
	if err != nil {
		r.log.Error("the shard waits: its checkpoint cannot be read or claimed; trying again", "shard", id.String(),
			"error", err)
		r.problem(id, epoch, "PROBLEM: The checkpoint of "+id.String()+" cannot be read")
		r.again(startOf(id), func() { r.startShard(id, epoch) })
		return
	}
	r.done(startOf(id))
	r.overcome(id, epoch)
	who, unreadable, keptOutOf := r.identity(id), r.m.Unreadable(), r.m.KeptOut(id)
	seed := fnv.New64a()
	_, _ = seed.Write([]byte(r.m.UUID + id.String()))
	meter := newMeter(r.e.o.Metrics, &r.m, r.target.Ref, &r.counts)
	r.meter = meter
	observe := func(o Observation) {
		meter.observe(&o)
		r.observe(o, epoch)
	}
	s := &shardRunner{
		e: r.e, id: who, target: r.target, meter: meter, src: r.src, log: r.log.With("shard", id.String()),
		x:     NewExecutor(who, r.core(), sh.Range, r.src.Format(id, r.role), held.Checkpoint, seed.Sum64(), observe),
		inbox: newInbox[posted](&r.e.active), epoch: epoch, revision: held.Revision,
		calls: map[uint64]context.CancelFunc{}, waiters: map[int]*waiter{},
	}
	s.x.Share(r.e.budget)
	s.x.Filter(r.filter)
	if r.e.o.Trace != nil {
		cfg := sized(r.core(), r.src.Format(id, r.role))
		s.x.Trace(r.e.o.Trace(Machine{who, cfg, held.Checkpoint, seed.Sum64(), sh.Range}))
	}
	s.ctx, s.cancel = context.WithCancel(r.ctx)
	if r.m.Destination != "" {
		if s.send, err = r.e.o.Destinations.Open(r.m.Destination); err != nil {
			r.log.Error("opening the destination; notices wait", "error", err)
		} else if s.send.Payload() {
			s.x.CarryPayload()
		}
	}
	s.broken = func(why string) {
		r.problem(id, epoch,
			"PROBLEM: "+id.String()+" is parked until it is restarted, because of a bug in shardmill: "+why)
	}
	s.hinder = func(h hindrance) {
		switch h {
		case denied:
			r.problem(id, epoch, unreadable)
		case keptOut:
			r.problem(id, epoch, keptOutOf)
		case unhindered:
			r.overcome(id, epoch)
		}
	}
	s.finish = func(reason esm.FinishReason) { r.inbox.post(func() { r.finished(id, reason) }) }
	r.shards[id] = s
	r.wg.Go(s.run)
}

// foreign returns storage.ErrCorrupt if a checkpoint cannot come from the shard as it is: it speaks of records that the
// shard never had, or of the end of a shard that is open. Going on from it would skip the records to come.
func (r *mappingRunner) foreign(id record.ShardID, held *checkpoint.Held) error {
	if held.Revision == storage.Absent {
		return nil
	}
	next, closed, err := r.src.Tip(r.ctx, id)
	if fault.CodeOf(err) == fault.CodeNotFound {
		return nil // the shard has expired, and reading it says so
	}
	if err != nil {
		return err
	}
	no := func(format string, args ...any) error {
		return fmt.Errorf("checkpoint of mapping %s on %s: %w: %s", r.uuid, id, storage.ErrCorrupt,
			fmt.Sprintf(format, args...))
	}
	if reach := held.Checkpoint.Reach(); reach >= next {
		return no("it speaks of record %d, and the next one of the shard will be %d", reach, next)
	}
	if held.Checkpoint.Ended && !closed {
		return no("it says that the shard has ended, and the shard is open")
	}
	return nil
}

func startOf(id record.ShardID) string { return "start " + id.String() }

// finished takes the end of a shard's machine.
func (r *mappingRunner) finished(id record.ShardID, reason esm.FinishReason) {
	if s := r.shards[id]; s.abandon != nil {
		s.abandon.Stop()
	}
	delete(r.shards, id)
	r.src.Release(id)
	switch reason {
	case esm.Released:
	case esm.Ended:
		r.settled[id] = true
	case esm.Fenced:
		r.fenced(id)
	}
	r.step(esm.ShardFinished{Shard: id, Reason: reason})
	if reason == esm.Ended && !r.parents[id] {
		r.list() // its children are not known yet
	}
}

// fenced says that another owner has a shard that this engine believed to have.
func (r *mappingRunner) fenced(id record.ShardID) {
	if g, owned := r.grants[id]; owned {
		r.problem(id, g.Epoch, "PROBLEM: "+id.String()+" is run by another process")
	}
}
