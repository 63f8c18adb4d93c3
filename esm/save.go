package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// low returns the low-water mark: the records at or below it are all settled.
func (s *Shard) low() record.Position {
	low := s.next - 1
	for i := range s.lanes {
		if q := &s.lanes[i].queue; q.len() > 0 {
			low = min(low, q.at(0).Pos-1)
		}
	}
	return low
}

// arrivalAtLow returns the largest arrival up to the first record that a machine starting from low reads. With it, that
// machine sees the same ages as this one.
func (s *Shard) arrivalAtLow() record.Millis {
	first := record.MaxPosition
	arrival := s.maxArrival
	for i := range s.lanes {
		if q := &s.lanes[i].queue; q.len() > 0 && q.at(0).Pos < first {
			first, arrival = q.at(0).Pos, q.at(0).Arrival
		}
	}
	return arrival
}

// save emits a Save if something has changed and none is out. The latest state wins; only a lane that is too far ahead,
// and the machine's end, wait for it.
func (s *Shard) save() {
	if s.saving || !s.dirty {
		return
	}
	if s.now.Before(s.saveAgain) {
		s.wakeAt(s.saveAgain)
		return
	}
	if at := s.saveDue(); s.now.Before(at) {
		s.wakeAt(at)
		return
	}
	s.saving, s.dirty = true, false
	for i := range s.lanes {
		l := &s.lanes[i]
		l.aheadSaving = l.ahead
		l.aheadBetween = time.Time{}
	}
	cp := s.checkpoint()
	s.saved = cp.Low
	s.saveAsked = s.now
	s.emit(s.told.saveAsked.put(s.steps, SaveAsked{Low: cp.Low}))
	s.emit(Save{Checkpoint: cp})
}

// saveDue returns when the next Save may be given: in the next beat after that of the last one, and at once if anything
// might wait for it. A Save costs the store as much as an append, and else there is one for every batch: they would
// slow down the very records that come next.
func (s *Shard) saveDue() time.Time {
	if s.cfg.SaveBeat == 0 || s.ending() || s.drained() {
		return time.Time{}
	}
	for i := range s.lanes {
		if s.lanes[i].ahead >= hurryAhead {
			return time.Time{}
		}
	}
	// Truncate would take the monotonic reading away, and a wall clock that is set back would hold every Save, and then
	// every lane, until it has caught up.
	return s.saveAsked.Add(s.cfg.SaveBeat - s.saveAsked.Sub(s.saveAsked.Truncate(s.cfg.SaveBeat)))
}

// checkpoint returns all that another machine needs to continue from here. An attempt in flight counts as not made.
func (s *Shard) checkpoint() Checkpoint {
	cp := Checkpoint{
		Low: s.low(), Generation: s.gen, Factor: s.cfg.Factor, MaxArrival: s.arrivalAtLow(), Batches: s.batches,
		Ended: s.endSaved, Window: s.mark(),
	}
	if s.rebuild == nil && len(s.lanes) != s.cfg.Factor {
		broken("%d lanes for a factor of %d", len(s.lanes), s.cfg.Factor)
	}
	for i := range s.lanes {
		l := &s.lanes[i]
		plan := l.plan
		if len(plan) > 0 && plan[0].id.Purpose != ForRecords {
			plan = plan[1:] // the mark of the window tells it
		}
		if l.settled <= cp.Low && len(plan) == 0 {
			continue
		}
		if cp.Lanes == nil {
			cp.Lanes = make([]LaneMark, len(s.lanes))
		}
		m := &cp.Lanes[i]
		if l.settled > cp.Low {
			m.Settled = l.settled
		}
		m.Plan = make([]SegmentMark, 0, len(plan))
		offset := 0
		for _, seg := range plan {
			first := seg.id.First
			if seg.count > 0 {
				first = l.queue.at(offset).Pos
			}
			offset += seg.count
			m.Plan = append(m.Plan, SegmentMark{
				ID: seg.id, First: first, Last: seg.last, Batch: seg.batch, Parent: seg.parent,
				Failures: seg.failures, Invocations: seg.invocations,
				Status: seg.status, FunctionError: seg.funcError, Version: seg.version,
			})
		}
	}
	return cp
}

func (s *Shard) savedReturned(r SaveResult) {
	if !s.saving {
		broken("a Save returned that was not given")
	}
	s.saving = false
	done := SaveEnded{Low: s.saved, Result: r, Asked: s.saveAsked}
	if r == SaveFault {
		s.saveFails++
		s.saveAgain = s.now.Add(s.backoff(s.saveFails))
		done.Again = s.saveAgain
	}
	s.emit(s.told.saveEnded.put(s.steps, done))
	switch r {
	case SaveDone:
		s.saveFails, s.saveAgain, s.durable = 0, time.Time{}, s.saved
		for i := range s.lanes {
			l := &s.lanes[i]
			l.ahead -= l.aheadSaving
			l.aheadSaving = 0
			l.aheadSince = l.aheadBetween
		}
	case SaveConflict:
		s.fence()
	case SaveFault:
		s.dirty = true
	}
}

// fence ends the machine at once: another owner runs the shard, and whatever this one still does is only a repeat.
func (s *Shard) fence() {
	for i := range s.lanes {
		if l := &s.lanes[i]; l.phase == invoking {
			s.cancel(l)
		}
	}
	s.end(Fenced)
}
