package engine

import (
	"context"
	"slices"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// Ownership says what an engine may run. It is an input: the engine does not ask for shards and keeps no lease, it runs
// what it is granted and lets go of what it is not granted any more. Safe for concurrent use; no method may wait.
type Ownership interface {
	// Owned returns the grant under which the engine runs a shard of a stream; ok is false when it has none.
	Owned(stream uint32, shard record.ShardID) (g Grant, ok bool)
	// Decides reports that this engine, of all that run shards of a mapping, is the one that decides its State, and
	// forgets what is kept of expired shards and of the mapping when it is deleted.
	Decides(mapping string) bool
	// Changed is closed at the next change of what the other two return, for shards of a stream and mappings of it.
	// Take it before them. nil: they never change.
	Changed(stream uint32) <-chan struct{}
}

// Grant is the right to run a shard for every mapping of its stream.
type Grant struct {
	// Epoch is in every checkpoint that is written under the grant. No two owners of a shard ever have the same, and a
	// later owner has a higher one.
	Epoch uint64
	// Standing says that no other owner can have had the shard since its checkpoints were written: they are gone on
	// from as they are. Otherwise each is claimed, which is a commit, before anything is read.
	Standing bool
}

// Everything is the ownership of an engine that has a store for itself: every shard, under the epoch of the store. A
// start of it claims nothing and writes nothing.
func Everything(epoch uint64) Ownership { return everything{Grant{Epoch: epoch, Standing: true}} }

type everything struct{ grant Grant }

func (e everything) Owned(uint32, record.ShardID) (Grant, bool) { return e.grant, true }
func (everything) Decides(string) bool                          { return true }
func (everything) Changed(uint32) <-chan struct{}               { return nil }

// own tells the machine what has changed about what is owned of the listed shards.
func (r *mappingRunner) own() {
	o := r.e.o.Ownership
	r.ownership = o.Changed(r.m.Stream)
	for _, id := range r.order {
		g, owned := o.Owned(r.m.Stream, id)
		held, had := r.grants[id]
		switch {
		case owned && (!had || g.Epoch > held.Epoch):
			r.grants[id] = g
			r.step(esm.Owned{Shard: id, Epoch: g.Epoch})
		case !owned && had:
			delete(r.grants, id)
			if r.shards[id] == nil { // whatever is wrong with it is another owner's business now
				r.overcome(id, held.Epoch)
			}
			r.step(esm.Lost{Shard: id})
		}
	}
	if guest := !o.Decides(r.uuid); guest != r.guest {
		r.guest = guest
		if r.desired {
			r.desire()
		}
	}
}

// await keeps an eye on the parents whose end shards of this engine wait for and that run elsewhere.
func (r *mappingRunner) await() {
	parents := r.machine.Awaits()
	for id, cancel := range r.awaited {
		if r.stopping || !slices.Contains(parents, id) {
			cancel()
			delete(r.awaited, id)
		}
	}
	if r.stopping {
		return
	}
	for _, id := range parents {
		if r.awaited[id] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(r.ctx)
		r.awaited[id] = cancel
		r.wg.Go(func() { r.watch(ctx, id) })
	}
}

// Pauses between two looks at a checkpoint that another owner writes, in real time: its saves may come fast.
const (
	lookAgain    = 20 * time.Millisecond
	lookAgainBad = time.Second // after an error
)

// watch waits until the checkpoint of a shard says that it has ended.
func (r *mappingRunner) watch(ctx context.Context, id record.ShardID) {
	for {
		changed := r.e.o.Checkpoints.Changed(r.uuid, id)
		h, found, err := r.e.o.Checkpoints.Load(ctx, r.uuid, id)
		if ctx.Err() != nil {
			return
		}
		pause := lookAgain
		switch {
		case err != nil:
			r.log.Warn("reading how far another owner is; trying again", "shard", id.String(), "error", err)
			pause = lookAgainBad
		case found && h.Checkpoint.Ended:
			r.inbox.post(func() {
				if ctx.Err() == nil { // it is still waited for
					r.settled[id] = true
					r.list()
				}
			})
			return
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
