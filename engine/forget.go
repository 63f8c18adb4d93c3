package engine

import (
	"maps"
	"slices"

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
