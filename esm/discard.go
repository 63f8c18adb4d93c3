package esm

import (
	"time"
)

// pause makes a lane wait for d, for a reason.
func (s *Shard) pause(l *lane, why WaitReason, d time.Duration) {
	l.phase, l.wait, l.until = waiting, why, s.now.Add(d)
}

// giveUp discards the first n records of the batch at hand. With a destination the notice is delivered before the
// records are settled. A back-off that is running continues for the rest of the batch.
func (s *Shard) giveUp(l *lane, n int, c Condition) bool {
	seg := &l.plan[0]
	if !seg.cut {
		s.number(l, seg)
	}
	l.discard = &discard{count: n, condition: c, at: s.now, resume: l.until, wait: l.wait}
	s.emit(&Discarded{Batch: l.of(n), Attempt: seg.invocations, Condition: c})
	return s.announce(l)
}

// announce delivers the notice of the discard at hand; without a destination, or if it was removed meanwhile, it drops
// the records. It reports whether the lane can go on at once.
func (s *Shard) announce(l *lane) bool {
	if s.cfg.Destination {
		s.deliver(l)
		return false
	}
	s.emit(&Dropped{Batch: l.of(l.discard.count), Condition: l.discard.condition, Why: DropNoDestination})
	s.discarded(l)
	return true
}

// deliver sends the notice of the discard at hand.
func (s *Shard) deliver(l *lane) {
	seg, d := &l.plan[0], l.discard
	positions, _ := l.queue.front(d.count)
	cmd := Deliver{
		Batch: seg.batch, ID: seg.id, Positions: positions, Condition: d.condition, Invocations: seg.invocations,
		At: d.at,
	}
	if s.windowed() {
		cmd.Window = s.windowAt(l)
	}
	switch d.condition {
	case RetryAttemptsExhausted:
		cmd.StatusCode, cmd.FunctionError, cmd.Version = seg.status, seg.funcError, seg.version
	case RecordAgeExceeded:
		cmd.Invocations++ // AWS's recordings show one more than the function saw
	}
	l.phase, l.wait, l.batch = delivering, WaitDelivery, seg.batch
	l.sent++
	s.emit(&NoticeSent{Batch: l.of(d.count), Condition: d.condition, Try: d.tries + d.faults + 1})
	s.emit(cmd)
}

func (s *Shard) delivered(ev Delivered) {
	l := s.laneOf(ev.Batch, delivering)
	d, about := l.discard, l.of(l.discard.count)
	if ev.Result == DeliveryDone {
		s.emit(&NoticeDelivered{Batch: about, Condition: d.condition})
	} else {
		s.emit(&NoticeFailed{
			Batch: about, Condition: d.condition, Try: d.tries + d.faults + 1, Result: ev.Result, Reason: ev.Reason,
		})
	}
	switch ev.Result {
	case DeliveryDone:
		s.discarded(l)
	case DeliveryRefused:
		if d.tries++; d.tries >= deliveryTries {
			s.emit(&Dropped{Batch: about, Condition: d.condition, Why: DropRefused, Reason: ev.Reason})
			s.discarded(l)
			return
		}
		s.pause(l, WaitDestination, time.Duration(d.tries)*time.Second)
	case DeliveryFault:
		d.faults++
		s.pause(l, WaitDestination, s.backoff(d.faults))
	}
}

// discarded settles the records of the discard at hand; the rest of the batch goes on.
func (s *Shard) discarded(l *lane) {
	d := l.discard
	l.discard = nil
	l.phase, l.wait, l.until = ready, WaitNone, time.Time{}
	batchGone := d.count == l.plan[0].count
	s.settle(l, d.count)
	if !batchGone {
		seg := &l.plan[0]
		s.tellRest(l.of(seg.count), Parent{Origin: OriginExpired, Number: seg.batch})
	}
	if !batchGone && s.now.Before(d.resume) {
		l.phase, l.wait, l.until = waiting, d.wait, d.resume
	}
	if batchGone {
		l.opened = s.now
	}
}
