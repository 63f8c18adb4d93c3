package esm

import "time"

// toldWait is the last wait reported for a lane.
type toldWait struct {
	reason WaitReason // WaitNone: nothing was told yet
	batch  uint64
	sent   uint64 // tells two invocations, or notices, of one batch apart
	until  time.Time
	since  time.Time
	held   int // records that Gathered told
}

// tellWaits reports which waits of lanes have ended and begun in the Step under way, which it concludes.
func (s *Shard) tellWaits() {
	for i := range s.lanes {
		l := &s.lanes[i]
		reason, until := s.waitOf(l)
		t := &l.told
		batch := uint64(0)
		if len(l.plan) > 0 {
			batch = l.plan[0].batch
		}
		if t.reason != reason || t.batch != batch || t.sent != l.sent || !t.until.Equal(until) {
			s.tellWaitEnded(l)
			*t = toldWait{reason: reason, batch: batch, sent: l.sent, until: until, since: s.now}
			s.emit(s.told.waitBegan.put(s.steps, s.waitBegan(l, reason, until)))
		}
		if reason == WaitWindow && t.held != l.gather.count {
			t.held = l.gather.count
			s.emit(s.told.gathered.put(s.steps, Gathered{
				Lane: l.id, Count: l.gather.count, Most: s.cfg.BatchSize, Bytes: l.gather.bytes,
			}))
		}
	}
}

// tellWaitEnded reports the end of a lane's last reported wait, if there was one.
func (s *Shard) tellWaitEnded(l *lane) {
	if t := &l.told; t.reason != WaitNone {
		s.emit(s.told.waitEnded.put(s.steps, WaitEnded{
			Batch: t.batch, Lane: l.id, Reason: t.reason, Since: t.since,
		}))
		t.reason = WaitNone
	}
}

// idle returns what a lane waits for that has nothing to do.
func (s *Shard) idle() WaitReason {
	switch {
	case s.choked:
		return WaitBuffer
	case s.win.End != 0:
		return WaitTumbling
	}
	return WaitRecords
}

// waitOf returns what a lane waits for at the end of a Step, and until when if that is known.
func (s *Shard) waitOf(l *lane) (reason WaitReason, until time.Time) {
	reason = l.wait
	if reason == WaitBuffer {
		reason = s.idle() // other lanes may have freed the buffer since
	}
	switch reason {
	case WaitWindow:
		return reason, l.opened.Add(s.cfg.BatchingWindow)
	case WaitTumbling:
		switch end := s.win.End.Time(); {
		case s.now.Before(end):
			return reason, end
		case s.atTail: // the source is to say that nothing older can come
			return reason, end.Add(idleGrace)
		}
	case WaitRetry, WaitSlot, WaitService, WaitDestination:
		if s.ending() && !s.closing() {
			return WaitEnd, time.Time{} // the pause is over when another machine says so
		}
		return reason, l.until
	case WaitNone, WaitRecords, WaitOutcome, WaitDelivery, WaitSave, WaitReread, WaitEnd, WaitBuffer:
	}
	return reason, time.Time{}
}

// waitBegan returns the numbers of a wait.
func (s *Shard) waitBegan(l *lane, reason WaitReason, until time.Time) WaitBegan {
	w := WaitBegan{Lane: l.id, Reason: reason, Until: until, Held: l.queue.len(), Ahead: l.ahead}
	if len(l.plan) == 0 {
		return w
	}
	seg := &l.plan[0]
	w.Batch, w.Attempt, w.Refusals = l.of(seg.count), seg.invocations+1, seg.refusals
	if s.cfg.MaxRetries >= 0 {
		w.Attempts = s.cfg.MaxRetries + 1
	}
	if d := l.discard; d != nil {
		w.Tries = d.tries
		if d.condition == RetryAttemptsExhausted {
			w.Attempt = seg.invocations
		}
	}
	return w
}
