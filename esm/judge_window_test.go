package esm_test

import (
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// windowJudge is the naive model of tumbling windows: what the open one has aggregated, and what its next invocation
// must carry.
type windowJudge struct {
	width time.Duration // in force
	start record.Millis
	end   record.Millis // 0: nothing is aggregated
	state string
	early bool // the state outgrew its limit
	cut   bool // the knobs have changed: the window may end before its time
	blind bool // the source cannot tell when a window is complete
}

// resumed takes over the state of a checkpoint.
func (j *judge) resumed(from esm.Checkpoint) {
	w := windowJudge{width: j.cfg.TumblingWindow, blind: j.win.blind}
	if m := from.Window; m != nil && m.Last != 0 {
		w.start, w.end, w.state, w.early = m.Start, m.End, m.State, m.Early
		w.cut = m.Closing || m.Width != w.width
		w.width = m.Width
	}
	j.win = w
}

// arrivals returns a record's own arrival and the largest up to it: its window lies between theirs.
func (j *judge) arrivals(p record.Position) (own, largest record.Millis) {
	for _, r := range j.records {
		largest = max(largest, r.Arrival)
		if r.Pos == p {
			return r.Arrival, largest
		}
	}
	return 0, 0
}

// invokeWindow checks the window of an invocation.
func (j *judge) invokeWindow(c esm.Invoke) {
	w := &j.win
	if c.Window == nil {
		if w.width != 0 || w.end != 0 {
			j.complain("an invocation without a window")
		}
		return
	}
	start, end, width := c.Window.Start, c.Window.End, record.Millis(w.width.Milliseconds())
	want := "{}"
	if w.end != 0 && w.state != "" {
		want = w.state
	}
	switch {
	case width == 0 || end-start != width || start%width != 0:
		j.complain("a window from %d to %d of %s", start, end, w.width)
	case w.end != 0 && (start != w.start || end != w.end):
		j.complain("the window from %d is left for that from %d without its final invocation", w.start, start)
	case c.Window.State != want:
		j.complain("a state of %s instead of %s", c.Window.State, want)
	case w.early && c.ID.Purpose != esm.ForEarlyEnd:
		j.complain("an invocation for %s, though the state has outgrown its limit", c.ID.Purpose)
	case !w.early && c.ID.Purpose == esm.ForEarlyEnd && !j.crowded(len(c.Window.State)):
		j.complain("the state is ended for no reason")
	}
	for _, p := range c.Positions {
		if own, largest := j.arrivals(p); own >= end || start > largest/width*width && !w.blind {
			j.complain("record %d, arrived at %d, is in the window from %d to %d", p, own, start, end)
		}
	}
	if c.ID.Purpose == esm.ForRecords {
		return
	}
	if w.end == 0 || len(c.Positions) > 0 {
		j.complain("the end of a window in which nothing is aggregated, with records %v", c.Positions)
	}
	if c.ID.Purpose == esm.ForFinal && !w.cut && !w.blind {
		for _, r := range j.records {
			if _, largest := j.arrivals(r.Pos); r.Match && !r.settled && largest < end {
				j.complain("the window from %d to %d ends before record %d", start, end, r.Pos)
			}
		}
	}
}

// crowded reports whether the next record does not fit a payload beside a state of the given bytes.
func (j *judge) crowded(state int) bool {
	for _, r := range j.records {
		if r.Match && !r.settled {
			return j.cfg.Envelope+j.cfg.Windowed+state+int(r.Bytes) > esm.MaxPayload
		}
	}
	return false
}

// returnedWindow takes the state that results from n records; for an invocation without records, the window's end.
func (j *judge) returnedWindow(c esm.Invoke, o esm.Outcome, n int, state string) {
	w := &j.win
	switch {
	case c.Window == nil || o.Kind != esm.Success && o.Kind != esm.PartialFailure:
	case c.ID.Purpose != esm.ForRecords:
		j.endWindow(c.ID.Purpose)
	case n > 0:
		w.start, w.end = c.Window.Start, c.Window.End
		if len(state) > esm.MaxState {
			w.early = true
		} else {
			w.state = state
		}
	}
}

func (j *judge) endWindow(p esm.Purpose) {
	if j.win.state, j.win.early = "", false; p == esm.ForFinal {
		j.win.end, j.win.cut = 0, false
	}
}
