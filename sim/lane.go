package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/sim/book"
	"github.com/shardmill/shardmill/source"
)

// lane is the judge's account of one lane of a machine.
type lane struct {
	id   int
	mark record.Position // a checkpoint says that everything up to it is settled
	// since a change of the filter: up to here everything is in a batch, or is left out
	decided record.Position
	queue   []item    // given to the machine and not settled by it, in order
	plan    []*part   // batches that were cut from the front of the queue, in order; the first is at hand
	flight  *flight   // the invocation that runs
	notice  *notice   // of records that are given up
	pause   pause     // before the next attempt
	opened  span      // when the batching window began
	ahead   []success // settled and perhaps not saved, in order
	saving  int       // of them in the checkpoint that is being saved

	perhaps   record.Position // up to here the batch at hand may have been given up without a sign
	perhapsAt time.Time       // since then
	deadline  time.Time       // when the lane must have done something; zero: it waits for something else
}

// item is a record that a machine holds, and the arrival that counts for it there: the largest that the machine had
// seen.
type item struct {
	*book.Entry
	arrival record.Millis
}

func (i item) expired(maxAge time.Duration, now time.Time) bool {
	return maxAge != 0 && i.arrival <= record.MillisOf(now.Add(-maxAge))
}

// part is one batch: the records of the queue after the parts before it, up to last.
type part struct {
	last        record.Position
	filter      uint64 // that cut it
	id          string // the request id, once it was invoked
	restored    bool   // from a checkpoint, and not tried since
	failures    int    // that count
	invocations int
	refusals    int // in a row
	tooLarge    bool
}

// rest is a batch that was a part of another one, up to a position.
func (p *part) rest(last record.Position) *part { return &part{last: last, filter: p.filter} }

// why names what a pause is for.
type why uint8

const (
	noPause why = iota
	afterFailure
	afterThrottle
	afterFault
)

// pause is the time before the next attempt of the batch at hand.
type pause struct {
	why why
	end bool // of a window
	span
}

// notice is records that are given up, until the destination has them or never will.
type notice struct {
	items     []item
	id        string
	batch     uint64
	condition esm.Condition
	out       bool
	refusals  int
	faults    int
	span      // of the next try
}

type flight struct {
	batch  uint64
	lane   int
	ps     []record.Position
	done   []record.Position // of it, processed
	window *source.Window    // nil without one
	ok     bool              // it counts as a success, perhaps of a part
	state  string            // that it led to
}

type success struct {
	last record.Position
	at   time.Time
	from time.Time // it may have been so early
}

// idle reports whether the lane has nothing to do and nothing under way.
func (l *lane) idle() bool {
	return len(l.queue) == 0 && len(l.plan) == 0 && l.free() && l.pause.why == noPause
}

// free reports whether the lane has neither an invocation nor a notice under way.
func (l *lane) free() bool { return l.flight == nil && l.notice == nil }

func (l *lane) slotFree(now time.Time) {
	if l.pause.why == afterThrottle && l.free() {
		l.pause.ends(now)
	}
}

func (l *lane) nudge(now time.Time) {
	if l.pause.why != noPause {
		l.pause.ends(now)
	}
}

// ends ends a pause now, unless chance has ended it before.
func (p *pause) ends(now time.Time) {
	if p.to = now; now.Before(p.from) {
		p.from = now
	}
}

// at returns how many records at the front of the queue the batch at hand holds.
func (l *lane) atHand() (count int) {
	for count < len(l.queue) && l.queue[count].Pos <= l.plan[0].last {
		count++
	}
	return count
}

func (l *lane) shownPlan() string {
	s := fmt.Sprintf("%v in", positionsOf(l.queue[:min(len(l.queue), 30)]))
	for _, p := range l.plan {
		s += fmt.Sprintf(" %+v", *p)
	}
	return s
}

// settle takes the first records off the queue: they are done with, one way or another.
func (l *lane) settle(count int, now time.Time) {
	if count == 0 {
		return
	}
	last := l.queue[count-1].Pos
	l.queue = l.queue[count:]
	l.ahead = append(l.ahead, success{last, now, now})
	l.mark = last
	// Its last records may be filtered since it was cut: what is left then is no batch any more.
	for len(l.plan) > 0 && (l.plan[0].last <= last || !l.plan[0].restored && l.atHand() == 0) {
		l.plan = l.plan[1:]
		l.pause = pause{}
	}
}

// lose takes off what retention has taken from the front of the queue.
func (n *session) lose(l *lane) {
	if !l.free() || l.pause.end {
		return
	}
	count := 0
	for count < len(l.queue) && l.queue[count].Pos < n.oldest {
		l.queue[count].Excused = true
		count++
	}
	l.settle(count, n.w.now)
}

// base is how large a payload is beside its records.
func (n *session) base() int {
	f := n.w.format
	if n.cfg.TumblingWindow == 0 {
		return f.Envelope()
	}
	return f.Envelope() + f.Windowed() + len(n.win.given())
}

// extent is how many records a batch holds that is cut now, and whether it has reached a limit, so that nothing else
// could join.
func (n *session) extent(l *lane) (count int, full bool) {
	bytes, end := n.base(), n.endOf(l.queue[0])
	for _, i := range l.queue {
		if bytes += i.Size; count > 0 && bytes > esm.MaxPayload || i.arrival >= end {
			return count, true
		}
		if count++; count == n.cfg.BatchSize {
			return count, true
		}
	}
	return count, false
}

// due is the moment at which the batch that gathers goes out; zero: it waits for records that are being read.
func (n *session) due(l *lane) time.Time { return n.dueSince(l, l.opened.to) }

func (n *session) dueSince(l *lane, opened time.Time) time.Time {
	_, full := n.extent(l)
	switch {
	case full, n.ended, n.choked:
		return n.w.now
	case n.cfg.BatchingWindow == 0 && !n.dry:
		return time.Time{}
	case n.cfg.BatchingWindow == 0, n.proven(n.endOf(l.queue[0])):
		return n.w.now
	}
	return opened.Add(n.cfg.BatchingWindow)
}

// cut makes the batch that goes out now, and complains when it is not due.
func (n *session) cut(l *lane, what string) {
	count, _ := n.extent(l)
	if at := n.dueSince(l, l.opened.from); !n.full && (at.IsZero() || at.After(n.w.now)) {
		ps := positionsOf(l.queue[:count])
		n.complain("lane %d: %s of %v, which is due at %s and could grow", l.id, what, ps, n.w.since(at))
	}
	l.plan = []*part{{last: l.queue[count-1].Pos, filter: n.cfg.Filter}}
}

// spent reports whether the batch at hand has used up its retries.
func (n *session) spent(p *part) bool {
	if n.cfg.MaxRetries < 0 {
		return p.failures > 0 && p.tooLarge
	}
	return p.failures > n.cfg.MaxRetries
}

// dropped takes off what a machine without a destination gives up in silence, up to a position. sure takes only what it
// must have given up by now.
func (n *session) drop(l *lane, before record.Position, sure bool) {
	if !sure && l.free() && len(l.plan) > 0 && l.atHand() > 0 && l.queue[0].Pos < min(before, l.perhaps+1) {
		count := 0
		for count < l.atHand() && l.queue[count].Pos <= l.perhaps && l.queue[count].Pos < before {
			count++
		}
		n.giveUp(l, count)
	}
	for l.flight == nil && !l.pause.end && !n.busy() {
		n.lose(l)
		if n.skipEmpty(l); len(l.queue) == 0 || l.queue[0].Pos >= before || n.cfg.Destination {
			return
		}
		if g := l.notice; g != nil { // the destination was there when it began
			if g.out || sure && n.w.now.Before(g.to) || n.w.now.Before(g.from) {
				return
			}
			n.giveUp(l, len(g.items))
			continue
		}
		if len(l.plan) == 0 {
			at, then := n.due(l), !sure && l.queue[0].Pos <= l.perhaps
			if !sure && n.full { // a machine whose buffer was full when the step began cuts what it holds
				at = n.w.now
			}
			waits := n.tooFarAhead(l) || sure && n.perhapsTooFar(l) || n.win.end != 0 && n.turns(l)
			if !then && (waits || at.IsZero() || at.After(n.w.now)) {
				return
			}
			count, _ := n.extent(l)
			if !l.queue[0].expired(n.cfg.MaxAge, n.w.now) {
				return
			}
			l.plan = []*part{{last: l.queue[count-1].Pos, filter: n.cfg.Filter}}
		}
		running := n.w.now.Before(l.pause.from) || !sure && n.w.now.Before(l.pause.to)
		if sure && n.perhapsTooFar(l) && !running { // in a pause, age is looked at all the same
			return
		}
		if !running && n.win.end != 0 && n.turns(l) { // the end of the window comes first
			return
		}
		if n.fit(l); n.rereads(l) {
			return
		}
		count := l.expired(n)
		paused := l.pause.why != noPause && (n.w.now.Before(l.pause.from) || sure && n.w.now.Before(l.pause.to))
		if count == 0 && n.spent(l.plan[0]) && !paused {
			count = l.atHand()
		}
		if count == 0 {
			return
		}
		n.giveUp(l, count)
	}
}

// droppable is the last record that a machine without a destination may give up now, of the batch at hand and of those
// that it would cut next: chance decides when a pause is over, and with it whether the lane waits for its checkpoint to
// be saved.
func (n *session) droppable(l *lane) record.Position {
	turns := l.pause.end || n.win.end != 0 && n.turns(l)
	if !l.free() || turns || n.busy() || n.cfg.Destination || n.rereads(l) {
		return 0
	}
	count := 0
	if len(l.plan) > 0 {
		count = l.expired(n)
		if count == 0 && n.spent(l.plan[0]) && !n.w.now.Before(l.pause.from) {
			count = l.atHand()
		}
		if count < l.atHand() {
			return l.before(count)
		}
	} else if len(l.queue) > 0 {
		if at := n.due(l); n.tooFarAhead(l) || at.IsZero() || at.After(n.w.now) {
			return 0
		}
	}
	for count < len(l.queue) && l.queue[count].expired(n.cfg.MaxAge, n.w.now) {
		count++
	}
	return l.before(count)
}

// behindBatch is the position behind the batch at hand, or behind the one that would be cut now.
func (n *session) behindBatch(l *lane) record.Position {
	switch {
	case len(l.plan) > 0:
		return l.plan[0].last + 1
	case len(l.queue) > 0:
		count, _ := n.extent(l)
		return l.before(count) + 1
	}
	return 0
}

// before is the position of the last of so many records at the front of the queue; 0: of none.
func (l *lane) before(count int) record.Position {
	if count == 0 {
		return 0
	}
	return l.queue[count-1].Pos
}

// giveUp settles records without a notice.
func (n *session) giveUp(l *lane, count int) {
	gone := len(l.plan) == 0 || l.atHand() <= count
	last := l.before(count)
	for _, i := range l.queue[:count] {
		i.Dropped = true
	}
	opened := span{n.w.now, n.w.now}
	if g := l.notice; g != nil { // chance has decided when its pause was over
		opened.from = g.from
	} else if l.pause.why != noPause && l.pause.from.Before(n.w.now) {
		opened.from = l.pause.from
	}
	l.notice = nil
	l.settle(count, n.w.now)
	if last <= l.perhaps { // it may have been then
		l.ahead[len(l.ahead)-1].from = l.perhapsAt
	}
	if gone {
		l.opened = opened
	}
}

// fit makes the batch from a checkpoint that is at hand one that the limits in force allow: it can hold more than may
// go together. The rest is a batch of its own.
func (n *session) fit(l *lane) {
	p := l.plan[0]
	if !p.restored || n.rereads(l) && !(n.choked && l.atHand() > 0) {
		return
	}
	if n.position <= p.last && !n.ended {
		l.split(n.position - 1)
	}
	bytes := n.base()
	for count, i := range l.queue[:l.atHand()] {
		if bytes += i.Size; count > 0 && (count == n.cfg.BatchSize || bytes > esm.MaxPayload) {
			l.split(l.queue[count-1].Pos)
			return
		}
	}
}

// split ends the batch at hand at a record. What follows is a batch of its own.
func (l *lane) split(at record.Position) {
	p := l.plan[0]
	rest := p.rest(p.last)
	rest.restored = p.restored
	l.plan = slices.Insert(l.plan, 1, rest)
	p.last = at
}

// expired is how many records at the front of the batch at hand are too old.
func (l *lane) expired(n *session) (count int) {
	for all := l.atHand(); count < all && l.queue[count].expired(n.cfg.MaxAge, n.w.now); {
		count++
	}
	return count
}

// rereads reports whether the batch at hand is from a checkpoint and not all of it is read again.
func (n *session) rereads(l *lane) bool {
	return len(l.plan) > 0 && l.plan[0].restored && n.position <= l.plan[0].last && !n.ended
}

// tooFarAhead reports whether the lane must wait for a checkpoint to be saved.
func (n *session) tooFarAhead(l *lane) bool {
	return len(l.ahead) >= 64 || len(l.ahead) > 0 && n.w.now.Sub(l.ahead[0].at) >= time.Second
}

// perhapsTooFar reports whether the lane may wait for a checkpoint to be saved: it is not known when all of what is
// ahead of the last one was settled.
func (n *session) perhapsTooFar(l *lane) bool {
	return n.tooFarAhead(l) || len(l.ahead) > 0 && n.w.now.Sub(l.ahead[0].from) >= time.Second
}

// deadline is the moment by which the lane must have done something that can be seen; zero: it waits for something
// else.
func (n *session) deadline(l *lane) time.Time {
	switch {
	case l.flight != nil, len(l.ahead) > 0, n.busy() && !n.closing():
		return time.Time{}
	case l.notice != nil:
		if l.notice.out || n.busy() || !n.cfg.Destination {
			return time.Time{}
		}
		return l.notice.to
	case n.win.end != 0 && n.turns(l):
		if n.spent(&n.win.call) { // it is dropped without a sign
			return time.Time{}
		}
		if l.pause.why != noPause {
			return l.pause.to
		}
		return n.w.now
	case n.busy():
		return time.Time{}
	case l.idle():
		return n.askAt()
	case len(l.queue) == 0 || !n.cfg.Destination && l.queue[0].expired(n.cfg.MaxAge, n.w.now):
		return time.Time{}
	case len(l.plan) == 0:
		return n.due(l)
	case n.rereads(l), l.atHand() == 0, !n.cfg.Destination && n.spent(l.plan[0]):
		return time.Time{}
	}
	at := n.w.now
	if l.pause.why != noPause {
		at = l.pause.to
	}
	if age := n.cfg.MaxAge; age != 0 && n.cfg.Destination { // what is too old is given up in the middle of a pause
		if e := l.queue[0].arrival.Time().Add(age); e.Before(at) && e.After(n.w.now) {
			at = e
		}
	}
	return at
}
