package esm

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/record"
)

// phase says what a lane is doing.
type phase uint8

const (
	ready      phase = iota // free to cut a batch or to start the attempt that is due
	invoking                // an Invoke is out
	waiting                 // a pause until until: back-off, throttle, refused destination
	delivering              // a Deliver is out
)

// lane is one ordered sequence of batches. Its queue holds every record read and not settled; its plan cuts the front
// of the queue into batches.
type lane struct {
	id    int
	queue queue
	plan  []segment // in order; plan[0] is the batch at hand
	phase phase
	wait  WaitReason
	until time.Time // end of a pause
	batch uint64    // of the Invoke or Deliver that is out

	sent   uint64    // Invokes and Delivers given so far
	sentAt time.Time // when the last Invoke was given
	told   toldWait

	gather  gathering // what fill knows of the batch that is gathering
	discard *discard  // records at the front that are being given up
	opened  time.Time // when the batching window began: at the end of the last invocation, or when the machine started

	settled      record.Position // every record of the lane at or below it is settled
	decided      record.Position // and those at or below it are in a batch or filtered out, since the last refilter
	ahead        int             // batches settled since the last Saved …
	aheadSaving  int             // … of them in the Save that is out
	aheadSince   time.Time       // when the oldest of them was settled
	aheadBetween time.Time       // when the oldest of them that is not in the Save that is out was settled
}

// segment is one batch: the next count records of the queue after the segments before it.
type segment struct {
	id     BatchID
	batch  uint64 // 0 until numbered
	cut    bool   // this machine has told that it came to hand
	parent Parent
	count  int
	last   record.Position // the position of its last record
	// from a checkpoint, and not attempted since: count grows while its records are read again
	restored    bool
	flush       FlushReason
	failures    int // attempts that count against MaxRetries
	invocations int
	refusals    int // throttles and service errors in a row
	status      int // of the last invocation, for the notice
	funcError   string
	version     string
}

// discard describes the giving up of the first count records of the batch at hand.
type discard struct {
	count     int
	condition Condition
	at        time.Time
	tries     int // used up at the destination
	faults    int // of our own, in a row
	resume    time.Time
	wait      WaitReason // and state of the back-off that the rest goes on with
}

func (l *lane) restore(m LaneMark) {
	l.settled = m.Settled
	for _, p := range m.Plan {
		seg := segment{
			id: p.ID, batch: p.Batch, parent: p.Parent, last: p.Last, restored: true, flush: FlushRestored,
			failures: p.Failures, invocations: p.Invocations,
			status: p.Status, funcError: p.FunctionError, version: p.Version,
		}
		if p.Batch == 0 {
			seg.flush = FlushAgain // its turn never came
		}
		l.plan = append(l.plan, seg)
	}
}

// advance takes a lane as far as it can go without a result from outside.
func (s *Shard) advance(l *lane) {
	for s.stepLane(l) {
	}
}

// stepLane does one thing and reports whether there may be another.
func (s *Shard) stepLane(l *lane) bool {
	switch l.phase {
	case invoking:
		l.wait = WaitOutcome
		return false
	case delivering:
		l.wait = WaitDelivery
		return false
	case waiting:
		s.lose(l)
		if l.phase != waiting {
			return true
		}
		if s.ending() {
			if !s.closing() {
				return false // and nothing to wake for
			}
			if l.plan[0].id.Purpose == ForRecords { // its records come again after the rebuild
				l.discard = nil
				l.phase, l.wait, l.until = ready, WaitNone, time.Time{}
				return true
			}
		}
		if n := s.expired(l); n > 0 && l.discard == nil {
			return s.giveUp(l, n, RecordAgeExceeded)
		}
		if s.now.Before(l.until) && !s.tooLate(l) {
			s.wakeAt(l.until)
			s.wakeAtExpiry(l)
			return false
		}
		l.phase, l.until = ready, time.Time{}
		if l.discard != nil {
			return s.announce(l)
		}
	case ready:
		s.lose(l)
	}
	if s.ending() && !s.closing() {
		l.wait = WaitEnd
		return false
	}
	if s.tooFarAhead(l) {
		l.wait = WaitSave
		return false
	}
	if s.win.End != 0 && s.turn(l) {
		return true
	}
	if len(l.plan) == 0 && !s.cut(l) {
		return false
	}
	return s.attempt(l)
}

// attempt starts the batch at hand, or gives up records that have expired or a batch that has used up its retries.
func (s *Shard) attempt(l *lane) bool {
	seg := &l.plan[0]
	if seg.id.Purpose != ForRecords {
		return s.attemptEnd(l)
	}
	if seg.restored {
		if s.next <= seg.last && !s.shardEnd {
			if !s.choked || seg.count == 0 {
				l.wait = WaitReread
				return false
			}
			// other lanes may hold more than when the batch was cut, and the buffer is full of it
			s.splitRestored(l, s.next)
		}
		s.fit(l)
		seg = &l.plan[0]
	}
	if seg.count == 0 { // retention has taken every record of it
		s.vanish(l)
		s.dirty = true
		return true
	}
	if !seg.cut {
		s.number(l, seg)
	}
	if n := s.expired(l); n > 0 {
		return s.giveUp(l, n, RecordAgeExceeded)
	}
	if s.exhausted(seg) {
		return s.giveUp(l, seg.count, RetryAttemptsExhausted)
	}
	if s.windowed() && !s.enter(l) {
		return true
	}
	s.invoke(l, &l.plan[0])
	return false
}

// fit limits the batch at hand, which comes from a checkpoint, to what one invocation may carry. It can have too many
// records if BatchSize has changed since. Then it ends where a limit is reached, and the rest becomes a batch of its
// own, which is cut in turn when it comes to hand. This keeps the plan short, and the checkpoint that is written for
// every batch.
func (s *Shard) fit(l *lane) {
	seg := &l.plan[0]
	seg.restored = false
	bytes := s.base()
	for i := range seg.count {
		bytes += int(l.queue.at(i).Bytes)
		if i > 0 && (i == s.cfg.BatchSize || bytes > MaxPayload) {
			s.split(l, i)
			l.plan[1].restored = true
			return
		}
	}
}

// number reports that a batch has come to hand, and gives it a number unless it has one from a checkpoint.
func (s *Shard) number(l *lane, seg *segment) {
	if seg.batch == 0 {
		s.batches++
		seg.batch = s.batches
	}
	seg.cut = true
	cut := BatchCut{
		Batch: l.of(seg.count), Parent: seg.parent, Flush: seg.flush,
		Failures: seg.failures, Invocations: seg.invocations,
	}
	if seg.count > 0 {
		cut.FirstArrival, cut.LastArrival = l.queue.at(0).Arrival, l.queue.at(seg.count-1).Arrival
	}
	s.emit(s.told.batchCut.put(s.steps, cut))
}

func (s *Shard) invoke(l *lane, seg *segment) {
	l.phase, l.batch, l.wait = invoking, seg.batch, WaitOutcome
	l.sent++
	l.sentAt = s.now
	positions, bytes := l.queue.front(seg.count)
	cmd := Invoke{
		Batch: seg.batch, ID: seg.id, Lane: l.id, Attempt: seg.invocations + 1,
		Positions: positions, Bytes: bytes + s.base(),
	}
	if s.windowed() {
		cmd.Window = s.windowCall()
		if seg.id.Purpose != ForRecords {
			cmd.Bytes = s.cfg.Recordless + len(cmd.Window.State)
		}
	}
	s.checkInvoke(l, seg, cmd.Bytes)
	s.emit(s.told.attemptStarted.put(s.steps, AttemptStarted{
		Batch: l.of(seg.count), Attempt: cmd.Attempt, Window: s.window(),
	}))
	s.emit(cmd)
}

// tooFarAhead reports whether the lane has settled too much beyond the last saved checkpoint, all of which a crash
// would repeat.
func (s *Shard) tooFarAhead(l *lane) bool {
	return l.ahead >= maxAhead || l.ahead > 0 && s.now.Sub(l.aheadSince) >= maxAheadTime
}

// settle takes off the first n records of the batch at hand, which are done with in one way or another.
func (s *Shard) settle(l *lane, n int) {
	seg := &l.plan[0]
	if n > seg.count {
		broken("lane %d: %d records settled of a batch of %d", l.id, n, seg.count)
	}
	s.dropFront(l, n)
	seg.count -= n
	if seg.count == 0 {
		l.dropSegment()
	}
}

// dropFront takes the first n records off the lane's queue.
func (s *Shard) dropFront(l *lane, n int) {
	last, bytes := l.queue.drop(n)
	l.settled = last
	l.gather = gathering{}
	s.records -= n
	s.bytes -= bytes
	l.ahead++
	if l.ahead-l.aheadSaving == 1 {
		l.aheadBetween = s.now
	}
	if l.ahead == 1 {
		l.aheadSince = s.now
	}
	s.dirty = true
}

// split keeps the first n records in the batch at hand and makes the rest a batch of its own.
func (s *Shard) split(l *lane, n int) {
	seg := &l.plan[0]
	rest := segment{count: seg.count - n, last: seg.last, flush: FlushAgain, parent: parentOf(seg, OriginFit)}
	rest.id = seg.id.part(l.queue.at(n).Pos, seg.last)
	seg.count, seg.last = n, l.queue.at(n-1).Pos
	l.plan = slices.Insert(l.plan, 1, rest)
	s.tellRest(Batch{ID: rest.id, Count: rest.count, First: rest.id.First, Last: rest.last}, rest.parent)
}

// splitRestored ends the batch at hand before a position: what follows becomes a batch of its own, which is read again
// and has fresh counters.
func (s *Shard) splitRestored(l *lane, before record.Position) {
	seg := &l.plan[0]
	rest := segment{
		id: seg.id.part(before, seg.last), last: seg.last,
		restored: true, flush: FlushAgain, parent: parentOf(seg, OriginFit),
	}
	seg.last = before - 1
	l.plan = slices.Insert(l.plan, 1, rest)
	s.tellRest(Batch{ID: rest.id, First: before, Last: rest.last}, rest.parent) // how many is known when they are read
}

// vanish takes the batch at hand, which comes from a checkpoint, off the plan: nothing is left of it.
func (s *Shard) vanish(l *lane) {
	seg := &l.plan[0]
	s.emit(&Vanished{Batch: Batch{Number: seg.batch, ID: seg.id, First: seg.id.First, Last: seg.last}})
	l.dropSegment()
}

func (l *lane) dropSegment() { l.plan = slices.Delete(l.plan, 0, 1) }
