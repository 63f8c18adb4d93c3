package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
)

// kept are the shards of which something is kept. An error shows again at the next listing.
func (r *mappingRunner) kept() []record.ShardID {
	kept, err := r.e.o.Checkpoints.Shards(r.ctx, r.m.UUID)
	if err != nil {
		r.log.Warn("listing checkpoints; those of expired shards stay for now", "error", err)
	}
	for id := range r.m.Starts {
		if !slices.Contains(kept, id) {
			kept = append(kept, id)
		}
	}
	slices.Sort(kept)
	return kept
}

// forgetting is what forgetShards is tried again as.
const forgetting = "forget shards"

// forgetShards lets go of shards that have expired: first of their checkpoints, so that a crash in between leaves
// shards to be forgotten again. Thousands can expire at once, and the mapping is written as a whole: so it is one call
// for all of them.
func (r *mappingRunner) forgetShards() {
	ids := slices.Sorted(maps.Keys(r.expired))
	err := r.e.o.Checkpoints.ForgetShards(r.ctx, r.uuid, ids)
	if err == nil {
		err = r.e.o.Mappings.ForgetShards(r.ctx, r.uuid, ids)
	}
	if err != nil {
		r.log.Warn("forgetting expired shards; trying again", "shards", len(ids), "error", err)
		r.again(forgetting, r.forgetShards)
		return
	}
	r.done(forgetting)
	for _, id := range ids {
		delete(r.settled, id)
		r.problems.clear(id)
	}
	clear(r.expired)
}

// forget ends a deleted mapping: first its checkpoints go, then the mapping itself, so that a crash in between leaves a
// mapping to be deleted again.
func (r *mappingRunner) forget() {
	if r.stopping || r.early(r.forget) {
		return // if it stops, it is deleted at the next start
	}
	err := r.e.o.Checkpoints.Forget(r.ctx, r.m.UUID)
	if err == nil {
		err = r.e.o.Mappings.Removed(r.ctx, r.m.UUID)
	}
	if err != nil {
		r.log.Error("forgetting a deleted mapping; trying again", "error", err)
		r.again("forget", r.forget)
		return
	}
	r.m = mapping.Mapping{}
}

// leftovers are checkpoints of mappings that are not kept any more: claimed by an engine that had not heard yet, after
// the one that decides had forgotten the mapping. Each engine forgets its own once it has heard; what a process that
// died before has left, the next one finds when it starts. Not safe for concurrent use.
type leftovers struct {
	checkpoints *checkpoint.Store
	looked      bool
	of          map[string]bool // by UUID of the mapping
}

// forgetAgain is how long, in real time, it takes to try again what could not be forgotten.
const forgetAgain = time.Second

// look finds whose checkpoints there are, once. Mappings are read after it, or one that has just been made would be
// taken for one that is gone.
func (l *leftovers) look(ctx context.Context) error {
	if l.looked {
		return nil
	}
	uuids, err := l.checkpoints.Mappings(ctx)
	for _, uuid := range uuids {
		l.of[uuid] = true
	}
	l.looked = err == nil
	return err
}

// forget deletes what is left of those that are not kept any more.
func (l *leftovers) forget(ctx context.Context, kept func(uuid string) bool) error {
	for uuid := range l.of {
		if !kept(uuid) {
			if err := l.checkpoints.Forget(ctx, uuid); err != nil {
				return err
			}
		}
		delete(l.of, uuid)
	}
	return nil
}
