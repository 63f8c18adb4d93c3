package sim

import (
	"slices"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/sim/book"
)

// session is the judge's account of one machine: what it was told, what it has done, and what it must do next by the
// product's own rules. It learns nothing from what the machine says of itself.
type session struct {
	w    *world
	node *node
	s    *shard

	from    esm.Checkpoint
	cfg     esm.Config  // in force
	next    *esm.Config // waits until the lanes can be rebuilt
	sifted  bool        // and meanwhile the shell may have read under other filters than those of cfg
	factor  int         // of the lane map in force
	gen     uint32
	lanes   []*lane
	release bool

	// What the last configuration says, one that waits included.
	partial   bool
	batchSize int
	filter    uint64

	refiltered bool     // and nothing was read since
	before     *session // how it was then, if it may be so still

	// reading
	fetch    engineFetch
	given    []*book.Entry   // every entry that the machine was given and whose records count for the buffer
	bytes    int             // of given
	position record.Position // every record below it was given, or is gone
	oldest   record.Position // every record below it is gone, and the machine knows
	arrival  record.Millis   // the largest that was given
	sealed   record.Millis   // no record with an older arrival can still be given
	dry      bool            // nothing more could be had when it was asked last
	tail     bool            // because there was nothing more
	failed   bool            // because it could not be read
	ended    bool            // because the shard ends there
	full     bool            // the buffer was, when the step began
	choked   bool            // the buffer was full, and is not empty enough yet
	failures int             // of reads, in a row
	again    span            // when a failed read is repeated
	anew     bool            // failures may count from the read that is out
	asked    time.Time       // when a read last asked how far the tail is sealed

	win     openWindow
	latest  record.Millis          // the beginning of the last window
	closed  map[record.Millis]bool // windows that have had their final invocation, by their beginning
	batches map[string]bool        // request ids

	saving    bool
	saveFails int             // in a row
	saveAgain span            // when a checkpoint that was not saved is
	savedAt   time.Time       // when the last checkpoint was given
	fenced    bool            // a checkpoint was refused
	abandoned bool            // the machine is not to wait for what is in flight
	low       record.Position // of the last checkpoint
}

// engineFetch is what the judge knows of the Fetch that counts.
type engineFetch struct {
	seq  uint64
	out  bool
	wait bool
}

// span is the earliest and the latest moment at which something may happen.
type span struct{ from, to time.Time }

// backoff is the pause before the n-th repeat, from 1, as it is documented: doubling up to a cap, shorter or longer by
// the jitter, and never beyond the cap.
func (n *session) backoff(times int) span {
	d := n.cfg.BackoffBase
	for range times - 1 {
		d = min(2*d, n.cfg.BackoffCap)
	}
	d = min(d, n.cfg.BackoffCap)
	j := time.Duration(n.cfg.Jitter)
	return span{n.w.now.Add(d * (100 - j) / 100), n.w.now.Add(min(d*(100+j)/100, n.cfg.BackoffCap))}
}

func newSession(w *world, node *node, s *shard, cfg esm.Config, from esm.Checkpoint) session {
	n := session{
		w: w, node: node, s: s, from: from, cfg: cfg, factor: cfg.Factor, gen: from.Generation,
		partial: cfg.PartialResponses, batchSize: cfg.BatchSize, filter: cfg.Filter,
		position: from.Low + 1, low: from.Low, arrival: from.MaxArrival, ended: from.Ended, dry: from.Ended,
		closed: map[record.Millis]bool{}, batches: map[string]bool{},
	}
	width := time.Duration(0)
	if m := from.Window; m != nil {
		width = m.Width
		n.win = windowFrom(m)
		if m.Width != cfg.TumblingWindow {
			if m.Last != 0 { // what is open has its end under the knobs that it was opened with
				n.next = &cfg
				n.cfg.TumblingWindow, n.cfg.Factor, n.factor = m.Width, 1, 1
			} else {
				n.win = openWindow{closed: m.Closed}
			}
		}
	}
	same := from.Factor == n.cfg.Factor && width == n.cfg.TumblingWindow
	if from.Factor != 0 && !same {
		n.gen++
	}
	n.layLanes()
	for i := range min(len(from.Lanes), len(n.lanes)) {
		if m := from.Lanes[i]; same {
			n.lanes[i].mark = m.Settled
			for _, p := range m.Plan {
				n.lanes[i].plan = append(n.lanes[i].plan, &part{
					last: p.Last, filter: p.ID.Filter, restored: true, failures: p.Failures, invocations: p.Invocations,
					tooLarge: p.Status == statusTooLarge,
				})
			}
			n.lanes[i].forget(cfg.Filter)
		}
	}
	return n
}

const statusTooLarge = 413

func (n *session) layLanes() {
	n.lanes = make([]*lane, n.factor)
	for i := range n.lanes {
		n.lanes[i] = &lane{id: i, opened: span{n.w.now, n.w.now}}
	}
}

// of returns the lane of an entry.
func (n *session) of(e *book.Entry) *lane { return n.lanes[n.s.laneOf(e.Key, n.factor)] }

// busy reports whether no new batch may start: the machine ends, or its lanes are to be rebuilt.
func (n *session) busy() bool { return n.release || n.next != nil }

// closing reports whether the lanes are rebuilt once the open window has had its end.
func (n *session) closing() bool { return !n.release && n.next != nil && n.win.end != 0 }

// lowest is the largest position such that the machine has settled all records up to it.
func (n *session) lowest() record.Position {
	low := n.position - 1
	for _, l := range n.lanes {
		if len(l.queue) > 0 {
			low = min(low, l.queue[0].Pos-1)
		}
	}
	return low
}

// used is how much of the buffer is taken: with several lanes, by everything beyond the low-water mark.
func (n *session) used() (records, bytes int) {
	if n.factor == 1 {
		for _, i := range n.lanes[0].queue {
			bytes += i.Size
		}
		return len(n.lanes[0].queue), bytes
	}
	low := n.lowest()
	for len(n.given) > 0 && n.given[0].Pos <= low {
		n.bytes -= n.given[0].Size
		n.given = n.given[1:]
	}
	return len(n.given), n.bytes
}

func (n *session) maxRecords() int { return n.cfg.Factor * max(n.cfg.BatchSize, 10_000) }
func (n *session) maxBytes() int   { return (n.cfg.Factor + 1) * esm.MaxPayload }

// measure notes whether the buffer is full: from then on until a quarter of it is free.
func (n *session) measure() {
	records, bytes := n.used()
	switch {
	case records >= n.maxRecords() || bytes >= n.maxBytes():
		n.choked = true
	case records*4 <= n.maxRecords()*3 && bytes*4 <= n.maxBytes()*3:
		n.choked = false
	}
}

// told notes what the machine is about to be told.
func (n *session) told(ev esm.Event) {
	switch ev := ev.(type) {
	case esm.ReadReturned:
		n.readReturned(&ev)
	case esm.ReadFailed:
		if n.fetch.out && ev.Seq == n.fetch.seq {
			n.fetch.out = false
			n.failures++
			if n.again = n.backoff(n.failures); n.anew {
				n.again.from = n.backoff(1).from
			}
			n.dry, n.tail, n.failed = true, false, true
		}
	case esm.Horizon:
		n.horizon(ev.Oldest)
	case esm.SlotFree:
		if ev.Lane < len(n.lanes) {
			n.lanes[ev.Lane].slotFree(n.w.now)
		}
	case esm.Saved:
		n.saved(ev.Result)
	case esm.Reconfigured:
		n.reconfigured(ev.Config)
	case esm.Release:
		n.release, n.next = true, nil
	case esm.Nudge:
		for _, l := range n.lanes {
			l.nudge(n.w.now)
		}
	case esm.Returned, esm.Delivered, esm.Tick: // see answered and delivered, which know the truth
	}
	if l := n.lanes[0]; n.closing() && l.flight == nil { // its records come again after the rebuild
		if l.notice != nil && !l.notice.out {
			l.notice = nil
		}
		if l.notice == nil && !l.pause.end {
			l.pause = pause{}
		}
	}
	n.measure()
	n.full = n.choked
	for _, l := range n.lanes {
		n.lose(l)
	}
	n.turnSilently(true)
	n.measure()
}

// begins checks that the machine has done what was due before something new happens, and notes what it is told.
func (n *session) begins(ev esm.Event) {
	for _, l := range n.lanes {
		if !l.deadline.IsZero() && n.w.now.After(l.deadline) {
			n.complain("lane %d does nothing, and something was due at %s", l.id, n.w.since(l.deadline))
		}
	}
	n.overdue()
	n.told(ev)
}

// overdue notes what the machine has done without a sign since its last step, under what held until now: a notice whose
// destination is gone, and a window, end at a moment that chance decides.
func (n *session) overdue() {
	if p := n.lanes[0].pause; p.why != noPause && n.w.now.After(p.to) {
		n.turnSilently(true)
	}
	for _, l := range n.lanes {
		if l.notice != nil && n.w.now.After(l.notice.to) {
			n.drop(l, record.MaxPosition, true)
		}
	}
}

// wants looks at all that a step has led to before any of it is judged: a read that is due and not among it waits for
// memory, and what there is need not wait for it.
func (n *session) wants(effects []engine.Effect) {
	for _, e := range effects {
		if f, ok := e.(engine.Fetch); ok {
			if f.Wait && n.node.budget != nil && (!n.dry || n.failed) { // there was no memory when it was asked first
				n.shortOfMemory()
			}
			return
		}
	}
	if n.readDue() && n.node.budget != nil {
		n.shortOfMemory()
	}
}

// rests checks, once a step is done, that nothing was left undone.
func (n *session) rests() {
	n.settleSilently()
	if n.readDue() {
		n.judgeHungry()
	}
	n.judgeSaving()
	for _, l := range n.lanes {
		l.deadline = n.deadline(l)
		if !l.deadline.IsZero() && !l.deadline.After(n.w.now) {
			due := n.w.since(l.deadline)
			n.complain("lane %d does nothing, and something is due since %s: %s", l.id, due, l.shownPlan())
		}
	}
}

// settleSilently notes what the machine must have done by now without a sign of it.
func (n *session) settleSilently() {
	n.turnSilently(true)
	for _, l := range n.lanes {
		n.drop(l, record.MaxPosition, true)
		n.skipEmpty(l)
		if l.perhaps == 0 {
			l.perhapsAt = n.w.now
		}
		l.perhaps = max(l.perhaps, n.droppable(l))
	}
	n.turnSilently(true)
	n.measure()
}

// judgeSaving checks that a machine saves what it has come to, and asks the source about a window that may be over.
func (n *session) judgeSaving() {
	due := n.saveDue(n.savedAt)
	if due.Before(n.saveAgain.to) {
		due = n.saveAgain.to
	}
	for _, l := range n.lanes {
		if !n.saving && len(l.ahead) > 0 && !n.w.now.Before(due) {
			n.complain("lane %d: what was settled at %s is not being saved", l.id, n.w.since(l.ahead[0].at))
		}
	}
	if at := n.askAt(); !at.IsZero() && !at.After(n.w.now) {
		n.complain("the source is not asked whether the window from %d is over", n.win.start)
	}
}

// saveDue is when what was settled must be saved, unless a save has failed: in the next beat after the last checkpoint,
// and at once before an end, a rebuild, or when a lane is a quarter of the way to where it must wait.
func (n *session) saveDue(last time.Time) time.Time {
	const hurry = 16
	ended := n.ended && n.heldNow() == 0 && n.win.end == 0
	if n.release || n.next != nil || ended || slices.ContainsFunc(n.lanes, func(l *lane) bool {
		return len(l.ahead) >= hurry
	}) {
		return time.Time{}
	}
	return last.Truncate(n.cfg.SaveBeat).Add(n.cfg.SaveBeat)
}

// askAt is when the source is to be asked how far the tail is sealed: at the end of an idle window, and again after a
// pause. It is zero while nothing depends on it.
func (n *session) askAt() time.Time {
	l, w := n.lanes[0], &n.win
	idle := l.idle() && n.fetch.out && n.fetch.wait && !n.ended && !n.busy() && len(l.ahead) == 0
	if w.last == 0 || n.turns(l) || !idle || n.node.budget != nil {
		return time.Time{}
	}
	at := w.end.Time()
	if again := n.asked.Add(sealAgain); again.After(at) {
		at = again
	}
	return at
}

// skipEmpty takes batches off the front of the plan of which nothing is left.
func (n *session) skipEmpty(l *lane) {
	for l.free() && !l.pause.end && len(l.plan) > 0 && l.atHand() == 0 && !n.rereads(l) {
		l.plan = l.plan[1:]
		l.pause = pause{}
	}
}

// flying is the lane whose invocation of a batch is out; nil when none is.
func (n *session) flying(batch uint64) *lane {
	for _, l := range n.lanes {
		if l.flight != nil && l.flight.batch == batch {
			return l
		}
	}
	return nil
}

// cancelled notes that the answer to an invocation is not waited for any more.
func (n *session) cancelled(batch uint64) {
	if l := n.flying(batch); l != nil {
		l.flight = nil
	}
}

// heldNow is how many records are read and not settled.
func (n *session) heldNow() (records int) {
	for _, l := range n.lanes {
		records += len(l.queue)
	}
	return records
}

func (n *session) reconfigured(cfg esm.Config) {
	n.partial, n.batchSize, n.filter = cfg.PartialResponses, cfg.BatchSize, cfg.Filter
	switch {
	case cfg.Factor == n.cfg.Factor && cfg.TumblingWindow == n.cfg.TumblingWindow:
		other := cfg.Filter != n.cfg.Filter || n.sifted
		if n.cfg, n.next, n.sifted = cfg, nil, false; other && !n.release {
			n.refilter()
		}
	case !n.release:
		n.next = &cfg
		n.sifted = n.sifted || cfg.Filter != n.cfg.Filter
		n.cfg.MaxRetries, n.cfg.MaxAge = cfg.MaxRetries, cfg.MaxAge // limits hold from the next decision on
	}
}

// rebuilt notes that the lanes are another's from now on: what is not below the low-water mark comes again.
func (n *session) rebuilt(cp *esm.Checkpoint) {
	low := n.lowest()
	if n.next == nil || cp.Generation != n.gen+1 || cp.Factor != n.next.Factor {
		n.complain("lanes are rebuilt as %s, and %+v waits", shown(*cp), n.next)
		return
	}
	for _, l := range n.lanes {
		if l.flight != nil {
			n.complain("lanes are rebuilt under an invocation in lane %d", l.id)
		}
	}
	if n.win.last != 0 {
		n.complain("lanes are rebuilt under the window from %d", n.win.start)
	}
	n.arrival = n.arrivalAt(low)
	n.cfg, n.next, n.sifted, n.gen, n.factor = *n.next, nil, false, cp.Generation, cp.Factor
	n.from, n.position = esm.Checkpoint{Low: low}, low+1
	n.win, n.closed = openWindow{closed: n.win.closed}, map[record.Millis]bool{}
	n.given, n.bytes, n.choked, n.fetch.out = nil, 0, false, false
	n.dry, n.tail, n.failed, n.ended, n.sealed, n.again = false, false, false, false, 0, span{}
	n.layLanes()
}

// arrivalAt is the arrival that counts for the first record beyond low, if it was given.
func (n *session) arrivalAt(low record.Position) record.Millis {
	first, arrival := record.MaxPosition, n.arrival
	for _, l := range n.lanes {
		if len(l.queue) > 0 && l.queue[0].Pos < first {
			first, arrival = l.queue[0].Pos, l.queue[0].arrival
		}
	}
	return arrival
}

func (n *session) complain(format string, args ...any) {
	n.w.complain("shard %d: "+format, append([]any{n.s.id}, args...)...)
}

func positionsOf(items []item) (ps []record.Position) {
	for _, i := range items {
		ps = append(ps, i.Pos)
	}
	return ps
}
