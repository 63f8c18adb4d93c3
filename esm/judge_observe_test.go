package esm_test

import (
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// observeJudge is the naive model of observations: every lane waits for exactly one thing at any time; whatever begins
// ends once, with the same identity; whatever comes from something else comes from what was reported before. It sees
// the commands beside the observations and checks each against the other.
type observeJudge struct {
	now      time.Time
	started  bool
	stopped  bool
	released bool // asked to end
	rebuilds bool // asked to rebuild its lanes
	waits    map[int]*esm.WaitBegan
	since    map[int]time.Time
	sent     map[int]time.Time       // when a lane's last Invoke or Deliver was given
	last     map[int]esm.OutcomeKind // of a lane's attempts
	refused  map[int]esm.DeliveryResult
	cut      map[uint64]esm.BatchCut // by this machine
	known    map[uint64]esm.BatchID  // by every machine of the shard
	parts    map[esm.BatchID]esm.Parent
	highest  uint64 // number given
	attempts map[uint64]attempted
	notices  map[uint64]*esm.NoticeSent
	read     *esm.ReadAsked
	save     *esm.SaveAsked
	filled   bool
}

type attempted struct {
	*esm.AttemptStarted
	at      time.Time
	invoked bool
}

// begin prepares for a machine that continues from a checkpoint. Numbers given after it was saved may be given again.
func (o *observeJudge) begin(from esm.Checkpoint) {
	known := map[uint64]esm.BatchID{}
	for n, id := range o.known {
		if n <= from.Batches {
			known[n] = id
		}
	}
	*o = observeJudge{
		now: o.now, waits: map[int]*esm.WaitBegan{}, since: map[int]time.Time{}, sent: map[int]time.Time{},
		last: map[int]esm.OutcomeKind{}, refused: map[int]esm.DeliveryResult{},
		cut: map[uint64]esm.BatchCut{}, known: known, parts: map[esm.BatchID]esm.Parent{}, highest: from.Batches,
		attempts: map[uint64]attempted{}, notices: map[uint64]*esm.NoticeSent{},
	}
	for _, l := range from.Lanes {
		for _, s := range l.Plan {
			o.parts[s.ID] = s.Parent
		}
	}
}

// event notes what changes how a machine may wait.
func (o *observeJudge) event(ev esm.Event, factor int, width time.Duration) {
	switch ev := ev.(type) {
	case esm.Release:
		o.released = true
	case esm.Reconfigured:
		o.rebuilds = ev.Config.Factor != factor || ev.Config.TumblingWindow != width
	default:
	}
}

// observe checks one observation.
func (j *judge) observed(c esm.Observe) {
	o := &j.obs
	if _, first := c.(*esm.Started); first == o.started || o.stopped {
		j.complain("%s is told before the beginning or after the end", esm.KindOf(c))
	}
	switch c := c.(type) {
	case *esm.Started:
		o.started = true
		if c.Batches != o.highest {
			j.complain("a machine starts after batch %d, and numbers up to %d are given", c.Batches, o.highest)
		}
	case *esm.Stopped:
		o.stopped = true
		j.observedEnd()
	case *esm.Rebuilt:
		o.parts = map[esm.BatchID]esm.Parent{}
		if len(o.waits) > 0 || o.read != nil || o.filled {
			j.complain("rebuilt while lanes wait (%v), a read is out (%v), full=%t", o.waits, o.read, o.filled)
		}
		o.rebuilds = false
	case *esm.WaitBegan, *esm.WaitEnded, *esm.Gathered, *esm.SlotFreed:
		j.observedWait(c)
	case *esm.ReadAsked, *esm.ReadDone, *esm.ReadBroke, *esm.ReadVoid, *esm.SaveAsked, *esm.SaveEnded:
		j.observedRead(c)
	case *esm.BufferFilled:
		if o.filled {
			j.complain("the buffer is filled twice")
		}
		o.filled = true
	case *esm.BufferFreed:
		if !o.filled {
			j.complain("a buffer is freed that was not filled")
		}
		o.filled = false
	case *esm.BatchCut:
		j.observedCut(c)
	case *esm.Bisected:
		if c.LeftCount+c.RightCount != c.Count || c.LeftCount != c.Count/2 || c.Left.Last >= c.Right.First {
			j.complain("batch %d of %d is split into %d and %d", c.Number, c.Count, c.LeftCount, c.RightCount)
		}
		o.parts[c.Left] = esm.Parent{Origin: esm.OriginLeft, Number: c.Number}
		o.parts[c.Right] = esm.Parent{Origin: esm.OriginRight, Number: c.Number}
	case *esm.RestLeft:
		if _, ok := o.known[c.Parent.Number]; c.Parent.Number != 0 && !ok {
			j.complain("%v is left of batch %d, which was never told", c.ID, c.Parent.Number)
		}
		if c.Parent.Origin == esm.OriginRecords {
			j.complain("%v is left of nothing", c.ID)
		}
		if c.Parent.Origin != esm.OriginExpired {
			o.parts[c.ID] = c.Parent
		} else if c.Number != c.Parent.Number {
			j.complain("batch %d expires in part and goes on as %d", c.Parent.Number, c.Number)
		}
	default:
		j.observedAttempt(c)
	}
	if b := esm.BatchOf(c); b != nil && b.Number != 0 {
		if id, ok := o.known[b.Number]; !ok || id != b.ID {
			j.complain("%s is about batch %d as %v, told as %v", esm.KindOf(c), b.Number, b.ID, id)
		}
	}
}

// observedCut checks that a batch gets a number once, the next one, and has the parent reported before.
func (j *judge) observedCut(c *esm.BatchCut) {
	o := &j.obs
	if _, again := o.cut[c.Number]; again {
		j.complain("batch %d comes to hand twice", c.Number)
	}
	o.cut[c.Number] = *c
	if id, ok := o.known[c.Number]; ok {
		if c.Flush != esm.FlushRestored && c.ID.Purpose == esm.ForRecords || id != c.ID {
			j.complain("batch %d was %v and is %v", c.Number, id, c.ID)
		}
		return
	}
	if c.Number != o.highest+1 {
		j.complain("batch %d follows batch %d", c.Number, o.highest)
	}
	o.highest = max(o.highest, c.Number)
	o.known[c.Number] = c.ID
	switch said, part := o.parts[c.ID]; {
	case c.Parent.Origin == esm.OriginRecords || c.Parent.Origin == esm.OriginWindow:
		if c.Parent.Number != 0 || said.Origin != c.Parent.Origin && part {
			j.complain("batch %d is cut from %v, and was said to be %v", c.Number, c.Parent, said)
		}
	case said != c.Parent:
		j.complain("batch %d comes from %v, and was said to come from %v", c.Number, c.Parent, said)
	default:
		if parent, ok := o.known[said.Number]; !ok || c.First < parent.First || c.Last > parent.Last {
			j.complain("batch %d %v is no part of batch %d %v", c.Number, c.ID, said.Number, parent)
		}
	}
}

// observedWait checks that a lane's waits follow one another without a gap.
func (j *judge) observedWait(c esm.Observe) {
	o := &j.obs
	switch c := c.(type) {
	case *esm.WaitBegan:
		if w := o.waits[c.Lane]; w != nil {
			j.complain("lane %d waits for %s and for %s", c.Lane, w.Reason, c.Reason)
		}
		if c.Reason == esm.WaitNone || !c.Until.IsZero() && c.Until.Before(o.now) {
			j.complain("lane %d waits for %s until %s", c.Lane, c.Reason, c.Until)
		}
		o.waits[c.Lane], o.since[c.Lane] = c.Copy().(*esm.WaitBegan), o.now
	case *esm.WaitEnded:
		w := o.waits[c.Lane]
		if w == nil || w.Reason != c.Reason || w.Number != c.Batch || !o.since[c.Lane].Equal(c.Since) {
			j.complain("lane %d stops to wait for %s of batch %d since %s: %+v", c.Lane, c.Reason, c.Batch, c.Since, w)
		}
		delete(o.waits, c.Lane)
	case *esm.Gathered:
		if w := o.waits[c.Lane]; w == nil || w.Reason != esm.WaitWindow || c.Count < 1 || c.Count > c.Most {
			j.complain("lane %d gathers %d of %d: %+v", c.Lane, c.Count, c.Most, w)
		}
	case *esm.SlotFreed:
		w := o.waits[c.Lane]
		if waits := w != nil && w.Reason == esm.WaitSlot; waits != (c.Batch != 0) || waits && w.Number != c.Batch {
			j.complain("a slot is freed for batch %d of lane %d: %+v", c.Batch, c.Lane, w)
		}
	default:
	}
}

// observedRead checks that at most one read and one save are out at a time.
func (j *judge) observedRead(c esm.Observe) {
	o := &j.obs
	ended := func(seq uint64) {
		if o.read == nil || o.read.Seq != seq {
			j.complain("%s of read %d: %+v", esm.KindOf(c), seq, o.read)
		}
		o.read = nil
	}
	switch c := c.(type) {
	case *esm.ReadAsked:
		if o.read != nil {
			j.complain("two reads at once")
		}
		o.read = c.Copy().(*esm.ReadAsked)
	case *esm.ReadDone:
		if o.read != nil && c.From != o.read.From {
			j.complain("read %d from %d is done from %d", c.Seq, o.read.From, c.From)
		}
		ended(c.Seq)
	case *esm.ReadBroke:
		ended(c.Seq)
	case *esm.ReadVoid:
		ended(c.Seq)
	case *esm.SaveAsked:
		if o.save != nil {
			j.complain("two saves at once")
		}
		o.save = c.Copy().(*esm.SaveAsked)
	case *esm.SaveEnded:
		if o.save == nil || o.save.Low != c.Low || (c.Result == esm.SaveFault) == c.Again.IsZero() {
			j.complain("a save ends as %+v: %+v", c, o.save)
		}
		o.save = nil
	default:
	}
}

// observedAttempt checks attempts and notices.
func (j *judge) observedAttempt(c esm.Observe) {
	o := &j.obs
	ended := func(b esm.Batch, attempt int, started time.Time) {
		a, ok := o.attempts[b.Number]
		if !ok || a.Batch != b || a.Attempt != attempt || !a.at.Equal(started) || !a.invoked {
			j.complain("attempt %d of %+v, begun at %s, ends: %+v", attempt, b, started, a)
		}
		delete(o.attempts, b.Number)
	}
	notice := func(b esm.Batch, try int) {
		if n := o.notices[b.Number]; n == nil || n.Batch != b || try != 0 && n.Try != try {
			j.complain("%s about %+v: %+v", esm.KindOf(c), b, n)
		}
		delete(o.notices, b.Number)
	}
	switch c := c.(type) {
	case *esm.AttemptStarted:
		if _, ok := o.cut[c.Number]; !ok {
			j.complain("an attempt of batch %d, which never came to hand", c.Number)
		}
		o.attempts[c.Number] = attempted{c.Copy().(*esm.AttemptStarted), o.now, false}
		o.sent[c.ID.Lane] = o.now
	case *esm.AttemptEnded:
		ended(c.Batch, c.Attempt, c.Started)
		o.last[c.ID.Lane] = c.Outcome.Kind
	case *esm.AttemptCancelled:
		ended(c.Batch, c.Attempt, c.Started)
	case *esm.NoticeSent:
		o.notices[c.Number] = c.Copy().(*esm.NoticeSent)
		o.sent[c.ID.Lane] = o.now
	case *esm.NoticeDelivered:
		notice(c.Batch, 0)
	case *esm.NoticeFailed:
		notice(c.Batch, c.Try)
		o.refused[c.ID.Lane] = c.Result
	default:
	}
}

// beside checks a command against its observation.
func (j *judge) beside(c esm.Command) {
	o := &j.obs
	span := func(ps []record.Position, b esm.Batch) bool {
		return len(ps) == b.Count && (b.Count == 0 || ps[0] == b.First && ps[b.Count-1] == b.Last)
	}
	switch c := c.(type) {
	case esm.Invoke:
		a, ok := o.attempts[c.Batch]
		if !ok || a.invoked || a.Attempt != c.Attempt || a.ID != c.ID || !span(c.Positions, a.Batch) {
			j.complain("batch %d is invoked: %+v", c.Batch, a)
			return
		}
		a.invoked = true
		o.attempts[c.Batch] = a
	case esm.Cancel:
		if _, ok := o.attempts[c.Batch]; ok {
			j.complain("an attempt of batch %d is cancelled and not said to be", c.Batch)
		}
	case esm.Deliver:
		if n := o.notices[c.Batch]; n == nil || n.Condition != c.Condition || !span(c.Positions, n.Batch) {
			j.complain("a notice of batch %d is sent: %+v", c.Batch, n)
		}
	case esm.Read:
		if r := o.read; r == nil || r.Seq != c.Seq || r.From != c.From || r.Wait != c.Wait {
			j.complain("read %d from %d is asked for: %+v", c.Seq, c.From, r)
		}
	case esm.Save:
		if s := o.save; s == nil || s.Low != c.Checkpoint.Low || c.Checkpoint.Batches != o.highest {
			cp := c.Checkpoint
			j.complain("a save up to %d with numbers up to %d: %+v, %d", cp.Low, cp.Batches, s, o.highest)
		}
	case esm.Finished:
		if !o.stopped {
			j.complain("a machine finishes and does not say so")
		}
	case esm.Observe:
	}
}

// observedEnd checks that nothing is left open when a machine has ended. A notice that is under way may be: its result
// no longer matters.
func (j *judge) observedEnd() {
	o := &j.obs
	if len(o.waits)+len(o.attempts) > 0 || o.read != nil {
		j.complain("at the end lanes wait (%v), attempts run (%v), a read is out (%v)", o.waits, o.attempts, o.read)
	}
}

// stepped checks, at the end of a Step, that every lane waits for exactly one thing, and that it is the right one.
func (j *judge) stepped(lanes []esm.LaneState) {
	o := &j.obs
	if o.stopped {
		return
	}
	if len(o.waits) != len(lanes) || len(lanes) != j.lanes {
		j.complain("%d of %d lanes wait, there should be %d", len(o.waits), len(lanes), j.lanes)
	}
	for i, l := range lanes {
		w := o.waits[i]
		if w == nil || w.Reason != l.Wait || !w.Until.Equal(l.Until) || w.Number != l.Batch {
			j.complain("lane %d is %+v, and said to be %+v", i, l, w)
			continue
		}
		invoked, sent := false, false
		for _, f := range j.flight {
			invoked = invoked || f.Lane == i
		}
		for _, n := range j.notices {
			sent = sent || n.ID.Lane == i
		}
		if invoked != (w.Reason == esm.WaitOutcome) || sent != (w.Reason == esm.WaitDelivery) {
			j.complain("lane %d waits for %s: an invocation is out %t, a notice %t", i, w.Reason, invoked, sent)
		}
		ok := true
		switch last := o.last[i]; w.Reason {
		case esm.WaitRetry:
			ok = last == esm.FunctionError || last == esm.PartialFailure
		case esm.WaitSlot:
			ok = last == esm.Throttle && w.Refusals > 0
		case esm.WaitService:
			ok = last == esm.ServiceError && w.Refusals > 0
		case esm.WaitDestination:
			ok = o.refused[i] != 0
		case esm.WaitEnd:
			ok = o.released || o.rebuilds
		case esm.WaitWindow:
			ok = j.cfg.BatchingWindow > 0 && w.Held > 0
		case esm.WaitRecords:
			ok = l.Buffered == 0 || j.cfg.BatchingWindow == 0
		case esm.WaitTumbling:
			ok = j.win.width > 0 && w.Held == 0
		case esm.WaitBuffer:
			ok = o.filled && w.Held == 0
		case esm.WaitSave:
			ok = w.Ahead > 0
		case esm.WaitNone:
			ok = false
		case esm.WaitOutcome, esm.WaitDelivery:
			ok = o.since[i].Equal(o.sent[i])
		case esm.WaitReread:
		}
		if !ok {
			j.complain("lane %d waits for %s after %s: %+v", i, w.Reason, o.last[i], w)
		}
	}
}
