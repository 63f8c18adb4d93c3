package sim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// judgeCall checks an invocation against everything that the product promises about invocations.
func (n *session) judgeCall(c *engine.Call, ps []record.Position, in *source.Window) {
	if c.Lane >= len(n.lanes) {
		n.complain("an invocation in lane %d of %d", c.Lane, len(n.lanes))
		return
	}
	l := n.lanes[c.Lane]
	n.skipEmpty(l)
	switch {
	case l.flight != nil:
		n.complain("lane %d: a second invocation while one runs", l.id)
	case l.notice != nil && l.notice.out:
		n.complain("lane %d: an invocation while a notice is on its way", l.id)
	case n.release:
		n.complain("lane %d: an invocation of a machine that is to end", l.id)
	case n.next != nil && len(ps) > 0:
		n.complain("lane %d: an invocation of lanes that are to be rebuilt", l.id)
	case n.tooFarAhead(l):
		n.complain("lane %d invokes with %d batches unsaved since %s", l.id, len(l.ahead), n.w.since(l.ahead[0].at))
	case n.w.now.Before(l.pause.from) && l.atHandIs(ps):
		n.complain("lane %d tries again at %s, %s before it may", l.id, n.w.clock(), l.pause.from.Sub(n.w.now))
	}
	bytes := 0
	for _, p := range ps {
		e := n.s.book.At(p)
		if e == nil {
			n.complain("record %d was never put", p)
			return
		}
		bytes += e.Size
		if lane := n.s.laneOf(e.Key, n.factor); lane != l.id {
			n.complain("record %d is in lane %d, not %d", p, lane, l.id)
			return
		}
	}
	n.judgeWindow(c, in, ps)
	if len(n.w.complaints) > 0 {
		return
	}
	if bytes += n.base(); len(ps) > 0 {
		n.judgeBatch(l, c, ps)
	} else {
		bytes = n.w.format.Recordless() + len(n.win.given())
	}
	if bytes != len(c.Payload) || bytes > esm.MaxPayload && len(ps) > 1 {
		n.complain("a payload of %d bytes, %d by the book", len(c.Payload), bytes)
	}
	if len(ps) > 0 {
		l.perhaps = 0
	}
	l.flight = &flight{batch: c.Batch, lane: c.Lane, ps: ps, window: in}
	l.pause = pause{}
}

// atHandIs reports whether records belong to the batch at hand; none belong to the end of a window.
func (l *lane) atHandIs(ps []record.Position) bool {
	return len(ps) == 0 && l.pause.end || len(ps) > 0 && len(l.plan) > 0 && ps[0] <= l.plan[0].last
}

// judgeBatch checks that records are those that are due in their lane, all of them and no other.
func (n *session) judgeBatch(l *lane, c *engine.Call, ps []record.Position) {
	n.drop(l, ps[0], false)
	if n.skipEmpty(l); len(l.queue) < len(ps) || !slices.Equal(positionsOf(l.queue[:len(ps)]), ps) {
		due := positionsOf(l.queue[:min(len(l.queue), len(ps)+3)])
		n.complain("lane %d invokes with %v, and %v are due", l.id, ps, due)
		return
	}
	if len(l.plan) == 0 {
		n.cut(l, "an invocation")
	}
	p := l.plan[0]
	n.fit(l)
	switch all := l.atHand(); {
	case n.rereads(l):
		n.complain("lane %d invokes with %v before all of the batch up to %d is read again", l.id, ps, p.last)

	case len(ps) > all:
		n.complain("lane %d: %v is more than the batch up to %d", l.id, ps, p.last)
		return
	case len(ps) < all:
		bytes := n.base()
		for _, i := range l.queue[:min(len(ps)+1, len(l.queue))] {
			bytes += i.Size
		}
		if bytes <= esm.MaxPayload {
			n.complain("lane %d: %v is less than the batch up to %d", l.id, ps, p.last)
		}
		l.split(ps[len(ps)-1])
	}
	switch {
	case c.Attempt != p.invocations+1:
		n.complain("lane %d: attempt %d of %v follows %d", l.id, c.Attempt, ps, p.invocations)
	case n.spent(p):
		n.complain("lane %d: %v is tried again after %d failures", l.id, ps, p.failures)
	case p.id != "" && p.id != c.RequestID:
		n.complain("lane %d: %v has the request id %s, and had %s", l.id, ps, c.RequestID, p.id)
	case p.id == "" && n.batches[c.RequestID]:
		n.complain("lane %d: %v has the request id of another batch", l.id, ps)
	case l.queue[0].expired(n.cfg.MaxAge, n.w.now):
		n.complain("record %d is delivered at an age of %s", ps[0], l.queue[0].Age(n.w.now))
	}
	p.restored, p.id = false, c.RequestID
	n.batches[c.RequestID] = true
	if start, end := n.windowOf(l.queue[0]); n.cfg.TumblingWindow != 0 {
		if l.queue[len(ps)-1].arrival >= end {
			n.complain("record %d is in the window from %d", ps[len(ps)-1], start)
		}
		n.win.start, n.win.end = start, end
	}
	for _, i := range l.queue[:len(ps)] {
		if before := n.s.firstOf(i.Key); before != nil && before.Pos < ps[0] {
			n.complain("record %d is delivered before %d, which has the same key", i.Pos, before.Pos)
		}
		n.w.judgeLineage(n.s, i.Key, i.Pos)
	}
}

// answered notes what an answer means for the batch, by the documented rules.
func (n *session) answered(l *lane, a *engine.Answer) {
	f := l.flight
	l.flight, l.opened = nil, span{n.w.now, n.w.now}
	p := &n.win.call
	if len(f.ps) > 0 {
		p = l.plan[0]
	}
	switch a.Kind {
	case engine.AnswerThrottled, engine.AnswerNotRun:
		w := afterThrottle
		if a.Kind == engine.AnswerNotRun {
			w = afterFault
		}
		p.refusals++
		l.pause = pause{why: w, end: len(f.ps) == 0, span: n.backoff(p.refusals)}
		return
	case engine.AnswerOK, engine.AnswerError:
	}
	p.invocations++
	p.refusals = 0
	p.tooLarge = a.StatusCode == statusTooLarge
	switch count := len(f.ps); {
	case f.ok:
		if f.window != nil {
			n.windowAnswered(f)
		}
		if l.settle(len(f.done), n.w.now); len(f.done) < count {
			l.plan[0] = p.rest(p.last)
		}
	case n.cfg.Bisect && count > 1:
		l.plan[0] = p.rest(f.ps[count/2-1])
		l.plan = slices.Insert(l.plan, 1, p.rest(p.last))
	default:
		if p.failures++; !n.spent(p) {
			l.pause = pause{why: afterFailure, end: count == 0, span: n.backoff(p.failures)}
		}
	}
}

// judgeNotice checks that records are given up for a reason, and returns those that a notice names.
func (n *session) judgeNotice(a *engine.Announce) (ps []record.Position) {
	var doc struct {
		RequestContext struct {
			RequestID   string        `json:"requestId"`
			Condition   esm.Condition `json:"condition"`
			InvokeCount int           `json:"approximateInvokeCount"`
		} `json:"requestContext"`
		Batch []record.Position `json:"batch"`
	}
	if err := json.Unmarshal(a.Body, &doc); err != nil || len(doc.Batch) != 3 || n.s.book.At(doc.Batch[0]) == nil {
		n.complain("a notice that is no document: %s", strings.ToValidUTF8(string(a.Body), "?"))
		return nil
	}
	first, last, count := doc.Batch[0], doc.Batch[1], int(doc.Batch[2])
	l := n.lanes[n.s.laneOf(n.s.book.At(first).Key, n.factor)]
	if g := l.notice; g != nil {
		n.judgeRepeat(l, a)
		return positionsOf(g.items)
	}
	if n.win.end != 0 && n.turns(l) { // it tells that the end of the window, which came first, was dropped
		n.turnSilently(false)
	}
	n.drop(l, first, false)
	n.skipEmpty(l)
	switch {
	case n.busy():
		n.complain("lane %d gives up %v and is to end", l.id, doc.Batch)
	case l.flight != nil:
		n.complain("lane %d gives up %v while an invocation runs", l.id, doc.Batch)
		return nil
	case !n.cfg.Destination:
		n.complain("a notice about %v without a destination", doc.Batch)
	case len(l.queue) < count || l.queue[0].Pos != first || count == 0 || l.queue[count-1].Pos != last:
		n.complain("lane %d gives up %v, and %v are due", l.id, doc.Batch, positionsOf(l.queue))
		return nil
	}
	// A batch of which a notice was refused may be tried again under new limits, and is given up again.
	// In every machine the same records are meant, or the destination takes one notice for a repeat of the other.
	if named, now := n.s.notices[a.ID], positionsOf(l.queue[:count]); named != nil && !slices.Equal(named, now) {
		n.complain("the notices of %v and %v have the id %s", named, now, a.ID)
	}
	if len(l.plan) == 0 {
		n.cut(l, "a notice")
	}
	n.fit(l)
	p, all, old := l.plan[0], l.atHand(), l.expired(n)
	p.restored = false // its records are there, and it is dealt with
	invocations := p.invocations
	switch doc.RequestContext.Condition {
	case esm.RetryAttemptsExhausted:
		if !n.spent(p) || count != all || n.w.now.Before(l.pause.from) || old > 0 {
			n.complain("lane %d: %v is given up after %d failures, %d of %d records", l.id, doc.Batch, p.failures, count, all)
		}
	case esm.RecordAgeExceeded:
		invocations++ // AWS's recordings show one more than the function saw
		if count != old {
			n.complain("lane %d: %v is given up for its age, and %d records are old", l.id, doc.Batch, old)
		}
	default:
		n.complain("a notice with the condition %s", doc.RequestContext.Condition)
	}
	if doc.RequestContext.InvokeCount != invocations || p.id != "" && p.id != doc.RequestContext.RequestID {
		n.complain("lane %d: a notice of %d invocations of %s, not %d of %s", l.id, doc.RequestContext.InvokeCount,
			doc.RequestContext.RequestID, invocations, p.id)
	}
	if p.id == "" {
		p.id = doc.RequestContext.RequestID
		n.batches[p.id] = true
	}
	l.perhaps = 0
	l.notice = &notice{
		items: slices.Clone(l.queue[:count]), id: a.ID, batch: a.Batch, out: true,
		condition: doc.RequestContext.Condition,
	}
	n.s.notices[a.ID] = positionsOf(l.notice.items)
	return n.s.notices[a.ID]
}

// judgeRepeat checks that a notice comes again as it was, and not before it may.
func (n *session) judgeRepeat(l *lane, a *engine.Announce) {
	g := l.notice
	switch {
	case g.id != a.ID:
		n.complain("lane %d: a notice %s while %s is not delivered", l.id, a.ID, g.id)
	case g.out:
		n.complain("lane %d: a notice is sent twice at once", l.id)
	case n.w.now.Before(g.from):
		n.complain("lane %d: a notice is sent again %s before it may", l.id, g.from.Sub(n.w.now))
	case !n.cfg.Destination || n.busy():
		n.complain("lane %d: a notice is sent again for no reason", l.id)
	}
	g.out = true
}

// delivered notes how a notice ended.
func (n *session) delivered(batch uint64, result esm.DeliveryResult) {
	for _, l := range n.lanes {
		g := l.notice
		if g == nil || !g.out || g.batch != batch {
			continue
		}
		g.out = false
		switch result {
		case esm.DeliveryDone:
			n.noticeEnds(l)
		case esm.DeliveryRefused:
			if g.refusals++; g.refusals == deliveryTries {
				for _, i := range g.items {
					i.Dropped = true
				}
				n.noticeEnds(l)
				return
			}
			at := n.w.now.Add(time.Duration(g.refusals) * time.Second)
			g.span = span{at, at}
		case esm.DeliveryFault:
			g.faults++
			g.span = n.backoff(g.faults)
		}
	}
}

// deliveryTries is how often a destination may refuse a notice.
const deliveryTries = 3

// noticeEnds settles the records of a notice. A pause that was under way goes on for the rest of their batch.
func (n *session) noticeEnds(l *lane) {
	count := len(l.notice.items)
	if l.notice = nil; l.atHand() == count {
		l.opened = span{n.w.now, n.w.now}
	}
	l.settle(count, n.w.now)
}

// judgeSave checks that a checkpoint tells exactly what the machine has come to.
func (n *session) judgeSave(cp *esm.Checkpoint) {
	if n.saving {
		n.complain("two checkpoints are saved at once")
	}
	if n.w.now.Before(n.saveAgain.from) {
		n.complain("a checkpoint is saved again %s before it may", n.saveAgain.from.Sub(n.w.now))
	}
	before := n.savedAt
	n.saving, n.savedAt = true, n.w.now
	rebuilt := cp.Generation != n.gen
	if rebuilt {
		n.rebuilt(cp)
	}
	if cp.Factor != n.factor || len(cp.Lanes) > n.factor {
		n.complain("a checkpoint %s of %d lanes", shown(*cp), n.factor)
		return
	}
	if cp.Low < n.low {
		n.complain("the checkpoint goes back from %d to %d", n.low, cp.Low)
	}
	n.low = cp.Low
	for _, l := range n.lanes {
		n.judgeLaneMark(l, cp)
		l.saving = len(l.ahead)
	}
	if n.win.last == 0 || n.tellsOtherwise(cp.Window) {
		n.turnSilently(false) // what was given up may have been the last of its window
	}
	if at := n.saveDue(before); n.w.now.Before(at) && !rebuilt && !cp.Ended {
		n.complain("a checkpoint is saved %s before the next beat, and nothing waits for it", at.Sub(n.w.now))
	}
	if low := n.lowest(); cp.Low != low {
		n.complain("a checkpoint at %d, and everything is settled up to %d", cp.Low, low)
	}
	if a := n.arrivalAt(cp.Low); cp.MaxArrival != a {
		n.complain("a checkpoint with the arrival %d instead of %d", cp.MaxArrival, a)
	}
	n.judgeMark(cp.Window)
	if held := n.heldNow(); cp.Ended && (!n.ended || held > 0 || n.win.end != 0) {
		n.complain("a checkpoint says that the shard has ended, and %d records are held", held)
	}
	for _, e := range n.s.book.Records {
		if !e.Settled() && e.Pos <= markOf(cp, cp.Factor, n.s.laneOf(e.Key, cp.Factor)) {
			n.complain("the checkpoint passes record %d, which is not settled", e.Pos)
		}
	}
}

// markOf is how far a checkpoint says that a lane is settled.
func markOf(cp *esm.Checkpoint, factor, lane int) record.Position {
	if cp.Factor == factor && lane < len(cp.Lanes) {
		return max(cp.Low, cp.Lanes[lane].Settled)
	}
	return cp.Low
}

// judgeLaneMark checks what a checkpoint says about a lane: how far it is, and which batches it has left to do.
func (n *session) judgeLaneMark(l *lane, cp *esm.Checkpoint) {
	mark := markOf(cp, n.factor, l.id)
	n.drop(l, mark+1, false)
	if len(l.queue) > 0 && l.queue[0].Pos <= mark {
		n.complain("the checkpoint passes record %d of lane %d", l.queue[0].Pos, l.id)
		return
	}
	var plan []esm.SegmentMark
	if l.id < len(cp.Lanes) {
		plan = cp.Lanes[l.id].Plan
	}
	if l.mark > cp.Low && mark != l.mark {
		n.complain("the checkpoint has lane %d at %d, and it is at %d", l.id, mark, l.mark)
	}
	n.skipEmpty(l)
	if len(plan) < len(l.plan) {
		n.complain("lane %d: a checkpoint with the batches %+v, and those up to %s are at hand", l.id, plan, l.shownPlan())
		return
	}
	for i, p := range l.plan {
		m := plan[i]
		if m.Last != p.last || m.ID.Filter != p.filter || m.Failures != p.failures || m.Invocations != p.invocations {
			n.complain("lane %d: a checkpoint with the batches %+v instead of %s", l.id, plan, l.shownPlan())
			return
		}
	}
}

// saved notes what became of a checkpoint.
func (n *session) saved(result esm.SaveResult) {
	n.saving = false
	switch result {
	case esm.SaveDone:
		n.saveFails, n.saveAgain = 0, span{}
		for _, l := range n.lanes {
			l.ahead, l.saving = l.ahead[l.saving:], 0
		}
	case esm.SaveConflict:
		n.fenced = true
	case esm.SaveFault:
		n.saveFails++
		n.saveAgain = n.backoff(n.saveFails)
	}
}

// judgeDone checks that a machine ends for the reason that it gives, and leaves nothing behind.
func (n *session) judgeDone(reason esm.FinishReason) {
	unsaved := n.saving
	for _, l := range n.lanes {
		unsaved = unsaved || len(l.ahead) > 0 || l.flight != nil || l.notice != nil && l.notice.out
	}
	switch reason {
	case esm.Released:
		if !n.release || unsaved && !n.abandoned {
			n.complain("released with something left to save: %s", shown(n.s.saved.checkpoint))
		}
	case esm.Ended:
		if e := n.s.book.Unsettled(record.MaxPosition, true, 0, nil); e != nil || !n.s.closed || unsaved {
			n.complain("it ends and is not at its end: %s", shown(n.s.saved.checkpoint))
		}
	case esm.Fenced:
		if !n.fenced {
			n.complain("fenced without another owner")
		}
	}
}

// judgeDurable checks that what is durable only moves on.
func (w *world) judgeDurable(s *shard, cp *esm.Checkpoint) {
	old := &s.saved.checkpoint
	if cp.Low < old.Low || cp.Generation < old.Generation || old.Ended && !cp.Ended {
		w.complain("shard %d: the durable checkpoint goes back from %s to %s", s.id, shown(*old), shown(*cp))
	}
}

// judgeEnd checks that everything came to an end.
func (w *world) judgeEnd() {
	for _, s := range w.shards {
		if s.expired { // nothing is kept of it
			continue
		}
		if e := s.book.Unsettled(record.MaxPosition, true, 0, nil); e != nil {
			lanes := "no machine"
			for _, r := range w.on(s) {
				lanes = string(mustJSON(r.x.Lanes()))
			}
			w.complain("shard %d: record %d never came to an end; %s", s.id, e.Pos, lanes)
			continue
		}
		if n := len(s.log); n > 0 && s.saved.checkpoint.Low < s.log[n-1].Pos {
			w.complain("shard %d: everything is settled up to %d, and saved up to %d", s.id, s.log[n-1].Pos, s.saved.checkpoint.Low)
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

// judgeBudget checks that a process without machines has taken no memory.
func (w *world) judgeBudget(n *node) {
	if used := n.budget.Used(); used != 0 && len(n.runners) == 0 {
		w.complain("node %d runs nothing and has taken %d bytes", n.id, used)
	}
}

// observed shows what the machine says of itself. Nothing is learnt from it.
func (r *runner) observed(o engine.Observation) {
	if r.w.opts.Trace {
		r.w.tracef("shard %d   %s %+v", r.s.id, esm.KindOf(o.What), o.What)
	}
}
