package esm

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shardmill/shardmill/record"
)

// Shard makes the decisions of one mapping on one shard. It is deterministic: the same events at the same times give
// the same commands. Not safe for concurrent use.
type Shard struct {
	cfg  Config
	rng  *rand.Rand
	now  time.Time // of the Step under way
	out  []Command
	wake time.Time

	started bool
	lanes   []lane
	gen     uint32
	batches uint64 // the last batch number given

	steps     uint64 // so many were made
	told      tellings
	saveAsked time.Time // when the last Save was given

	// reading
	next       record.Position // where the next Read starts
	seq        uint64          // of the last Read given
	reading    bool
	tail       bool    // the last answer ended at the tail or at the shard's end
	lastEnd    EndKind // of the last answer
	idleTail   bool    // it ended at the tail: the next Read may wait
	shardEnd   bool
	readAgain  time.Time // after a failed read
	readFails  int
	maxArrival record.Millis
	oldest     record.Position // everything below it is lost to retention
	records    int             // held in all lanes
	bytes      int             // of payload, held in all lanes
	span       span            // with more than one lane
	choked     bool            // the buffer was full, and is not empty enough yet to read on

	// tumbling windows
	win      WindowMark
	atTail   bool          // the last answer said that nothing more was there, not only that nothing more could be had
	waits    bool          // the Read that is out waits at the tail
	sealed   record.Millis // every record with an older arrival has been read
	ask      bool          // a window needs to know how far the tail is sealed
	askAgain time.Time     // when that was asked last, and a pause

	// saving
	saved     record.Position // Low of the last checkpoint given to Save
	durable   record.Position // and of the last that was saved
	dirty     bool
	saving    bool
	saveAgain time.Time
	saveFails int

	// ending
	release     bool    // finish after the attempts in flight
	rebuild     *Config // a new factor waits for the attempts in flight
	otherFilter bool    // and a filter other than that of cfg has counted meanwhile
	finished    bool
	endSaved    bool // the checkpoint of a shard's end has been given to Save
}

// NewShard returns a machine that continues from a checkpoint. seed determines only the jitter of back-offs. The first
// Step should be a Tick.
func NewShard(cfg Config, from Checkpoint, seed uint64) *Shard {
	cfg.mustBeUsable()
	s := &Shard{
		cfg: cfg, rng: rand.New(rand.NewPCG(seed, 0x5368617264)), gen: from.Generation,
		batches: from.Batches, next: from.Low + 1, saved: from.Low, durable: from.Low, maxArrival: from.MaxArrival,
		shardEnd: from.Ended, tail: from.Ended, endSaved: from.Ended,
	}
	width := time.Duration(0)
	if from.Window != nil {
		width = from.Window.Width
		s.resume(&from)
	}
	s.lanes = make([]lane, s.cfg.Factor)
	if from.Factor != 0 && (from.Factor != s.cfg.Factor || width != s.cfg.TumblingWindow) {
		s.gen++ // batches of another lane map cannot be rebuilt; their records come again with fresh counters
	} else {
		for i := range min(len(from.Lanes), len(s.lanes)) {
			s.lanes[i].restore(from.Lanes[i])
		}
	}
	for i := range s.lanes {
		s.lanes[i].id = i
	}
	return s
}

func (c *Config) mustBeUsable() {
	if c.Factor < 1 || c.BatchSize < 1 || c.TumblingWindow != 0 && c.Factor != 1 {
		broken(
			"a factor of %d, a batch size of %d and a tumbling window of %s", c.Factor, c.BatchSize, c.TumblingWindow,
		)
	}
}

// Step takes one event at an instant and returns what to do, in order. The slice is valid until the next Step. It never
// blocks and never fails; an impossible event is a bug of the shell, and panics with *Broken.
func (s *Shard) Step(now time.Time, ev Event) []Command {
	clear(s.out)
	s.out = s.out[:0]
	if s.finished {
		return nil
	}
	s.steps++
	if now.After(s.now) {
		s.now = now // time that steps back is held
	}
	if !s.started {
		s.started = true
		for i := range s.lanes {
			s.lanes[i].opened = s.now
		}
		s.emit(&Started{Low: s.saved, Generation: s.gen, Batches: s.batches, Config: s.cfg})
		s.forgetOthers()
	}
	switch ev := ev.(type) {
	case ReadReturned:
		s.readReturned(ev)
	case ReadFailed:
		s.readFailed(ev)
	case Horizon:
		s.horizon(ev.Oldest)
	case Returned:
		s.returned(ev)
	case SlotFree:
		s.slotFree(ev.Lane)
	case Delivered:
		s.delivered(ev)
	case Saved:
		s.savedReturned(ev.Result)
	case Reconfigured:
		s.reconfigured(ev.Config)
	case Release:
		s.released(ev.Abandon)
	case Nudge:
		s.nudge()
	case Tick:
	}
	if !s.finished {
		s.settleInto()
	}
	s.check()
	return s.out
}

// settleInto emits every command that the state now allows, and computes when to wake.
func (s *Shard) settleInto() {
	s.wake, s.ask = time.Time{}, false
	s.measure()
	for i := range s.lanes {
		s.advance(&s.lanes[i])
	}
	s.measure()
	s.dirty = s.dirty || s.low() > s.saved
	if s.rebuild != nil && s.quiet() && !s.dirty && !s.saving && !s.drained() && s.win.End == 0 {
		s.rebuildLanes()
	}
	s.read()
	s.save()
	if s.finish(); !s.finished {
		s.tellWaits()
	}
}

// Wake returns the next instant at which a Tick matters; zero: none does. Every Step computes it again.
func (s *Shard) Wake() time.Time {
	if s.finished {
		return time.Time{}
	}
	return s.wake
}

// wakeAt asks for a Tick at t or earlier.
func (s *Shard) wakeAt(t time.Time) {
	if s.wake.IsZero() || t.Before(s.wake) {
		s.wake = t
	}
}

func (s *Shard) emit(c Command) { s.out = append(s.out, c) }

// quiet reports whether no attempt and no delivery is under way.
func (s *Shard) quiet() bool {
	for i := range s.lanes {
		if p := s.lanes[i].phase; p == invoking || p == delivering {
			return false
		}
	}
	return true
}

// ending reports whether no new work may start.
func (s *Shard) ending() bool { return s.release || s.rebuild != nil }

func (s *Shard) reconfigured(cfg Config) {
	cfg.mustBeUsable()
	if cfg.Factor != s.cfg.Factor || cfg.TumblingWindow != s.cfg.TumblingWindow {
		if !s.release { // the next machine finds out by itself
			s.rebuild = &cfg
			s.otherFilter = s.otherFilter || cfg.Filter != s.cfg.Filter
			// they decide how long the end of a window may fail
			s.cfg.MaxRetries, s.cfg.MaxAge = cfg.MaxRetries, cfg.MaxAge
			s.emit(&Adopted{Config: s.cfg})
		}
		return
	}
	other := cfg.Filter != s.cfg.Filter || s.otherFilter
	// if there is one, these are the lanes in force before it began
	s.cfg, s.rebuild, s.otherFilter = cfg, nil, false
	s.emit(&Adopted{Config: cfg})
	if other && !s.release { // the next machine reads under the new filter from the start
		s.refilter()
	}
}

// rebuildLanes makes lanes for another factor or tumbling window. Nothing is in flight, so no key is ever under two
// lane maps at once. The buffer is dropped and read again from the low-water mark: what faster lanes had settled beyond
// it is delivered again, and counters start at 0.
func (s *Shard) rebuildLanes() {
	s.maxArrival = s.arrivalAtLow()
	s.next = s.low() + 1
	s.cfg, s.rebuild, s.otherFilter = *s.rebuild, nil, false
	s.gen++
	for i := range s.lanes {
		s.tellWaitEnded(&s.lanes[i])
	}
	s.lanes = make([]lane, s.cfg.Factor)
	for i := range s.lanes {
		s.lanes[i].id, s.lanes[i].opened = i, s.now
	}
	s.tellVoid()
	if s.choked {
		s.emit(&BufferFreed{})
	}
	s.records, s.bytes, s.span, s.choked = 0, 0, span{}, false
	s.reading, s.tail, s.idleTail, s.atTail, s.shardEnd = false, false, false, false, false
	s.readAgain, s.sealed = time.Time{}, 0
	s.dirty, s.saveAsked = true, time.Time{} // and saved at once
	s.emit(&Rebuilt{Factor: s.cfg.Factor, Generation: s.gen, Width: s.cfg.TumblingWindow, From: s.next})
	s.emit(&Adopted{Config: s.cfg})
	for i := range s.lanes {
		s.advance(&s.lanes[i])
	}
}

func (s *Shard) released(abandon bool) {
	s.release, s.rebuild = true, nil
	if !abandon {
		return
	}
	for i := range s.lanes {
		if l := &s.lanes[i]; l.phase == invoking {
			s.cancel(l)
		}
	}
	s.end(Released)
}

func (s *Shard) nudge() {
	n := 0
	for i := range s.lanes {
		l := &s.lanes[i]
		if l.phase == waiting && (l.wait == WaitRetry || l.wait == WaitService || l.wait == WaitSlot) {
			l.until = s.now
			if !s.ending() || s.closing() {
				n++
			}
		}
		if l.discard != nil {
			l.discard.resume = time.Time{}
		}
	}
	s.emit(&Nudged{Lanes: n})
}

func (s *Shard) slotFree(id int) {
	if id < 0 || id >= len(s.lanes) {
		return // offered to a lane of an older lane map
	}
	l, freed := &s.lanes[id], SlotFreed{Lane: id}
	if l.phase == waiting && l.wait == WaitSlot {
		l.until = s.now
		if !s.ending() || s.closing() { // else another machine tries
			freed.Batch = l.plan[0].batch
		}
	}
	s.emit(&freed)
}

// finish ends the machine once a release or the end of the shard has nothing left to wait for.
func (s *Shard) finish() {
	switch {
	case s.release:
		if s.quiet() && !s.saving && !s.dirty {
			s.end(Released)
		}
	case s.drained():
		if s.endSaved && !s.saving && !s.dirty {
			s.end(Ended)
		} else if !s.endSaved {
			s.endSaved, s.dirty = true, true
			s.save()
		}
	}
}

// drained reports whether the shard is closed and nothing of it is left to do.
func (s *Shard) drained() bool {
	return s.shardEnd && s.records == 0 && s.quiet() && s.planned() == 0 && s.win.End == 0
}

func (s *Shard) end(r FinishReason) {
	s.finished, s.wake = true, time.Time{}
	for i := range s.lanes {
		s.tellWaitEnded(&s.lanes[i])
	}
	s.tellVoid()
	s.emit(&Stopped{Reason: r})
	s.emit(Finished{Reason: r})
}

func (s *Shard) planned() (n int) {
	for i := range s.lanes {
		n += len(s.lanes[i].plan)
	}
	return n
}

// Low returns the present low-water mark: every record at or below it is settled.
func (s *Shard) Low() record.Position { return s.low() }

// Broken is the panic of a machine whose invariants do not hold: a bug of ours, never bad input.
type Broken struct{ What string }

func (b *Broken) Error() string { return "esm: broken invariant: " + b.What }

func broken(format string, args ...any) {
	panic(&Broken{What: fmt.Sprintf(format, args...)})
}
