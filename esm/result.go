package esm

import (
	"slices"

	"github.com/shardmill/shardmill/record"
)

// returned takes the result of an attempt.
func (s *Shard) returned(ev Returned) {
	l := s.laneOf(ev.Batch, invoking)
	seg := &l.plan[0]
	o := ev.Outcome
	if o.Kind != Throttle && o.Kind != ServiceError {
		seg.invocations++
		seg.refusals = 0
		seg.status, seg.funcError, seg.version = o.StatusCode, o.FunctionError, o.Version
	}
	s.advise(seg, &o)
	s.emit(s.told.attemptEnded.put(s.steps, AttemptEnded{
		Batch: l.of(seg.count), Attempt: attemptOf(seg, o), Started: l.sentAt, Outcome: o, Window: s.window(),
	}))
	l.phase, l.opened = ready, s.now
	if o.Kind != Throttle && o.Kind != ServiceError { // those leave nothing to remember
		s.dirty = true
	}
	if seg.id.Purpose != ForRecords {
		s.endReturned(l, o)
		return
	}
	switch o.Kind {
	case Success:
		s.succeeded(l, seg.count, ev.State)
	case PartialFailure:
		s.partial(l, o.At, ev.State)
	case FunctionError:
		s.failed(l)
	case Throttle:
		s.refused(l, WaitSlot)
	case ServiceError:
		s.refused(l, WaitService)
	}
}

func attemptOf(seg *segment, o Outcome) int {
	if o.Kind == Throttle || o.Kind == ServiceError {
		return seg.invocations + 1
	}
	return seg.invocations
}

func (s *Shard) succeeded(l *lane, n int, state string) {
	if s.windowed() {
		s.aggregated(l, n, state)
	}
	s.emit(s.told.batchSettled.put(s.steps, BatchSettled{Batch: l.of(n)}))
	s.settle(l, n)
}

// partial settles what comes before the lowest reported record; the rest is a new batch with a fresh counter, due at
// once. A report of the first record is no progress and counts as a failure of the whole batch (AWS does not say; this
// way the retries end). A window's state that came with the report covers the records before it, and is passed on with
// the rest.
func (s *Shard) partial(l *lane, at record.Position, state string) {
	seg := &l.plan[0]
	k, found := slices.BinarySearchFunc(l.queue.recs[l.queue.head:l.queue.head+seg.count], at, func(
		r Rec, p record.Position,
	) int {
		switch {
		case r.Pos < p:
			return -1
		case r.Pos > p:
			return 1
		}
		return 0
	})
	if !found {
		broken("lane %d: partial failure at %d, which is not in batch %d", l.id, at, seg.batch)
	}
	if k == 0 {
		s.failed(l)
		return
	}
	s.succeeded(l, k, state)
	seg = &l.plan[0]
	*seg = segment{
		id: seg.id.part(at, seg.last), count: seg.count, last: seg.last, flush: FlushAgain,
		parent: Parent{OriginPartial, seg.batch},
	}
	s.tellRest(l.of(seg.count), seg.parent)
}

// failed handles the failure of a whole batch: it splits the batch, or counts the failure and backs off. A batch that
// has used up its retries is given up by the next attempt.
func (s *Shard) failed(l *lane) {
	seg := &l.plan[0]
	if s.cfg.Bisect && seg.count > 1 {
		s.bisect(l)
		return
	}
	seg.failures++
	if s.exhausted(seg) {
		return
	}
	s.pause(l, WaitRetry, s.backoff(seg.failures))
}

// exhausted reports whether a batch has used up its retries. A payload too large for any invocation (413) fails the
// same way every time, so without a limit on retries the first failure is the last; AWS would block the shard until the
// record expires.
func (s *Shard) exhausted(seg *segment) bool {
	if s.cfg.MaxRetries < 0 {
		return seg.failures > 0 && seg.status == statusTooLarge
	}
	return seg.failures > s.cfg.MaxRetries
}

const statusTooLarge = 413

// bisect splits the batch at hand: the left half has half of the records, rounded down. Each half is a new batch.
// Splitting uses up no retry, even with MaximumRetryAttempts 0. AWS says only "two" and "half".
func (s *Shard) bisect(l *lane) {
	seg := l.plan[0]
	n := seg.count / 2
	left := segment{count: n, last: l.queue.at(n - 1).Pos, flush: FlushAgain, parent: Parent{OriginLeft, seg.batch}}
	left.id = seg.id.part(l.queue.at(0).Pos, left.last)
	right := segment{count: seg.count - n, last: seg.last, flush: FlushAgain, parent: Parent{OriginRight, seg.batch}}
	right.id = seg.id.part(l.queue.at(n).Pos, seg.last)
	s.emit(&Bisected{
		Batch: l.of(seg.count), Left: left.id, Right: right.id, LeftCount: n, RightCount: right.count,
	})
	l.plan[0] = left
	l.plan = slices.Insert(l.plan, 1, right)
}

// refused handles an attempt that ran no code: it uses up nothing, and only age or retention ends it.
func (s *Shard) refused(l *lane, why WaitReason) {
	seg := &l.plan[0]
	seg.refusals++
	s.pause(l, why, s.backoff(seg.refusals))
}

// laneOf returns the lane that has an Invoke or Deliver of the batch out.
func (s *Shard) laneOf(batch uint64, p phase) *lane {
	for i := range s.lanes {
		if l := &s.lanes[i]; l.phase == p && l.batch == batch {
			return l
		}
	}
	broken("a result for batch %d, which is not in flight", batch)
	return nil
}
