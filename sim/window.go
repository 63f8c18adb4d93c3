package sim

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// In worlds with a tumbling window the function's state is the list of the records that it has aggregated, so the judge
// can tell what became of each.

// aggregate is the state of a window.
type aggregate struct {
	Records []record.Position `json:"p"`
	Padding string            `json:"x,omitempty"`
}

func aggregateOf(state string) (a aggregate) {
	if err := json.Unmarshal([]byte(state), &a); err != nil {
		panic(fmt.Sprintf("a state that the function never answered: %.100s", state))
	}
	return a
}

// openWindow is what the judge knows of the window that a machine has open.
type openWindow struct {
	start, end  record.Millis   // end 0: none is open
	closed      record.Millis   // windows that end at or before it do not open again
	first, last record.Position // aggregated; last 0: none, and no final invocation is owed
	state       string
	early       bool // the last state was beyond the limit: the next invocation says so
	closing     bool // the next invocation is the final one
	call        part // of the invocation without records that is due
}

func windowFrom(m *esm.WindowMark) openWindow {
	return openWindow{
		start: m.Start, end: m.End, closed: m.Closed, first: m.First, last: m.Last, state: m.State, early: m.Early,
		closing: m.Closing, call: part{failures: m.Failures, invocations: m.Invocations},
	}
}

// given is the state that the next invocation brings.
func (w *openWindow) given() string {
	if w.state == "" {
		return "{}"
	}
	return w.state
}

// idleGrace is how long after its end a window waits at an idle tail for proof that no older record can come, and
// sealAgain the pause between two questions for it.
const (
	idleGrace = 120 * time.Second
	sealAgain = time.Second
)

// windowOf is the window that a record joins: the open one if it is late, and none that has had its end.
func (n *session) windowOf(i item) (start, end record.Millis) {
	width := record.Millis(n.cfg.TumblingWindow.Milliseconds())
	switch {
	case width == 0:
		return 0, math.MaxInt64
	case n.win.end != 0 && i.arrival < n.win.end:
		return n.win.start, n.win.end
	}
	start = max(i.arrival, n.win.closed) / width * width
	return start, start + width
}

func (n *session) endOf(i item) record.Millis {
	_, end := n.windowOf(i)
	return end
}

// proven reports whether no record of a window up to end can come any more: a later one was read, the source has said
// so, or it has had nothing for long enough.
func (n *session) proven(end record.Millis) bool {
	return n.cfg.TumblingWindow != 0 && (n.arrival >= end || n.sealed >= end ||
		n.tail && !n.w.now.Before(end.Time().Add(idleGrace)))
}

// over reports whether the open window has come to its end.
func (n *session) over(l *lane) bool {
	switch {
	case n.next != nil || n.win.closing: // new knobs cut it short
		return true
	case len(l.queue) > 0:
		return l.queue[0].arrival >= n.win.end
	case n.rereads(l):
		return false
	}
	return n.ended || n.proven(n.win.end)
}

// turns reports whether an invocation without records is due: the state has outgrown its limit, or the window is over.
func (n *session) turns(l *lane) bool { return n.win.last != 0 && (n.win.early || n.over(l)) }

// turnSilently closes a window in which nothing was aggregated, and drops a state that the function never got over.
// sure drops it only when that must have happened by now.
func (n *session) turnSilently(sure bool) {
	if n.win.end == 0 {
		return
	}
	l, w := n.lanes[0], &n.win
	if !l.free() || n.release || n.tooFarAhead(l) {
		return
	}
	if w.last == 0 {
		if paused := l.pause.why != noPause; !w.early && !paused && n.over(l) {
			if n.next == nil {
				w.closed = w.end
			}
			n.win = openWindow{closed: w.closed}
		}
		return
	}
	if !n.turns(l) {
		return
	}
	tried := w.call.failures+w.call.refusals+w.call.invocations > 0
	late := tried && n.cfg.MaxAge != 0 && !n.w.now.Before(w.end.Time().Add(n.cfg.MaxAge))
	paused := l.pause.why != noPause && (n.w.now.Before(l.pause.from) || sure && n.w.now.Before(l.pause.to))
	if late || n.spent(&w.call) && !paused {
		for _, p := range aggregateOf(w.given()).Records {
			n.s.book.At(p).Excused = true
		}
		n.endOfWindow(!w.early)
	}
}

// endOfWindow takes the end of a window, or of its state.
func (n *session) endOfWindow(final bool) {
	w := &n.win
	n.lanes[0].pause = pause{}
	if !final {
		w.state, w.early, w.call = "", false, part{}
		return
	}
	n.closed[w.start] = w.closed == w.end // else new knobs have cut it short
	n.win = openWindow{closed: w.closed}
}

// answerState is what the function answers in a window when it has processed done: mostly the state and these records,
// now and then nonsense. kept is false when that must count as a failure.
func (r *runner) answerState(in *source.Window, done []record.Position) (member string, kept bool) {
	w := r.w
	a := aggregateOf(in.State)
	a.Records = append(a.Records, done...)
	switch {
	case w.chance(3):
		return `"nostate":{}`, false
	case w.chance(2):
		return `"state":[]`, false
	case w.chance(1):
		a.Padding = strings.Repeat("x", esm.MaxState)
	}
	return `"state":` + string(mustJSON(a)), true
}

// workEnd is the function's own code for an invocation without records. What is in the state has reached its end then.
func (r *runner) workEnd(in *source.Window) (a engine.Answer, ok bool) {
	if r.w.chance(12) {
		return engine.Answer{
			Kind: engine.AnswerError, StatusCode: 200, FunctionError: "Unhandled", Version: "$LATEST",
		}, false
	}
	for _, p := range aggregateOf(in.State).Records {
		r.s.book.At(p).Reported = true
	}
	return engine.Answer{Kind: engine.AnswerOK, StatusCode: 200, Version: "$LATEST"}, true
}

// judgeWindow checks what an invocation says about its window.
func (n *session) judgeWindow(c *engine.Call, in *source.Window, ps []record.Position) {
	w := &n.win
	if in == nil {
		if n.cfg.TumblingWindow != 0 || w.end != 0 {
			n.complain("%v is delivered without a window, and %+v is open", ps, *w)
		}
		return
	}
	if w.last != 0 && (in.State != w.given() || in.Start != w.start || w.early && !in.Early) {
		n.turnSilently(false)
	}
	width := record.Millis(n.cfg.TumblingWindow.Milliseconds())
	switch {
	case width == 0 || in.End-in.Start != width || in.Start%width != 0:
		n.complain("a window from %d to %d", in.Start, in.End)
	case w.last != 0 && (in.Start != w.start || in.End != w.end):
		n.complain("the window from %d is left for that from %d without its final invocation", w.start, in.Start)
	case in.State != w.given():
		n.complain("the window from %d has the state %.80s instead of %.80s", in.Start, in.State, w.given())
	case w.early && !in.Early || in.Final && in.Early:
		n.complain("the window from %d goes on with a state beyond the limit", in.Start)
	case (in.Final || in.Early) != (len(ps) == 0):
		n.complain("%v with final=%t, early=%t", ps, in.Final, in.Early)
	case len(ps) == 0:
		n.judgeTurn(c, in)
	case n.closing():
		n.complain("%v is delivered in a window that must be ended", ps)
	case n.closed[in.Start]:
		n.complain("the window from %d opens again", in.Start)
	}
	n.latest = in.Start
}

// judgeTurn checks an invocation that ends a window, or its state.
func (n *session) judgeTurn(c *engine.Call, in *source.Window) {
	l, w := n.lanes[0], &n.win
	later := record.MaxPosition
	for _, i := range l.queue {
		if i.arrival >= in.End {
			later = i.Pos
			break
		}
	}
	if in.Final && n.next == nil && !w.closing { // it waits for what is before it
		n.drop(l, later, false)
	}
	crowded := false
	if len(l.queue) > 0 {
		bytes := n.base() + l.queue[0].Size
		crowded = bytes > esm.MaxPayload && bytes-len(w.given())+len("{}") <= esm.MaxPayload
	}
	switch {
	case w.last == 0:
		n.complain("the end of the window from %d, in which nothing was aggregated", in.Start)
		return
	case in.Early && !w.early && !crowded:
		n.complain("the state of the window from %d is ended for no reason", in.Start)
	case in.Final && !n.over(l):
		n.complain("the window from %d to %s ends while records of it can come: %v", in.Start, n.w.since(in.End.Time()), positionsOf(l.queue))
	case n.spent(&w.call):
		n.complain("the end of the window from %d is tried after %d failures", in.Start, w.call.failures)
	case c.Attempt != w.call.invocations+1:
		n.complain("attempt %d of the end of the window from %d follows %d", c.Attempt, in.Start, w.call.invocations)
	}
	over := in.Final && !w.closing && n.next == nil
	if over {
		w.closed = w.end
	}
	if in.Early {
		w.early = true
	} else {
		w.closing = true
	}
	tried := w.call.failures+w.call.refusals+w.call.invocations > 0
	if tried && n.cfg.MaxAge != 0 && !n.w.now.Before(in.End.Time().Add(n.cfg.MaxAge)) {
		n.complain("the end of the window from %d is tried at %s", in.Start, n.w.since(n.w.now))
	}
	if over && n.sealed >= in.End { // a promise of the source is one
		for _, e := range n.s.book.From(n.from.Low + 1) {
			if e.Arrival >= in.End {
				break
			}
			if e.Pos >= n.position && e.Pos >= n.oldest {
				n.complain("the window from %d ends before record %d", in.Start, e.Pos)
			}
		}
	}
}

// windowAnswered notes what an invocation in a window that counts as a success has changed.
func (n *session) windowAnswered(f *flight) {
	w := &n.win
	switch {
	case f.window.Early:
		n.endOfWindow(false)
	case f.window.Final:
		n.w.windows++
		n.endOfWindow(true)
	case len(f.done) > 0:
		if w.last == 0 {
			w.first = f.done[0]
		}
		w.last = f.done[len(f.done)-1]
		if len(f.state) <= esm.MaxState {
			w.state = f.state
			return
		}
		w.early = true
		for _, p := range f.done { // they are counted as processed, and no state that the function gets back has them
			n.s.book.At(p).Excused = true
		}
	}
}

// tellsOtherwise reports whether a checkpoint knows another state of the open window than the judge.
func (n *session) tellsOtherwise(m *esm.WindowMark) bool {
	return m == nil || m.Last != n.win.last || m.State != n.win.state || m.Early != n.win.early
}

// judgeMark checks what a checkpoint says about the open window.
func (n *session) judgeMark(m *esm.WindowMark) {
	if m == nil {
		if n.cfg.TumblingWindow != 0 {
			n.complain("a checkpoint without the window from %d", n.win.start)
		}
		return
	}
	if n.win.last != 0 && n.tellsOtherwise(m) {
		n.turnSilently(false)
	}
	w := &n.win
	if m.Width != n.cfg.TumblingWindow || m.Last != w.last || m.State != w.state {
		n.complain("a checkpoint with the window %s instead of %d to %d, %.80s", shownWindow(m), w.first, w.last, w.state)
		return
	}
	same := m.Start == w.start && m.End == w.end && m.First == w.first &&
		m.Failures == w.call.failures && m.Invocations == w.call.invocations
	turns := m.Early || !w.early && (m.Closing || !w.closing || !n.lanes[0].free())
	if w.last != 0 && !(same && turns) {
		n.complain("a checkpoint with the window %s instead of %+v", shownWindow(m), *w)
	}
}

// judgeWindowsEnded checks that no window is left open, and that every record that was aggregated has reached the end
// of a window.
func (w *world) judgeWindowsEnded(s *shard) {
	if m := s.saved.checkpoint.Window; m != nil && m.Last != 0 {
		w.complain("shard %d: the window from %d never gets its final invocation", s.id, m.Start)
	}
	for _, e := range s.book.Records {
		if e.Windowed && !e.Plain && !e.Reported && !e.Excused && !e.Noticed && !e.Dropped && !e.Lost {
			w.complain("shard %d: record %d was aggregated, and no end of a window has it", s.id, e.Pos)
		}
	}
}

// shown is a checkpoint for the trace.
func shown(cp esm.Checkpoint) string {
	window := shownWindow(cp.Window)
	cp.Window = nil
	return fmt.Sprintf("%+v window %s", cp, window)
}

func shownWindow(m *esm.WindowMark) string {
	if m == nil {
		return "none"
	}
	c := *m
	if len(c.State) > 200 {
		c.State = fmt.Sprintf("%d bytes", len(c.State))
	}
	return fmt.Sprintf("%+v", c)
}
