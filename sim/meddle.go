package sim

import (
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// produce puts records, in bursts, while the world is busy.
func (w *world) produce() {
	if w.calm {
		return
	}
	s := w.shards[w.rng.IntN(len(w.shards))]
	if !s.closed && len(s.log) < 80 {
		for range 1 + w.rng.IntN(pick(w, 2, 4, 12)) {
			w.put(s)
		}
		w.news(s)
	}
	w.in(w.upTo(4*time.Second), w.produce)
}

func (w *world) put(s *shard) {
	pos := s.next + record.Position(w.rng.IntN(3))
	s.next = pos + 1
	key := record.HashKey{byte(w.rng.IntN(8) * 32)} // eight keys, spread over the range
	arrival := record.MillisOf(w.now.Add(-w.upTo(w.skew + 1)))
	r := record.Record{
		Pos: pos, Arrival: arrival, Key: "k", Hash: key, Explicit: true, Data: make([]byte, w.rng.IntN(20)),
	}
	if w.rng.IntN(4000) == 0 { // a payload holds two of these, or none
		r.Data = make([]byte, pick(w, 3_000_000, 7_000_000))
	}
	s.log = append(s.log, r)
	s.book.Accept(&r, format{}.RecordSize(&r), w.rng.IntN(25) == 0)
}

// news answers a Fetch that waits for something new.
func (w *world) news(s *shard) {
	if s.runner != nil && s.runner.waits {
		s.runner.waits = false
		s.runner.fetchSoon()
	}
}

// meddle does something to the world every few seconds.
func (w *world) meddle() {
	if w.calm {
		return
	}
	switch n := w.rng.IntN(100); {
	case n < 18:
		w.crash()
	case n < 24:
		w.takeOver(w.shards[w.rng.IntN(len(w.shards))])
	case n < 40:
		c := w.anyConfig()
		if w.rng.IntN(2) == 0 { // most updates leave the lanes alone
			c.Factor, c.TumblingWindow = w.cfg.Factor, w.cfg.TumblingWindow
		}
		w.reconfigure(c)
	case n < 48:
		w.tracef("the mapping is disabled")
		w.mappingStep(esm.Desired{Pending: esm.Disabling})
		p := w.process
		w.in(w.upTo(40*time.Second), func() {
			if w.process == p {
				w.mappingStep(esm.AbandonDue{})
			}
		})
	case n < 53:
		w.retain(w.shards[w.rng.IntN(len(w.shards))])
	case n < 60 && len(w.shards) < 6:
		w.reshard()
	case n < 72:
		w.slots = w.rng.IntN(8)
		w.tracef("%d slots", w.slots)
		w.freeSlots()
	case n < 78:
		w.tracef("the function changes")
		for _, s := range w.shards {
			if s.runner != nil {
				s.runner.step(esm.Nudge{})
			}
		}
	}
	w.in(w.upTo(6*time.Second), w.meddle)
}

// crash kills the process. What was on its way may still happen to storage, destination and function, but nobody hears
// of it.
func (w *world) crash() {
	w.crashes++
	w.tracef("crash")
	for _, s := range w.shards {
		s.runner = nil
	}
	w.boot()
}

// takeOver starts a second machine on a shard while the first one still believes that it owns it.
func (w *world) takeOver(s *shard) {
	if s.runner == nil {
		return
	}
	w.tracef("shard %d is taken over", s.id)
	s.runner.stale = true
	s.saved.revision++ // the taker writes its epoch before it reads
	w.start(s)
}

func (w *world) reconfigure(c esm.Config) {
	w.tracef("config %+v", c)
	w.cfg = c
	w.configs = append(w.configs, c)
	for _, s := range w.shards {
		if s.runner != nil {
			s.runner.seen.configs = append(s.runner.seen.configs, c)
			s.runner.step(esm.Reconfigured{Config: c})
		}
	}
}

// retain lets retention take a part of a shard.
func (w *world) retain(s *shard) {
	if len(s.log) == 0 {
		return
	}
	i := w.rng.IntN(len(s.log))
	if w.now.Sub(s.log[i].Arrival.Time()) < 30*time.Second {
		return
	}
	s.oldest = max(s.oldest, s.log[i].Pos)
	w.tracef("shard %d is trimmed to %d", s.id, s.oldest)
	s.book.Trim(s.oldest)
	if s.runner != nil && w.rng.IntN(3) > 0 { // else the machine finds out by reading
		s.runner.step(esm.Horizon{Oldest: s.oldest})
	}
}

func (w *world) closeShard(s *shard) {
	if !s.closed {
		w.tracef("shard %d is closed", s.id)
		s.closed = true
		w.news(s)
	}
}

// reshard splits a shard, or merges two.
func (w *world) reshard() {
	var open []*shard
	for _, s := range w.shards {
		if !s.closed {
			open = append(open, s)
		}
	}
	if len(open) == 0 {
		return
	}
	a := open[w.rng.IntN(len(open))]
	parents := []record.ShardID{a.id}
	w.closeShard(a)
	if b := open[w.rng.IntN(len(open))]; b != a {
		w.closeShard(b)
		parents = append(parents, b.id)
	} else {
		w.addShard(parents)
	}
	w.addShard(parents)
	w.list()
}
