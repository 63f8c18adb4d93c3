package esm_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// judge is the naive model of a shard: it sees every event and command, and records what became of each record. Scripts
// and property tests run with it; it knows nothing of lanes' queues or plans. Its complaints are broken invariants.
type judge struct {
	cfg        esm.Config
	lanes      int // the factor of the lane map in force
	widest     int // the largest BatchSize so far: a batch that was cut under it may still be retried
	retries    int // the largest MaxRetries so far; Unlimited wins
	fewest     int // the smallest MaxRetries so far
	tooLarge   map[esm.BatchID]bool
	records    []*judged
	flight     map[uint64]esm.Invoke
	notices    map[uint64]esm.Deliver
	failures   map[esm.BatchID]int
	members    map[esm.BatchID][]record.Position // that an identity has had, restarts or not
	low        record.Position                   // of the last Save
	saving     bool
	savedOnce  bool
	finished   bool
	win        windowJudge
	obs        observeJudge
	complaints []string
}

type judged struct {
	esm.Rec
	key        int // its lane is key modulo the factor, so a key changes lanes only with the factor
	settled    bool
	deliveries int
	discarded  bool
	lost       bool
}

func newJudge(cfg esm.Config) *judge {
	j := &judge{
		cfg: cfg, win: windowJudge{width: cfg.TumblingWindow}, lanes: cfg.Factor, widest: cfg.BatchSize,
		retries: cfg.MaxRetries, fewest: unlimited(cfg.MaxRetries), tooLarge: map[esm.BatchID]bool{},
		flight: map[uint64]esm.Invoke{}, notices: map[uint64]esm.Deliver{}, failures: map[esm.BatchID]int{},
		members: map[esm.BatchID][]record.Position{},
	}
	j.obs.begin(esm.Checkpoint{})
	return j
}

// unlimited returns a limit on retries in a form that compares.
func unlimited(retries int) int {
	if retries < 0 {
		return math.MaxInt
	}
	return retries
}

// factor returns that of the lane map in force, which may lag behind the configuration.
func (j *judge) factor() int { return j.lanes }

func (j *judge) complain(format string, args ...any) {
	j.complaints = append(j.complaints, fmt.Sprintf(format, args...))
}

// restart forgets what died with the machine, and undoes what had not been saved.
func (j *judge) restart(cfg esm.Config, from esm.Checkpoint) {
	j.flight, j.notices, j.failures = map[uint64]esm.Invoke{}, map[uint64]esm.Deliver{}, map[esm.BatchID]int{}
	j.saving, j.finished, j.low = false, false, from.Low
	j.reconfigure(cfg)
	j.resumed(from)
	j.obs.begin(from)
	j.obs.rebuilds = j.win.end != 0 && j.win.width != cfg.TumblingWindow
	j.lanes = cfg.Factor
	if j.win.end != 0 { // it is ended before the lanes are another's
		j.lanes = from.Factor
	}
	j.relane(j.lanes)
	j.rewind(from)
	for _, m := range from.Lanes {
		for _, p := range m.Plan {
			if from.Factor == j.lanes {
				j.failures[p.ID] = p.Failures
			}
		}
	}
}

// relane moves every record to its lane under a factor.
func (j *judge) relane(factor int) {
	for _, r := range j.records {
		r.Lane = uint8(r.key % factor)
	}
}

// rewind makes every record beyond a checkpoint unsettled again.
func (j *judge) rewind(from esm.Checkpoint) {
	for _, r := range j.records {
		mark := from.Low
		if from.Factor == j.lanes && int(r.Lane) < len(from.Lanes) {
			mark = max(mark, from.Lanes[r.Lane].Settled)
		}
		r.settled = r.Pos <= mark
	}
}

func (j *judge) reconfigure(cfg esm.Config) {
	if cfg.Factor != j.lanes || cfg.TumblingWindow != j.win.width {
		j.win.cut = true
	}
	j.cfg = cfg
	j.widest = max(j.widest, cfg.BatchSize)
	j.fewest = min(j.fewest, unlimited(cfg.MaxRetries))
	if cfg.MaxRetries < 0 || j.retries < 0 {
		j.retries = esm.Unlimited
	} else {
		j.retries = max(j.retries, cfg.MaxRetries)
	}
}

func (j *judge) at(p record.Position) *judged {
	i, ok := slices.BinarySearchFunc(j.records, p, func(r *judged, p record.Position) int {
		return cmp.Compare(r.Pos, p)
	})
	if !ok {
		return nil
	}
	return j.records[i]
}

// event notes an event given to the machine.
func (j *judge) event(ev esm.Event) {
	switch ev := ev.(type) {
	case esm.Returned:
		inv := j.flight[ev.Batch]
		delete(j.flight, ev.Batch)
		switch ev.Outcome.Kind {
		case esm.Success:
			j.returnedWindow(inv, ev.Outcome, len(inv.Positions), ev.State)
			j.settle(inv.Positions, func(*judged) {})
		case esm.PartialFailure:
			k := slices.Index(inv.Positions, ev.Outcome.At)
			j.returnedWindow(inv, ev.Outcome, k, ev.State)
			j.settle(inv.Positions[:k], func(*judged) {})
			if k == 0 {
				j.failures[inv.ID]++
			}
		case esm.FunctionError:
			j.failures[inv.ID]++
			j.tooLarge[inv.ID] = ev.Outcome.StatusCode == 413
		case esm.Throttle, esm.ServiceError:
		}
	case esm.Delivered:
		d := j.notices[ev.Batch]
		delete(j.notices, ev.Batch)
		if ev.Result == esm.DeliveryDone {
			j.settle(d.Positions, func(r *judged) { r.discarded = true })
		}
	case esm.Saved:
		j.saving = false
	case esm.Reconfigured:
		j.reconfigure(ev.Config)
	case esm.ReadReturned, esm.ReadFailed, esm.Horizon, esm.SlotFree, esm.Release, esm.Nudge, esm.Tick:
	}
}

func (j *judge) settle(ps []record.Position, mark func(*judged)) {
	for _, p := range ps {
		r := j.at(p)
		r.settled = true
		mark(r)
	}
}

// command checks a command of the machine.
func (j *judge) command(c esm.Command) {
	if j.finished {
		j.complain("a command after the last: %T", c)
	}
	j.beside(c)
	switch c := c.(type) {
	case esm.Invoke:
		j.invoke(c)
	case esm.Deliver:
		c.Positions = slices.Clone(c.Positions)
		j.notices[c.Batch] = c
		if !j.cfg.Destination {
			j.complain("a notice without a destination")
		}
		j.front("notice", c.Positions)
	case esm.Save:
		j.save(c.Checkpoint)
	case esm.Observe:
		j.observe(c)
		j.observed(c)
	case esm.Cancel:
		if _, ok := j.flight[c.Batch]; !ok {
			j.complain("batch %d is cancelled and not in flight", c.Batch)
		}
	case esm.Finished:
		j.finished = true
		if c.Reason == esm.Ended {
			for _, r := range j.records {
				if r.Match && !r.settled {
					j.complain("ended with record %d unsettled", r.Pos)
				}
			}
			if j.win.end != 0 {
				j.complain("ended without the final invocation of the window from %d", j.win.start)
			}
		}
	case esm.Read:
		if c.MaxRecords < 1 || c.MaxBytes < 1 {
			j.complain("a Read of %d records and %d bytes", c.MaxRecords, c.MaxBytes)
		}
	}
}

func (j *judge) invoke(c esm.Invoke) {
	c.Positions = slices.Clone(c.Positions)
	for _, o := range j.flight {
		if o.Lane == c.Lane {
			j.complain("lane %d has two batches in flight", c.Lane)
		}
		for _, p := range o.Positions {
			if slices.ContainsFunc(c.Positions, func(q record.Position) bool { return j.at(q).key == j.at(p).key }) {
				j.complain("records %d and more of one key are in flight twice", p)
			}
		}
	}
	if j.retries >= 0 && j.failures[c.ID] > j.retries {
		j.complain("batch %v is tried after %d failures", c.ID, j.failures[c.ID])
	}
	if len(c.Positions) > j.widest {
		j.complain("%d records in a batch of %d", len(c.Positions), j.widest)
	}
	j.invokeWindow(c)
	bytes := j.cfg.Envelope
	if w := c.Window; w != nil {
		if bytes += j.cfg.Windowed + len(w.State); c.ID.Purpose != esm.ForRecords {
			bytes = j.cfg.Recordless + len(w.State)
		}
	}
	for _, p := range c.Positions {
		r := j.at(p)
		if r == nil || !r.Match || int(r.Lane) != c.Lane {
			j.complain("record %d does not belong into lane %d", p, c.Lane)
			continue
		}
		bytes += int(r.Bytes)
		r.deliveries++
	}
	if bytes != c.Bytes || bytes > esm.MaxPayload && len(c.Positions) > 1 {
		j.complain("a payload of %d bytes, told as %d", bytes, c.Bytes)
	}
	if c.ID.Purpose != esm.ForRecords && c.ID.Filter != 0 {
		j.complain("the end of a window has the filter %d, and would be another one once that changes", c.ID.Filter)
	}
	if len(c.Positions) > 0 {
		j.front("invocation", c.Positions)
		j.member(c.ID, c.Positions)
	}
	j.flight[c.Batch] = c
}

// member checks that an identity is not given to other records than before: what lies between two records that it has
// had, and was none of them, is none of them now. Its request ids and notices would be taken for repeats.
func (j *judge) member(id esm.BatchID, ps []record.Position) {
	had := j.members[id]
	for _, p := range ps {
		i, found := slices.BinarySearch(had, p)
		if found {
			continue
		}
		if 0 < i && i < len(had) {
			j.complain("batch %+v has record %d, and was %v", id, p, had)
		}
		had = slices.Insert(had, i, p)
	}
	j.members[id] = had
}

// front checks that records are the first unsettled ones of their lane, without a gap.
func (j *judge) front(what string, ps []record.Position) {
	first := j.at(ps[0])
	i := 0
	for _, r := range j.records {
		if i == len(ps) {
			break
		}
		if !r.Match || r.Lane != first.Lane || r.settled {
			continue
		}
		if r.Pos != ps[i] {
			j.complain("%s with record %d while %d is unsettled", what, ps[i], r.Pos)
			return
		}
		i++
	}
	if i < len(ps) {
		j.complain("%s with record %d, which is settled", what, ps[i])
	}
}

func (j *judge) save(cp esm.Checkpoint) {
	if j.saving {
		j.complain("two Saves at once")
	}
	j.saving, j.savedOnce = true, true
	if cp.Low < j.low {
		j.complain("the checkpoint went back from %d to %d", j.low, cp.Low)
	}
	j.low = cp.Low
	for i, lane := range cp.Lanes {
		for _, m := range lane.Plan {
			id := m.ID // stored without what the checkpoint says already
			if id.Generation != cp.Generation || id.Factor != cp.Factor || id.Lane != i {
				j.complain("a checkpoint of generation %d has batch %+v in lane %d of %d", cp.Generation, id, i, cp.Factor)
			}
			if whole := lane.Plan[0].ID; id.Filter != whole.Filter {
				j.complain("batches %+v and %+v, which were one, and only one filter can have cut it", whole, id)
			}
		}
	}
	for _, r := range j.records {
		mark := cp.Low
		if int(r.Lane) < len(cp.Lanes) && cp.Lanes[r.Lane].Settled > mark {
			mark = cp.Lanes[r.Lane].Settled
		}
		if r.Match && !r.settled && r.Pos <= mark {
			j.complain("the checkpoint passes record %d, which is not settled", r.Pos)
		}
	}
}

func (j *judge) observe(o esm.Observe) {
	switch o := o.(type) {
	case *esm.Discarded:
		if n := j.failures[o.ID]; o.Condition == esm.RetryAttemptsExhausted && n <= j.fewest && !j.tooLarge[o.ID] {
			j.complain("batch %v is given up after %d failures", o.ID, n)
		}
	case *esm.Dropped:
		j.gone(o, o.Batch, o.ID.Lane, func(r *judged) { r.discarded = true })
	case *esm.RecordsLost:
		j.gone(o, o.Batch, o.Lane, func(r *judged) { r.lost = true })
	case *esm.StateDropped:
		j.endWindow(o.ID.Purpose)
	case *esm.Rebuilt:
		if j.win.end != 0 {
			j.complain("rebuilt with a window open")
		}
		j.win.width, j.win.cut = j.cfg.TumblingWindow, false
		j.lanes = o.Factor
		j.relane(o.Factor)
		j.rewind(esm.Checkpoint{Low: o.From - 1})
		j.failures = map[esm.BatchID]int{}
	default: // observed looks at every kind
	}
}

// gone settles the records that an observation gives up: those of a lane, or of all lanes if its count is 0.
func (j *judge) gone(o esm.Observe, b esm.Batch, lane int, mark func(*judged)) {
	n := 0
	for _, r := range j.records {
		if r.Match && r.Pos >= b.First && r.Pos <= b.Last && (int(r.Lane) == lane || b.Count == 0) && !r.settled {
			r.settled = true
			mark(r)
			n++
		}
	}
	if b.Count != 0 && n != b.Count {
		j.complain("%s tells %d records, there are %d", esm.KindOf(o), b.Count, n)
	}
}
