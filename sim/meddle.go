package sim

import (
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/record"
)

// produce puts records, in bursts, while the world is busy.
func (w *world) produce() {
	if w.calm {
		return
	}
	open := w.open()
	if len(open) == 0 { // they close as faults stop
		return
	}
	if s := open[w.rng.IntN(len(open))]; len(s.log) < w.most {
		burst := 1 + w.rng.IntN(pick(w, 2, 4, 12))
		if w.most > 1000 {
			burst = w.most / 2
		}
		for range burst {
			w.put(s)
		}
		w.news(s)
	}
	w.in(w.upTo(4*time.Second), w.produce)
}

func (w *world) put(s *shard) {
	pos := s.next + record.Position(w.rng.IntN(3))
	s.next = pos + 1
	key := record.HashKey{s.anyKey(w)}
	arrival := record.MillisOf(w.now.Add(-w.upTo(w.skew + 1)))
	size := pick(w, w.sizes...)
	if w.rng.IntN(3000) == 0 && w.most < 1000 { // a payload holds two of these, one, or none
		size = pick(w, 3_000_000, esm.MaxPayload-len(envelope)-recordHead, 7_000_000)
	}
	r := record.Record{Pos: pos, Arrival: arrival, Key: "k", Hash: key, Explicit: true, Data: dataOf(pos, size)}
	s.log = append(s.log, r)
	e := s.book.Accept(&r, w.format.RecordSize(&r), w.rng.IntN(max(25, w.most/20)) == 0)
	s.keys[e.Key] = append(s.keys[e.Key], e)
}

// news answers reads that wait for something new.
func (w *world) news(s *shard) {
	for _, r := range w.on(s) {
		if r.waits {
			r.waits = false
			r.read(r.fetch)
		}
	}
}

// meddle does something to the world every few seconds.
func (w *world) meddle() {
	if w.calm {
		return
	}
	switch n := w.rng.IntN(100); {
	case n < 18:
		if n := w.nodes[w.rng.IntN(len(w.nodes))]; n.up {
			w.crash(n)
		}
	case n < 26:
		w.takeOver(w.shards[w.rng.IntN(len(w.shards))])
	case n < 40:
		c := w.anyConfig()
		if w.rng.IntN(2) == 0 { // most updates leave the lanes alone
			c.Factor, c.TumblingWindow = w.cfg.Factor, w.cfg.TumblingWindow
		}
		if w.rng.IntN(2) == 0 {
			c.Filter = w.cfg.Filter
		}
		w.reconfigure(c)
	case n < 48:
		w.disable()
	case n < 53:
		w.retain(w.shards[w.rng.IntN(len(w.shards))])
	case n < 60:
		w.reshard()
	case n < 64:
		w.expire()
	case n < 72:
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		l := n.fn.limits
		l.Account, l.Environments = w.rng.IntN(8), pick(w, 1, 2, 3, 5, 100)
		w.limit(n, l, pick(w, fleet.Unreserved, fleet.Unreserved, w.rng.IntN(8)))
	case n < 78:
		w.tracef("the function changes")
		for _, n := range w.nodes {
			if n.up {
				w.changeFunction(n)
			}
		}
		for _, r := range w.runners() {
			r.step(esm.Nudge{})
		}
	case n < 90:
		w.misoffer()
	}
	w.in(w.upTo(6*time.Second), w.meddle)
}

// disable switches the mapping off, and gives attempts in flight some time.
func (w *world) disable() {
	w.tracef("the mapping is disabled")
	w.desire(esm.Desired{Pending: esm.Disabling})
	after := w.upTo(40 * time.Second)
	for _, n := range w.nodes {
		w.alive(n, after, func() { w.mappingStep(n, esm.AbandonDue{}) })
	}
}

func (w *world) reconfigure(c esm.Config) {
	w.tracef("config %+v", c)
	w.cfg = c
	for _, r := range w.runners() {
		r.step(esm.Reconfigured{Config: c})
	}
}

// retain lets retention take a part of a shard.
func (w *world) retain(s *shard) {
	if len(s.log) == 0 || s.expired {
		return
	}
	i := w.rng.IntN(len(s.log))
	if w.now.Sub(s.log[i].Arrival.Time()) < 30*time.Second {
		return
	}
	s.oldest = max(s.oldest, s.log[i].Pos)
	w.tracef("shard %d is trimmed to %d", s.id, s.oldest)
	s.book.Trim(s.oldest)
	for _, r := range w.on(s) {
		if w.rng.IntN(3) > 0 { // else the machine finds out by reading
			r.step(esm.Horizon{Oldest: s.oldest})
		}
	}
}

func (w *world) closeShard(s *shard) {
	if !s.closed {
		w.tracef("shard %d is closed", s.id)
		s.closed = true
		w.news(s)
	}
}
