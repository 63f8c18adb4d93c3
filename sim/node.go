package sim

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// node is one process of the product with a mapping in it. Several over one store hand shards over to each other, and
// do not always know yet what they have lost.
type node struct {
	id      int
	life    int // grows with every crash: what an older life has started does not come back to it
	up      bool
	mapping *esm.Mapping
	runners []*runner
	starts  map[record.ShardID]*starting
	budget  *engine.Budget
	fn      functions
	awaits  bool // the ends of parents elsewhere are about to be looked at
}

// starting is a shard that is being claimed.
type starting struct{ release bool }

// grant is who owns a shard.
type grant struct {
	node  int
	epoch uint64
}

// boot starts the process: its machines go on from what is durable.
func (w *world) boot(n *node) {
	n.up, n.awaits = true, false
	n.mapping = &esm.Mapping{}
	n.starts = map[record.ShardID]*starting{}
	w.openFunctions(n)
	w.mappingStep(n, esm.Desired{Enabled: !w.disabled, Pending: esm.Creating, Guest: n.id > 0})
	w.list(n)
	for _, s := range w.shards {
		if s.owner.node == n.id {
			w.mappingStep(n, esm.Owned{Shard: s.id, Epoch: s.owner.epoch})
		}
	}
}

// crash kills a process. What was on its way may still happen to storage, destination and function, but the process
// does not hear of it.
func (w *world) crash(n *node) {
	w.crashes++
	w.tracef("node %d crashes", n.id)
	for _, r := range n.runners {
		r.close()
	}
	n.runners, n.up = nil, false
	n.life++
	w.judgeBudget(n)
	w.in(pick(w, 0, w.upTo(3*time.Second)), func() { w.boot(n) })
	for _, s := range w.shards {
		if s.owner.node == n.id && len(w.nodes) > 1 && w.rng.IntN(3) == 0 { // its lease was taken
			w.grant(s, w.nodes[1-n.id])
		}
	}
}

// alive does something later in the life that a process has now, or never.
func (w *world) alive(n *node, after time.Duration, do func()) {
	life := n.life
	w.in(after, func() {
		if n.life == life && n.up {
			do()
		}
	})
}

// grant gives a shard to a node under a new epoch.
func (w *world) grant(s *shard, to *node) {
	s.owner = grant{to.id, s.owner.epoch + 1}
	w.tracef("shard %d is granted to node %d under epoch %d", s.id, to.id, s.owner.epoch)
	owner := s.owner
	w.alive(to, w.upTo(100*time.Millisecond), func() {
		if s.owner == owner {
			w.mappingStep(to, esm.Owned{Shard: s.id, Epoch: owner.epoch})
		}
	})
}

// takeOver gives a shard to another node, or to the same under a later epoch. The old owner learns of it before, after,
// or only when its next checkpoint is refused.
func (w *world) takeOver(s *shard) {
	old, to := w.nodes[s.owner.node], w.nodes[w.rng.IntN(len(w.nodes))]
	if old == to || w.rng.IntN(4) == 0 {
		w.grant(s, to)
		return
	}
	lost := func(after time.Duration) {
		w.alive(old, after, func() {
			if s.owner.node != old.id {
				w.tracef("node %d loses shard %d", old.id, s.id)
				w.mappingStep(old, esm.Lost{Shard: s.id})
			}
		})
	}
	if w.rng.IntN(2) == 0 { // as planned: it is let go first
		w.tracef("node %d is to let go of shard %d", old.id, s.id)
		epoch := s.owner.epoch
		w.mappingStep(old, esm.Lost{Shard: s.id})
		w.in(w.upTo(3*time.Second), func() {
			if s.owner.epoch == epoch {
				w.grant(s, to)
			}
		})
		return
	}
	w.grant(s, to)
	lost(w.upTo(20 * time.Second))
}

// list tells a mapping machine which shards there are.
func (w *world) list(n *node) {
	var l []esm.ListedShard
	var kept []record.ShardID
	for _, s := range w.shards {
		if s.saved.kept() {
			kept = append(kept, s.id)
		}
		if !s.expired {
			l = append(l, esm.ListedShard{ID: s.id, Parents: s.parents, Ended: s.saved.checkpoint.Ended})
		}
	}
	w.mappingStep(n, esm.ShardsListed{Shards: l, Kept: kept})
}

// changed has the processes that run find out which shards there are now, and which have ended.
func (w *world) changed() {
	for _, n := range w.nodes {
		w.alive(n, w.upTo(500*time.Millisecond), func() { w.list(n) })
	}
}

func (w *world) mappingStep(n *node, ev esm.MappingEvent) {
	if !n.up {
		return
	}
	for _, c := range slices.Clone(n.mapping.Step(ev)) {
		switch c := c.(type) {
		case esm.StartShard:
			w.judgeStart(w.shards[c.Shard])
			w.claim(n, w.shards[c.Shard], c.Epoch)
		case esm.ReleaseShard:
			w.tracef("node %d releases shard %d, abandon=%t", n.id, c.Shard, c.Abandon)
			w.release(n, c)
		case esm.Settle:
			w.tracef("mapping is %s", c.State)
			if c.State == esm.Disabled {
				w.enableSoon()
			}
		case esm.ForgetShard:
			w.forget(c.Shard)
		case esm.Forget:
		}
	}
	for _, p := range n.mapping.Awaits() {
		if w.shards[p].saved.checkpoint.Ended && !n.awaits { // its checkpoint is looked at again
			n.awaits = true
			w.alive(n, w.upTo(time.Second), func() {
				n.awaits = false
				w.list(n)
			})
		}
	}
}

// enableSoon switches the mapping on again after a while.
func (w *world) enableSoon() {
	w.in(w.upTo(5*time.Second), func() { w.desire(esm.Desired{Enabled: true, Pending: esm.Enabling}) })
}

// desire tells every process what the mapping shall be.
func (w *world) desire(d esm.Desired) {
	w.disabled = !d.Enabled
	for _, n := range w.nodes {
		d.Guest = n.id > 0
		w.mappingStep(n, d)
	}
}

// claim starts a shard as checkpoint.Claim does: it compares epochs, writes its own, and only then reads.
func (w *world) claim(n *node, s *shard, epoch uint64) {
	begun := &starting{}
	n.starts[s.id] = begun
	w.alive(n, w.upTo(50*time.Millisecond), func() {
		if s.saved.epoch > epoch {
			w.tracef("node %d claims shard %d under epoch %d too late", n.id, s.id, epoch)
			delete(n.starts, s.id)
			w.mappingStep(n, esm.ShardFinished{Shard: s.id, Reason: esm.Fenced})
			return
		}
		if s.saved.epoch < epoch {
			s.saved.epoch = epoch
			s.saved.revision++
		}
		revision := s.saved.revision
		w.alive(n, w.upTo(20*time.Millisecond), func() {
			delete(n.starts, s.id)
			if s.saved.revision != revision { // claimed again meanwhile
				w.mappingStep(n, esm.ShardFinished{Shard: s.id, Reason: esm.Fenced})
				return
			}
			if begun.release {
				w.mappingStep(n, esm.ShardFinished{Shard: s.id, Reason: esm.Released})
				return
			}
			w.start(n, s)
		})
	})
}

func (w *world) release(n *node, c esm.ReleaseShard) {
	if begun := n.starts[c.Shard]; begun != nil {
		begun.release = true
		return
	}
	for _, r := range n.runners {
		if r.s.id == c.Shard {
			r.seen.abandoned = r.seen.abandoned || c.Abandon
			r.step(esm.Release{Abandon: c.Abandon})
			return
		}
	}
}

// runners are the machines that run in any process, those included that another has taken over from.
func (w *world) runners() (all []*runner) {
	for _, n := range w.nodes {
		all = append(all, n.runners...)
	}
	return all
}

// on are those that run a shard.
func (w *world) on(s *shard) (some []*runner) {
	for _, n := range w.nodes {
		for _, r := range n.runners {
			if r.s == s {
				some = append(some, r)
			}
		}
	}
	return some
}
