package esm

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/record"
)

// With a tumbling window the one lane of a shard aggregates: every invocation gets the state that the window's last
// successful one returned, and an invocation without records ends the window. At most one window is open. Its end is
// put into the lane's plan like a batch, before the batches of later windows, so it is retried, throttled and explained
// like them. Source: Lambda Developer Guide, "Tumbling windows for aggregation"; where it is silent, see below.

// windowed reports whether records are aggregated in tumbling windows.
func (s *Shard) windowed() bool { return s.cfg.TumblingWindow != 0 }

// windowOf returns the window of the next record in line. A record that arrived before the open window began is late
// and belongs to the open one, and a closed window never opens again: AWS says neither.
func (s *Shard) windowOf(arrival record.Millis) Window {
	w := &s.win
	if w.End != 0 && arrival < w.End {
		return Window{w.Start, w.End}
	}
	width := record.Millis(s.cfg.TumblingWindow.Milliseconds())
	start := max(arrival, w.Closed) / width * width
	return Window{start, start + width}
}

// base returns how many bytes a batch's payload has beside its records.
func (s *Shard) base() int {
	if !s.windowed() {
		return s.cfg.Envelope
	}
	return s.cfg.Envelope + s.cfg.Windowed + len(s.state())
}

// state returns what the next invocation of the open window gets.
func (s *Shard) state() string {
	if s.win.State == "" {
		return "{}"
	}
	return s.win.State
}

// windowCall returns what the next invocation in the open window carries.
func (s *Shard) windowCall() *WindowCall {
	return &WindowCall{Start: s.win.Start, End: s.win.End, State: s.state()}
}

// windowAt returns what an invocation of the batch at hand carries. Records that expired before they were tried need
// not have opened their window: it would have begun without a state.
func (s *Shard) windowAt(l *lane) *WindowCall {
	if in := s.windowOf(l.queue.at(0).Arrival); s.win.End != in.End {
		return &WindowCall{Start: in.Start, End: in.End, State: "{}"}
	}
	return s.windowCall()
}

// turn plans the invocation that ends a window, or its state, once it is due. It reports whether it has changed
// anything.
func (s *Shard) turn(l *lane) bool {
	w := &s.win
	switch {
	case w.End == 0, len(l.plan) > 0 && l.plan[0].id.Purpose != ForRecords:
		return false
	case w.Early:
		s.planEnd(l, ForEarlyEnd)
	case !w.Closing && !s.windowOver(l):
		return false
	case w.Last == 0: // nothing was aggregated: the function has no state to be asked for
		s.closeWindow()
	default:
		w.Closing = true
		s.planEnd(l, ForFinal)
	}
	return true
}

// planEnd puts an invocation without records at the front of the plan.
func (s *Shard) planEnd(l *lane, p Purpose) {
	w := &s.win
	l.plan = slices.Insert(l.plan, 0, segment{
		id: BatchID{Generation: s.gen, Factor: 1, Purpose: p, Lane: l.id, First: w.First, Last: w.Last}, batch: w.Batch,
		parent: Parent{Origin: OriginWindow}, flush: FlushTumbling, failures: w.Failures, invocations: w.Invocations,
	})
}

// windowOver reports whether no record can join the open window any more. A change of settings cuts it short.
func (s *Shard) windowOver(l *lane) (over bool) {
	w := &s.win
	switch {
	case s.rebuild != nil:
		return true // and a window of the same time may open again
	case l.queue.len() > 0:
		over = l.queue.at(0).Arrival >= w.End
	case len(l.plan) > 0: // a batch from a checkpoint is being read again
	default:
		over = s.shardEnd || s.complete(w.End)
	}
	if over {
		w.Closed = w.End
	}
	return over
}

// complete reports whether every record that arrived before end has been read: a later one was read, filtered or not;
// or the source says so; or it has had nothing new for so long that we stop waiting for its word. Otherwise it has the
// source asked when that can make a difference.
func (s *Shard) complete(end record.Millis) bool {
	if s.maxArrival >= end || s.sealed >= end {
		return true
	}
	if !s.idleTail { // reading goes on
		return false
	}
	at := end.Time()
	if s.atTail {
		if !s.now.Before(at.Add(idleGrace)) {
			return true
		}
		s.wakeAt(at.Add(idleGrace))
	}
	switch {
	case s.now.Before(at):
		s.wakeAt(at)
	case s.now.Before(s.askAgain):
		s.wakeAt(s.askAgain)
	default:
		s.ask = true
	}
	return false
}

// enter opens the window of the batch at hand if it is not open, and takes from the batch what does not fit a payload
// with the state, which may have grown since the batch was cut. It reports whether the batch can be tried: if a lone
// record fits only without the state, the state is ended first.
func (s *Shard) enter(l *lane) bool {
	seg, w := &l.plan[0], &s.win
	in := s.windowOf(l.queue.at(0).Arrival)
	w.Start, w.End = in.Start, in.End
	bytes := s.base()
	for i := range seg.count {
		bytes += int(l.queue.at(i).Bytes)
		if i > 0 && bytes > MaxPayload {
			s.split(l, i)
			return true
		}
	}
	if bytes > MaxPayload && w.Last != 0 && bytes-len(w.State) <= MaxPayload-len("{}") {
		w.Early = true
		return false
	}
	return true
}

// aggregated stores the state that results from the first n records of the batch at hand.
func (s *Shard) aggregated(l *lane, n int, state string) {
	w := &s.win
	if state == "" {
		broken("lane %d: a success in a tumbling window without a state", l.id)
	}
	if w.Last == 0 {
		w.First = l.queue.at(0).Pos
	}
	w.Last = l.queue.at(n - 1).Pos
	if len(state) > MaxState {
		// the function gets the last state within the limit; AWS says that it ends the window early, not with what
		w.Early = true
		return
	}
	w.State = state
}

// attemptEnd starts the invocation without records that is at hand, or gives it up. AWS "suspends processing until a
// successful invocation" and does not say whether a limit on retries or age ends that: here it does, so that a window
// cannot hold a shard for ever if records cannot.
func (s *Shard) attemptEnd(l *lane) bool {
	seg := &l.plan[0]
	if !seg.cut {
		s.number(l, seg)
		s.win.Batch = seg.batch
	}
	if s.exhausted(seg) || s.tooLate(l) {
		s.emit(&StateDropped{Batch: l.of(0), Attempt: seg.invocations, Window: s.window()})
		s.ended(l)
		return true
	}
	s.invoke(l, seg)
	return false
}

// tooLate reports whether the end of a window has been tried, and has not succeeded within MaxAge of it.
func (s *Shard) tooLate(l *lane) bool {
	seg := &l.plan[0]
	tried := seg.failures+seg.refusals+seg.invocations > 0
	return seg.id.Purpose != ForRecords && tried && s.cfg.MaxAge != 0 &&
		!s.now.Before(s.win.End.Time().Add(s.cfg.MaxAge))
}

// endReturned handles the result of an invocation without records.
func (s *Shard) endReturned(l *lane, o Outcome) {
	seg := &l.plan[0]
	s.win.Invocations = seg.invocations
	switch o.Kind {
	case Success, PartialFailure: // there is no record to report
		if seg.id.Purpose == ForEarlyEnd {
			s.emit(&StateReset{Batch: l.of(0), Attempt: seg.invocations, Window: s.window()})
		} else {
			s.emit(&WindowEnded{Batch: l.of(0), Attempt: seg.invocations, Window: s.window()})
		}
		s.ended(l)
	case FunctionError:
		s.failed(l)
		s.win.Failures = l.plan[0].failures
	case Throttle:
		s.refused(l, WaitSlot)
	case ServiceError:
		s.refused(l, WaitService)
	}
}

// ended takes the end of a window, or of its state, off the plan: the function has had it or never will.
func (s *Shard) ended(l *lane) {
	seg, w := l.plan[0], &s.win
	l.dropSegment()
	l.phase, l.wait, l.until = ready, WaitNone, time.Time{}
	l.gather = gathering{}
	s.dirty = true
	if seg.id.Purpose == ForFinal {
		s.closeWindow()
		return
	}
	w.Early, w.State, w.Batch, w.Failures, w.Invocations = false, "", 0, 0, 0
}

// closeWindow forgets the open window.
func (s *Shard) closeWindow() {
	s.win = WindowMark{Closed: s.win.Closed}
	s.dirty = true
}

// closing reports whether a change of settings waits for the open window to be ended.
func (s *Shard) closing() bool { return !s.release && s.rebuild != nil && s.win.End != 0 }

// resume continues with the window of a checkpoint. A window that was open under other settings is ended under those
// before anything else happens.
func (s *Shard) resume(from *Checkpoint) {
	s.win = *from.Window
	if s.win.Width == s.cfg.TumblingWindow {
		return
	}
	if s.win.Last == 0 {
		s.win = WindowMark{Closed: s.win.Closed}
		return
	}
	next := s.cfg
	s.rebuild = &next
	s.cfg.TumblingWindow, s.cfg.Factor = s.win.Width, 1
}

// mark returns the window's part of a checkpoint.
func (s *Shard) mark() *WindowMark {
	if !s.windowed() {
		return nil
	}
	m := s.win
	m.Width = s.cfg.TumblingWindow
	return &m
}
