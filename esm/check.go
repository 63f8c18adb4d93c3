package esm

// assertions makes every Step end with a check of the machine's invariants. It costs a few comparisons a lane.
const assertions = true

// check panics with *Broken when an invariant does not hold.
func (s *Shard) check() {
	if !assertions {
		return
	}
	if !s.windowed() && s.win.End != 0 || s.win.End == 0 && (s.win.Last != 0 || s.win.State != "") {
		broken("a tumbling window of %s is %+v", s.cfg.TumblingWindow, s.win)
	}
	records := 0
	for i := range s.lanes {
		l := &s.lanes[i]
		records += l.queue.len()
		s.checkLane(l)
	}
	if records != s.records {
		broken("%d records held, %d counted", records, s.records)
	}
	if s.records == 0 && s.bytes != 0 {
		broken("%d bytes counted for no records", s.bytes)
	}
	if !s.wake.IsZero() && !s.wake.After(s.now) {
		broken("a Tick is wanted at %s, which is past", s.wake) // the shell would spin
	}
	if low := s.low(); low < s.saved {
		broken("the checkpoint went back from %d to %d", s.saved, low)
	}
}

func (s *Shard) checkLane(l *lane) {
	planned := 0
	for j := range l.plan {
		planned += l.plan[j].count
	}
	busy := l.phase == invoking || l.phase == delivering
	switch {
	case planned > l.queue.len():
		broken("lane %d plans %d records and holds %d", l.id, planned, l.queue.len())
	case l.queue.len() > 0 && l.queue.at(0).Pos <= l.settled:
		broken("lane %d holds record %d, which is settled", l.id, l.queue.at(0).Pos)
	case l.phase != ready && len(l.plan) == 0:
		broken("lane %d is busy without a batch", l.id)
	case busy && l.batch != l.plan[0].batch:
		broken("lane %d has batch %d out, but batch %d is at hand", l.id, l.batch, l.plan[0].batch)
	case l.phase == delivering && (l.discard == nil || l.discard.count > l.plan[0].count):
		broken("lane %d delivers what it does not hold", l.id)
	case l.phase == invoking && l.discard != nil:
		broken("lane %d invokes with records that it has given up", l.id)
	case l.phase != ready && l.wait == WaitNone:
		broken("lane %d waits for no reason", l.id)
	}
}

// checkInvoke panics when an attempt is not allowed.
func (s *Shard) checkInvoke(l *lane, seg *segment, bytes int) {
	if !assertions {
		return
	}
	if s.windowed() && seg.count > 0 && l.queue.at(seg.count-1).Arrival >= s.win.End {
		broken("lane %d: a batch up to %d in a window up to %d", l.id, l.queue.at(seg.count-1).Arrival, s.win.End)
	}
	if s.windowed() && seg.id.Purpose != ForRecords && s.win.Last == 0 {
		broken("lane %d: the end of a window in which nothing was aggregated", l.id)
	}
	if seg.count > 1 && bytes > MaxPayload {
		broken("lane %d: a payload of %d bytes", l.id, bytes)
	}
	if s.cfg.MaxRetries >= 0 && seg.failures > s.cfg.MaxRetries {
		broken("lane %d: attempt after %d failures of %d allowed", l.id, seg.failures, s.cfg.MaxRetries+1)
	}
}
