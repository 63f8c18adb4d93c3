package sim

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/record"
)

// grain is where shards may be cut: hash keys here differ in their first byte alone, and shards are cut at multiples of
// it.
const grain = 8

// keyRange is the hash key range of a shard.
func (s *shard) keyRange() record.HashKeyRange {
	r := record.HashKeyRange{Start: record.HashKey{s.lo}, End: record.MaxHashKey}
	r.End[0] = s.hi
	return r
}

// laneOf is the lane of a key under a factor: the range of the shard in equal parts.
func (s *shard) laneOf(key byte, factor int) int {
	return (int(key) - int(s.lo)) * factor / (int(s.hi) - int(s.lo) + 1)
}

// anyKey draws a key of the shard: mostly one of eight that are spread over all shards, so that keys come again after
// reshards.
func (s *shard) anyKey(w *world) byte {
	step := 32
	if int(s.hi)-int(s.lo) < 2*step || w.rng.IntN(8) == 0 {
		step = grain
	}
	first := (int(s.lo) + step - 1) / step
	last := int(s.hi) / step
	return byte((first + w.rng.IntN(last-first+1)) * step)
}

// open are the shards that take records, in order of their keys.
func (w *world) open() (some []*shard) {
	for _, s := range w.shards {
		if !s.closed {
			some = append(some, s)
		}
	}
	slices.SortFunc(some, func(a, b *shard) int { return int(a.lo) - int(b.lo) })
	return some
}

// reshard changes the shards once or several times in a row, so that shards close that nothing has read yet, or that
// never held a record.
func (w *world) reshard() {
	before := len(w.shards)
	for range pick(w, 1, 1, 2, 3) {
		open := w.open()
		if len(open) == 0 || len(w.shards) > 24 {
			break
		}
		i := w.rng.IntN(len(open))
		switch n := w.rng.IntN(10); {
		case n < 4 && len(open) < 6:
			w.splitAt(open[i], w.anyCut(open[i]))
		case n < 7 && i+1 < len(open):
			w.merge(open[i], open[i+1])
		case n >= 7:
			w.rescale(min(6, 1+w.rng.IntN(2*len(open))))
		}
		w.saw("reshard")
	}
	if len(w.shards) == before {
		return
	}
	w.changed()
	for _, s := range w.shards[before:] {
		w.grant(s, w.nodes[s.owner.node])
	}
}

// anyCut draws where the upper part of a shard begins; 0: it cannot be cut.
func (w *world) anyCut(s *shard) byte {
	parts := (int(s.hi) - int(s.lo) + 1) / grain
	if parts < 2 {
		return 0
	}
	return s.lo + byte(grain*(1+w.rng.IntN(parts-1)))
}

// splitAt divides a shard; at is where its upper part begins.
func (w *world) splitAt(s *shard, at byte) {
	if at <= s.lo {
		return
	}
	if len(s.parents) > 0 {
		w.saw("split of a child")
	}
	w.closeShard(s)
	w.addShard(s.lo, at-1, s.id)
	w.addShard(at, s.hi, s.id)
}

// merge makes one shard of two neighbours.
func (w *world) merge(a, b *shard) *shard {
	if a.saved.checkpoint.Ended != b.saved.checkpoint.Ended || a.saved.checkpoint.Low != b.saved.checkpoint.Low {
		w.saw("merge of parents that are not equally far")
	}
	w.closeShard(a)
	w.closeShard(b)
	return w.addShard(a.lo, b.hi, a.id, b.id)
}

// rescale brings the shards to so many equal ones, as UpdateShardCount does: it cuts at every new boundary, and merges
// what lies between two of them.
func (w *world) rescale(target int) {
	w.tracef("%d shards become %d", len(w.open()), target)
	w.saw("rescale")
	for n := range target {
		from, to := byte(n*256/grain/target*grain), byte((n+1)*256/grain/target*grain-1)
		for _, s := range w.open() {
			if s.lo < from && from <= s.hi {
				w.splitAt(s, from)
			}
		}
		for _, s := range w.open() {
			if s.lo <= to && to < s.hi {
				w.splitAt(s, to+1)
			}
		}
		var part *shard
		for _, s := range w.open() {
			switch {
			case s.lo < from || s.hi > to:
			case part == nil:
				part = s
			default:
				part = w.merge(part, s)
			}
		}
	}
}

// expire lets closed shards go that retention has emptied, if their parents are gone; nothing lists them any more.
func (w *world) expire() {
	before := w.events["shard expires"]
	for _, s := range w.shards {
		old := len(s.log) == 0 || w.now.Sub(s.log[len(s.log)-1].Arrival.Time()) > 5*time.Second
		if s.expired || !s.closed || !old || slices.ContainsFunc(s.parents, func(p record.ShardID) bool {
			return !w.shards[p].expired
		}) || w.rng.IntN(2) == 0 {
			continue
		}
		w.tracef("shard %d expires", s.id)
		w.saw("shard expires")
		if !s.saved.checkpoint.Ended {
			w.saw("shard expires before its end is reached")
			if slices.ContainsFunc(w.shards, func(c *shard) bool { return slices.Contains(c.parents, s.id) }) {
				w.saw("child waits for a shard that expires")
			}
		}
		s.expired, s.oldest = true, s.next
		s.book.Trim(s.oldest)
	}
	if w.events["shard expires"] > before {
		w.changed()
	}
}

// forget takes what is stored of a shard that has expired.
func (w *world) forget(id record.ShardID) {
	s := w.shards[id]
	if !s.expired {
		w.complain("shard %d is forgotten, and the stream lists it", id)
	}
	w.tracef("shard %d is forgotten", id)
	s.saved = durable{revision: s.saved.revision + 1}
}

// ancestors calls f for everything that a shard descends from.
func (w *world) ancestors(s *shard, f func(*shard)) {
	seen := map[record.ShardID]bool{}
	for older := slices.Clone(s.parents); len(older) > 0; older = older[1:] {
		if p := w.shards[older[0]]; !seen[p.id] {
			seen[p.id] = true
			older = append(older, p.parents...)
			f(p)
		}
	}
}

// judgeStart checks that a child waits for everything that it descends from.
func (w *world) judgeStart(s *shard) {
	w.ancestors(s, func(p *shard) {
		e := p.book.Unsettled(record.MaxPosition, true, 0, nil)
		if e != nil || !p.expired && !p.saved.checkpoint.Ended {
			w.complain("shard %d starts before %d, which it descends from, has ended", s.id, p.id)
		}
	})
}

// judgeLineage checks that nothing of a key is open in what a shard descends from.
func (w *world) judgeLineage(s *shard, key byte, at record.Position) {
	w.ancestors(s, func(p *shard) {
		if before := p.firstOf(key); before != nil {
			w.complain("record %d of shard %d is delivered before %d of shard %d, which has the same key", at, s.id,
				before.Pos, p.id)
		}
	})
}

// judgeForgotten checks that nothing is kept of shards that the stream no longer lists.
func (w *world) judgeForgotten() {
	for _, s := range w.shards {
		if s.expired && s.saved.kept() {
			w.complain("shard %d has expired, and what is stored of it stays", s.id)
		}
	}
}
