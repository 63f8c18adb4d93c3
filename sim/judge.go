package sim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/sim/book"
	"github.com/shardmill/shardmill/source"
)

// session is the judge's account of one machine: what it was given, what it has in flight, and what it must not do
// again.
type session struct {
	from     esm.Checkpoint
	configs  []esm.Config // every one that was in force
	factor   int          // of the lane map in force
	planned  bool         // the batches of from still hold
	flight   map[uint64]*flight
	settled  map[record.Position]bool     // by this machine: no reason to deliver again
	batches  map[string][]record.Position // what a request id first stood for
	failures map[string]int
	touched  map[[2]int]bool              // lane and number of batches of from that were dealt with
	discards map[uint64][]record.Position // of a batch, given up now
	refused  map[uint64]int
	ahead    map[int][]success // by lane, in order
	low      record.Position

	win    openWindow
	latest record.Millis          // the beginning of the last window
	ended  map[record.Millis]bool // windows that have had their final invocation, by their beginning
}

type flight struct {
	lane int
	ps   []record.Position
	done []record.Position // of it, processed

	window *source.Window // nil without one
	ok     bool           // it counts as a success, perhaps of a part
	state  string         // that it led to
}

type success struct {
	last record.Position
	at   time.Time
}

func newSession(cfg esm.Config, from esm.Checkpoint) session {
	factor, width := cfg.Factor, cfg.TumblingWindow
	if from.Window != nil && from.Window.Last != 0 {
		factor, width = from.Factor, from.Window.Width // until the open window has had its final invocation
	}
	return session{
		from: from, configs: []esm.Config{cfg}, factor: factor, low: from.Low, win: expected(&from),
		ended:   map[record.Millis]bool{},
		planned: from.Factor == factor && widthOf(&from) == width,
		flight:  map[uint64]*flight{}, settled: map[record.Position]bool{}, batches: map[string][]record.Position{},
		failures: map[string]int{},
		touched:  map[[2]int]bool{}, discards: map[uint64][]record.Position{}, refused: map[uint64]int{},
		ahead: map[int][]success{},
	}
}

func widthOf(cp *esm.Checkpoint) time.Duration {
	if cp.Window == nil {
		return 0
	}
	return cp.Window.Width
}

// mark returns how far a checkpoint says that a lane is settled.
func mark(cp *esm.Checkpoint, factor, lane int) record.Position {
	if cp.Factor == factor && lane < len(cp.Lanes) {
		return max(cp.Low, cp.Lanes[lane].Settled)
	}
	return cp.Low
}

// judgeCall checks an invocation against everything that the product promises about invocations.
func (w *world) judgeCall(r *runner, c *engine.Call, ps []record.Position, in *source.Window) {
	n, b := &r.seen, &r.s.book
	for _, f := range n.flight {
		if f.lane == c.Lane {
			w.complain("shard %d lane %d: a second invocation while one runs", r.s.id, c.Lane)
		}
		for _, p := range f.ps {
			if slices.ContainsFunc(ps, func(q record.Position) bool {
				return b.At(q) != nil && b.At(q).Key == b.At(p).Key
			}) {
				w.complain("shard %d: the key of record %d is in flight twice", r.s.id, p)
			}
		}
	}
	n.flight[c.Batch] = &flight{lane: c.Lane, ps: ps, window: in}
	for i, p := range ps {
		e := b.At(p)
		switch {
		case e == nil:
			w.complain("shard %d: record %d was never put", r.s.id, p)
			return
		case i > 0 && p <= ps[i-1]:
			w.complain("shard %d: records out of order: %v", r.s.id, ps)
		case book.LaneOf(e.Key, n.factor) != c.Lane:
			w.complain("shard %d: record %d is in lane %d, not %d", r.s.id, p, book.LaneOf(e.Key, n.factor), c.Lane)
		case p <= mark(&n.from, n.factor, c.Lane) && n.planned || p <= n.from.Low:
			w.complain("shard %d: record %d is delivered again, though the checkpoint says it is settled", r.s.id, p)
		case n.settled[p]:
			w.complain("shard %d: record %d is delivered again without a crash", r.s.id, p)
		case n.expired(e, w.now):
			w.complain("shard %d: record %d is delivered at an age of %s", r.s.id, p, e.Age(w.now))
		}
		if before := b.Unsettled(p, false, e.Key, ps); before != nil {
			w.complain("shard %d: record %d is delivered before %d, which has the same key", r.s.id, p, before.Pos)
		}
	}
	w.judgeWindow(r, in, ps)
	w.judgeBatch(r, c, ps, in)
	if !r.stale {
		w.judgeAhead(r, c.Lane)
	}
}

// expired reports that a record is too old under every configuration that was in force.
func (n *session) expired(e *book.Entry, now time.Time) bool {
	for _, c := range n.configs {
		if c.MaxAge == 0 || e.Age(now) < c.MaxAge {
			return false
		}
	}
	return true
}

// judgeBatch checks a batch's limits, its attempts, and that it is the batch that it was.
func (w *world) judgeBatch(r *runner, c *engine.Call, ps []record.Position, in *source.Window) {
	n := &r.seen
	size, retries := 0, 0
	for _, cfg := range n.configs {
		size = max(size, cfg.BatchSize)
		if cfg.MaxRetries < 0 || retries < 0 {
			retries = esm.Unlimited
		} else {
			retries = max(retries, cfg.MaxRetries)
		}
	}
	if first, again := n.batches[c.RequestID]; again && !suffix(first, ps) {
		w.complain("shard %d: a retry of %v brings %v", r.s.id, first, ps)
	} else if !again {
		n.batches[c.RequestID] = ps
	}
	if retries >= 0 && n.failures[c.RequestID] > retries {
		w.complain("shard %d: %v is tried again after %d failures", r.s.id, ps, n.failures[c.RequestID])
	}
	if n.planned && len(ps) > 0 && c.Lane < len(n.from.Lanes) { // batches of the checkpoint come back as they were
		prev := segmentOf(n.from.Lanes[c.Lane].Plan, ps[0])
		if segmentOf(n.from.Lanes[c.Lane].Plan, ps[len(ps)-1]) != prev {
			w.complain(
				"shard %d lane %d: %v mixes batches of the checkpoint %+v", r.s.id, c.Lane, ps,
				n.from.Lanes[c.Lane].Plan,
			)
		}
		if prev >= 0 {
			p := n.from.Lanes[c.Lane].Plan[prev]
			size = max(size, w.widest())
			if n.touch(c.Lane, prev) && c.Attempt <= p.Invocations {
				w.complain("shard %d lane %d: %v has lost its counter of %d", r.s.id, c.Lane, ps, p.Invocations)
			}
		}
	}
	if len(ps) > size {
		w.complain("shard %d: %d records in a batch of %d", r.s.id, len(ps), size)
	}
	bytes := len(envelope)
	if in != nil {
		bytes += windowHead + len(in.State)
	}
	for _, p := range ps {
		bytes += r.s.book.At(p).Size
	}
	if bytes != len(c.Payload) || bytes > esm.MaxPayload && len(ps) > 1 {
		w.complain("shard %d: a payload of %d bytes, %d by the book", r.s.id, len(c.Payload), bytes)
	}
}

func (w *world) widest() (n int) {
	for _, c := range w.configs {
		n = max(n, c.BatchSize)
	}
	return n
}

// touch notes that a batch of the checkpoint is being dealt with, and reports whether this is the first time.
func (n *session) touch(lane, segment int) (first bool) {
	first = !n.touched[[2]int{lane, segment}]
	n.touched[[2]int{lane, segment}] = true
	return first
}

func segmentOf(plan []esm.SegmentMark, p record.Position) int {
	return slices.IndexFunc(plan, func(m esm.SegmentMark) bool { return p <= m.Last })
}

func suffix(whole, part []record.Position) bool {
	return len(part) <= len(whole) && slices.Equal(whole[len(whole)-len(part):], part)
}

// judgeAhead checks that a crash now would not repeat too much.
func (w *world) judgeAhead(r *runner, lane int) {
	m := mark(&r.s.saved.checkpoint, r.seen.factor, lane)
	unsaved := slices.DeleteFunc(r.seen.ahead[lane], func(s success) bool { return s.last <= m })
	r.seen.ahead[lane] = unsaved
	if len(unsaved) >= 64 || len(unsaved) > 0 && w.now.Sub(unsaved[0].at) > time.Second {
		w.complain(
			"shard %d lane %d invokes with %d batches unsaved, the first since %s", r.s.id, lane, len(unsaved),
			w.now.Sub(unsaved[0].at),
		)
	}
}

// answered notes what an answer means for the batch, by the documented rules.
func (n *session) answered(r *runner, c *engine.Call, a engine.Answer) {
	f := n.flight[c.Batch]
	delete(n.flight, c.Batch)
	n.windowAnswered(r, f)
	switch {
	case a.Kind == engine.AnswerThrottled || a.Kind == engine.AnswerNotRun:
		return
	case f.ok && len(f.done) == 0:
		return // the end of a window
	case len(f.done) == 0:
		n.failures[c.RequestID]++
		r.w.failures[c.RequestID]++
		if a.StatusCode == 413 {
			r.w.tooLarge[c.RequestID] = true
		}
		return
	}
	for _, p := range f.done {
		n.settled[p] = true
	}
	n.ahead[f.lane] = append(n.ahead[f.lane], success{f.done[len(f.done)-1], r.w.now})
}

// observed checks what the machine says that it has done.
func (r *runner) observed(o engine.Observation) {
	n, w := &r.seen, r.w
	if w.opts.Trace {
		w.tracef("shard %d   %s %+v", r.s.id, esm.KindOf(o.What), o.What)
	}
	switch what := o.What.(type) {
	case *esm.Discarded:
		var ps []record.Position
		lane := what.ID.Lane
		for _, e := range r.s.book.Records {
			if e.Pos >= what.First && e.Pos <= what.Last && book.LaneOf(e.Key, n.factor) == lane {
				ps = append(ps, e.Pos)
			}
		}
		n.discards[what.Number], n.refused[what.Number] = ps, 0
		w.judgeDiscard(r, o.RequestID(), what, ps)
		if n.planned && lane < len(n.from.Lanes) && len(ps) > 0 {
			n.touch(lane, segmentOf(n.from.Lanes[lane].Plan, ps[0]))
		}
	case *esm.Dropped:
		always := !slices.ContainsFunc(n.configs, func(c esm.Config) bool { return !c.Destination })
		if given, refused := n.discards[what.Number], n.refused[what.Number]; always && refused < 3 {
			w.complain("shard %d: %v is dropped after %d refusals", r.s.id, given, refused)
		}
		for _, p := range n.discards[what.Number] {
			r.s.book.At(p).Dropped, n.settled[p] = true, true
		}
	case *esm.RecordsLost:
		if what.Last >= r.s.oldest {
			w.complain("shard %d: record %d is called lost and is there", r.s.id, what.Last)
		}
		for _, e := range r.s.book.Records {
			if e.Pos >= what.First && e.Pos <= what.Last {
				e.Excused = true
			}
		}
	case *esm.StateDropped:
		w.stateDropped(r, o.RequestID(), what)
	case *esm.Rebuilt:
		n.factor, n.planned, n.ahead = what.Factor, false, map[int][]success{}
		if len(n.flight) > 0 {
			w.complain("shard %d: lanes are rebuilt under %d invocations", r.s.id, len(n.flight))
		}
		if n.win.end != 0 {
			w.complain("shard %d: lanes are rebuilt under the window from %d", r.s.id, n.win.start)
		}
		for p := range n.settled {
			if p >= what.From {
				delete(n.settled, p)
			}
		}
	default:
	}
}

// judgeDiscard checks that records are given up for a reason.
func (w *world) judgeDiscard(r *runner, request string, o *esm.Discarded, ps []record.Position) {
	if len(ps) != o.Count {
		w.complain("shard %d: %d records are given up, %v by the book", r.s.id, o.Count, ps)
	}
	retries, age := -1, time.Duration(0)
	for _, c := range w.configs {
		if c.MaxRetries >= 0 && (retries < 0 || c.MaxRetries < retries) {
			retries = c.MaxRetries
		}
		if c.MaxAge > 0 && (age == 0 || c.MaxAge < age) {
			age = c.MaxAge
		}
	}
	switch o.Condition {
	case esm.RetryAttemptsExhausted:
		if f := w.failures[request]; !w.tooLarge[request] && (retries < 0 || f <= retries) {
			w.complain("shard %d: %v is given up after %d failures", r.s.id, ps, f)
		}
	case esm.RecordAgeExceeded:
		for _, p := range ps {
			if e := r.s.book.At(p); age == 0 || e.Age(w.now) < age {
				w.complain("shard %d: record %d is given up at an age of %s", r.s.id, p, e.Age(w.now))
			}
		}
	}
}

// judgeNotice checks a notice against what the machine has given up, and returns the records that it names.
func (w *world) judgeNotice(r *runner, a *engine.Announce) []record.Position {
	var doc struct {
		RequestContext struct {
			Condition string `json:"condition"`
		} `json:"requestContext"`
		Batch []record.Position `json:"batch"`
	}
	ps := r.seen.discards[a.Batch]
	if err := json.Unmarshal(a.Body, &doc); err != nil || len(doc.Batch) != 3 {
		w.complain("shard %d: a notice that is no document: %s", r.s.id, strings.ToValidUTF8(string(a.Body), "?"))
		return nil
	}
	if len(ps) == 0 || ps[0] != doc.Batch[0] || ps[len(ps)-1] != doc.Batch[1] || len(ps) != int(doc.Batch[2]) {
		w.complain("shard %d: a notice about %v for records %v", r.s.id, doc.Batch, ps)
	}
	return ps
}

// delivered notes how a notice ended.
func (n *session) delivered(batch uint64, result esm.DeliveryResult) {
	switch result {
	case esm.DeliveryDone:
		for _, p := range n.discards[batch] {
			n.settled[p] = true
		}
	case esm.DeliveryRefused:
		n.refused[batch]++
	case esm.DeliveryFault:
	}
}

// judgeSave checks that a checkpoint passes nothing that is not settled, and does not go back.
func (w *world) judgeSave(s *shard, r *runner, cp *esm.Checkpoint) {
	if cp.Low < r.seen.low {
		w.complain("shard %d: the checkpoint goes back from %d to %d", s.id, r.seen.low, cp.Low)
	}
	r.seen.low = cp.Low
	for _, e := range s.book.Records {
		if !e.Settled() && e.Pos <= mark(cp, cp.Factor, book.LaneOf(e.Key, cp.Factor)) {
			w.complain("shard %d: the checkpoint passes record %d, which is not settled", s.id, e.Pos)
		}
	}
}

// judgeDurable checks that what is durable only moves on.
func (w *world) judgeDurable(s *shard, cp *esm.Checkpoint) {
	if old := &s.saved.checkpoint; cp.Low < old.Low || cp.Generation < old.Generation || old.Ended && !cp.Ended {
		w.complain("shard %d: the durable checkpoint goes back from %s to %s", s.id, shown(*old), shown(*cp))
	}
}

// judgeStart checks that a child waits for its parents.
func (w *world) judgeStart(s *shard) {
	for _, p := range s.parents {
		parent := w.shards[p]
		if e := parent.book.Unsettled(record.MaxPosition, true, 0, nil); e != nil || !parent.saved.checkpoint.Ended {
			w.complain("shard %d starts before its parent %d has ended", s.id, p)
		}
	}
}

// judgeEnded checks that a shard ends only when it is closed and settled.
func (w *world) judgeEnded(s *shard) {
	if e := s.book.Unsettled(record.MaxPosition, true, 0, nil); e != nil || !s.closed || !s.saved.checkpoint.Ended {
		w.complain("shard %d ends and is not at its end: %s", s.id, shown(s.saved.checkpoint))
	}
}

// judgeEnd checks that everything came to an end.
func (w *world) judgeEnd() {
	for _, s := range w.shards {
		if e := s.book.Unsettled(record.MaxPosition, true, 0, nil); e != nil {
			lanes := "no machine"
			if s.runner != nil {
				lanes = string(mustJSON(s.runner.x.Lanes()))
			}
			w.complain("shard %d: record %d never came to an end; %s", s.id, e.Pos, lanes)
			continue
		}
		if n := len(s.log); n > 0 && s.saved.checkpoint.Low < s.log[n-1].Pos {
			w.complain(
				"shard %d: everything is settled up to %d, and saved up to %d", s.id, s.log[n-1].Pos,
				s.saved.checkpoint.Low,
			)
		}
		if s.closed && !s.saved.checkpoint.Ended {
			w.complain("shard %d is closed and settled, and has not ended", s.id)
		}
		w.judgeWindowsEnded(s)
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func (w *world) accepted() (n int) {
	for _, s := range w.shards {
		n += len(s.log)
	}
	return n
}
