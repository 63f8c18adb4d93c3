package sim

import (
	"encoding/json"
	"fmt"
	"slices"
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

// openWindow is what the judge expects of a machine that has aggregated something: its next invocation is in this
// window and brings this state.
type openWindow struct {
	start, end record.Millis // end 0: nothing is aggregated
	state      string
	early      bool // the last state was beyond the limit
}

func expected(from *esm.Checkpoint) (w openWindow) {
	if m := from.Window; m != nil && m.Last != 0 {
		w = openWindow{start: m.Start, end: m.End, state: m.State, early: m.Early}
	}
	return w
}

// answerState returns what the function returns in a window when it has processed done: mostly the state and these
// records, now and then nonsense. kept is false when that must count as a failure.
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

// workEnd returns the function's own code for an invocation without records. What is in the state has reached its end
// then.
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

// steady reports that the same window width has been in force as long as the machine runs, so a window ends only when
// it is over.
func (n *session) steady() bool {
	for _, c := range n.configs {
		if c.TumblingWindow != n.configs[0].TumblingWindow || c.Factor != n.configs[0].Factor {
			return false
		}
	}
	m := n.from.Window
	return m == nil || m.Width == n.configs[0].TumblingWindow && !m.Closing
}

// widths are the widths that may be in force.
func (n *session) widths() (ds []time.Duration) {
	if m := n.from.Window; m != nil {
		ds = append(ds, m.Width)
	} else if n.from.Factor != 0 {
		ds = append(ds, 0)
	}
	for _, c := range n.configs {
		ds = append(ds, c.TumblingWindow)
	}
	return ds
}

// judgeWindow checks what an invocation says about its window.
func (w *world) judgeWindow(r *runner, in *source.Window, ps []record.Position) {
	n, b := &r.seen, &r.s.book
	if in == nil {
		if !slices.Contains(n.widths(), 0) || n.win.end != 0 {
			w.complain("shard %d: %v is delivered without a window, and %+v is open", r.s.id, ps, n.win)
		}
		return
	}
	width := in.End - in.Start
	state := "{}"
	if n.win.end != 0 && n.win.state != "" {
		state = n.win.state
	}
	switch {
	case !slices.Contains(n.widths(), time.Duration(width)*time.Millisecond) || width == 0 || in.Start%width != 0:
		w.complain("shard %d: a window from %d to %d", r.s.id, in.Start, in.End)
	case n.win.end != 0 && (in.Start != n.win.start || in.End != n.win.end):
		w.complain(
			"shard %d: the window from %d is left for that from %d without its final invocation", r.s.id, n.win.start,
			in.Start,
		)
	case in.State != state:
		w.complain(
			"shard %d: the window from %d has the state %.80s instead of %.80s", r.s.id, in.Start, in.State, state,
		)
	case n.win.early && !in.Early || in.Final && in.Early:
		w.complain("shard %d: the window from %d goes on with a state beyond the limit", r.s.id, in.Start)
	case (in.Final || in.Early) != (len(ps) == 0):
		w.complain("shard %d: %v with final=%t, early=%t", r.s.id, ps, in.Final, in.Early)
	case n.steady() && in.Start < n.latest:
		w.complain("shard %d: a window from %d after one from %d", r.s.id, in.Start, n.latest)
	case n.steady() && n.ended[in.Start]:
		w.complain("shard %d: the window from %d opens again", r.s.id, in.Start)
	}
	n.latest = in.Start
	for _, p := range ps {
		if e := b.At(p); e.Own >= in.End || in.Start > e.Arrival/width*width {
			w.complain("shard %d: record %d of %d is in the window from %d to %d", r.s.id, p, e.Own, in.Start, in.End)
		}
	}
	if len(ps) == 0 && n.win.end == 0 {
		w.complain("shard %d: the end of the window from %d, in which nothing was aggregated", r.s.id, in.Start)
	}
	if !in.Final || !n.steady() {
		return
	}
	for _, e := range b.Records {
		if !e.Settled() && e.Arrival < in.End {
			w.complain("shard %d: the window from %d ends before record %d", r.s.id, in.Start, e.Pos)
		}
	}
}

// windowAnswered notes what the machine has heard of an invocation in a window.
func (n *session) windowAnswered(r *runner, f *flight) {
	switch {
	case f.window == nil || !f.ok:
	case f.window.Early:
		n.win.state, n.win.early = "", false
	case f.window.Final:
		r.w.windows++
		n.ended[f.window.Start] = true
		n.win = openWindow{}
	default:
		n.win.start, n.win.end = f.window.Start, f.window.End
		if len(f.state) <= esm.MaxState {
			n.win.state = f.state
			return
		}
		n.win.early = true
		for _, p := range f.done { // they are counted as processed, and no state that the function gets back has them
			r.s.book.At(p).Excused = true
		}
	}
}

// stateDropped checks that a state is given up for a reason, and excuses what was in it.
func (w *world) stateDropped(r *runner, request string, o *esm.StateDropped) {
	n := &r.seen
	failures, justified := w.failures[request], false
	for _, c := range w.configs {
		justified = justified || c.MaxRetries >= 0 && failures > c.MaxRetries
		justified = justified || c.MaxAge > 0 && w.now.Sub(o.Window.End.Time()) >= c.MaxAge
	}
	if !justified {
		w.complain(
			"shard %d: the state of the window from %d is given up after %d failures", r.s.id, o.Window.Start, failures,
		)
	}
	if n.win.state != "" {
		for _, p := range aggregateOf(n.win.state).Records {
			r.s.book.At(p).Excused = true
		}
	}
	if n.win.state, n.win.early = "", false; o.ID.Purpose == esm.ForFinal {
		n.ended[o.Window.Start] = true
		n.win = openWindow{}
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

// shown returns a checkpoint for the trace.
func shown(cp esm.Checkpoint) string {
	window := "none"
	if m := cp.Window; m != nil {
		c := *m
		if len(c.State) > 200 {
			c.State = fmt.Sprintf("%d bytes", len(c.State))
		}
		window = fmt.Sprintf("%+v", c)
	}
	cp.Window = nil
	return fmt.Sprintf("%+v window %s", cp, window)
}
