package esm_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
)

// TestScripts runs the specification of the core: testdata/*.txt, whose verbs testdata/README.md describes. go test
// ./esm -rewrite writes what the core does now into the scripts; commit such a change only if you understand what
// caused it.
func TestScripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.HasSuffix(path, ".md") || strings.Contains(path, "fuzz") || strings.Contains(path, "rapid") {
			return
		}
		t.Parallel()
		w := &world{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return w.verb(t, d) })
	})
}

// epoch is the instant at which every script begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is what a script works on: a shard's log, one machine, and what is out.
type world struct {
	source
	cfg    esm.Config
	shard  *esm.Shard
	judge  *judge
	now    time.Time
	saved  esm.Checkpoint // the last durable one
	saving *esm.Checkpoint

	manualRead, manualSave bool
	observe, everything    bool // tell what becomes of batches; and what machines wait for, read and save

	reads    *esm.Read
	flight   []esm.Invoke
	notices  []esm.Deliver
	function function
	mapping  *esm.Mapping
	spy      func(time.Time, esm.Event, []esm.Command) // sees every Step

	out strings.Builder
}

// verb carries out one line of a script and returns its output.
func (w *world) verb(t *testing.T, d *datadriven.TestData) string {
	w.out.Reset()
	verbs := map[string]func(*args){
		"mapping": w.verbMapping, "reconfigure": w.verbReconfigure, "release": w.verbRelease, "restart": w.verbRestart,
		"manual": w.verbManual,
		"sealed": w.verbSealed, "anew": w.verbAnew,
		"put": w.verbPut, "read": w.verbRead, "read-failed": w.verbReadFailed, "withheld": w.verbWithheld,
		"close": w.verbClose, "horizon": w.verbHorizon,
		"returned": w.verbReturned, "answered": w.verbAnswered, "slot-free": w.verbSlotFree, "nudge": w.verbNudge,
		"function": w.verbFunction, "run": w.verbRun,
		"delivered": w.verbDelivered, "saved": w.verbSaved,
		"at": w.verbAt, "advance": w.verbAdvance,
		"lanes": w.verbLanes, "checkpoint": w.verbCheckpoint, "counts": w.verbCounts,
		"shards": w.verbShards, "desired": w.verbDesired, "finished": w.verbFinished, "abandon-due": w.verbAbandonDue,
		"source-gone": w.verbSourceGone,
		"owned":       w.verbOwned, "lost": w.verbLost, "awaits": w.verbAwaits,
	}
	f, ok := verbs[d.Cmd]
	if !ok {
		d.Fatalf(t, "unknown verb %q", d.Cmd)
	}
	a := &args{t: t, d: d}
	f(a)
	a.done()
	if w.judge != nil {
		for _, c := range w.judge.complaints {
			w.printf("BROKEN: %s", c)
			t.Errorf("%s: %s", d.Pos, c)
		}
		w.judge.complaints = nil
	}
	return w.out.String()
}

func (w *world) printf(format string, args ...any) {
	fmt.Fprintf(&w.out, format, args...)
	w.out.WriteByte('\n')
}

// step feeds one event to the machine, and then answers what the script does not want to answer itself.
func (w *world) step(ev esm.Event) {
	w.judge.obs.now = w.now
	w.judge.obs.event(ev, w.judge.lanes, w.judge.win.width)
	w.judge.event(ev)
	commands := w.shard.Step(w.now, ev)
	if w.spy != nil {
		w.spy(w.now, ev, commands)
	}
	for _, c := range commands {
		w.judge.command(c)
		w.command(c)
	}
	w.judge.stepped(w.shard.Lanes())
	if !w.manualSave && w.saving != nil {
		w.finishSave(esm.SaveDone)
	}
	if !w.manualRead && w.reads != nil {
		w.answerRead()
	}
}

// command notes and prints one command.
func (w *world) command(c esm.Command) {
	switch c := c.(type) {
	case esm.Read:
		w.reads = &c
		if w.manualRead {
			w.printf("read from=%d records=%d bytes=%d%s", c.From, c.MaxRecords, c.MaxBytes, flag(c.Wait, " wait"))
		}
	case esm.Invoke:
		c.Positions = slices.Clone(c.Positions)
		w.flight = append(w.flight, c)
		what := flag(len(c.Positions) > 0, "records="+positions(c.Positions)) + flag(
			c.ID.Purpose != esm.ForRecords, c.ID.Purpose.String(),
		)
		w.printf(
			"invoke batch=%d%s %s attempt=%d%s%s", c.Batch, w.lane(c.Lane), what, c.Attempt,
			flag(w.sizes, fmt.Sprintf(" bytes=%d", c.Bytes)), windowText(c.Window),
		)
	case esm.Cancel:
		w.flight = slices.DeleteFunc(w.flight, func(i esm.Invoke) bool { return i.Batch == c.Batch })
		w.printf("cancel batch=%d", c.Batch)
	case esm.Deliver:
		c.Positions = slices.Clone(c.Positions)
		w.notices = append(w.notices, c)
		w.printf(
			"deliver batch=%d%s records=%s %s count=%d%s%s", c.Batch, w.lane(c.ID.Lane), positions(c.Positions),
			c.Condition, c.Invocations, responseOf(c), windowText(c.Window),
		)
	case esm.Save:
		cp := c.Checkpoint
		w.saving = &cp
		w.printf("save %s", checkpointText(cp))
	case esm.Finished:
		w.reads, w.flight, w.notices = nil, nil, nil
		w.printf("finished %s", c.Reason)
	case esm.Observe:
		if w.observe && (w.everything || ofBatches(c)) {
			w.printf("observe %s", observeText(c))
			return
		}
		switch c := c.(type) { // the only trace of records, or of a state, that are gone
		case *esm.Dropped:
			w.printf("dropped records=%s count=%d %s", span(c.First, c.Last), c.Count, c.Why)
		case *esm.RecordsLost:
			w.printf("lost records=%s count=%d", span(c.First, c.Last), c.Count)
		case *esm.StateDropped:
			w.printf("state-dropped %s records=%s", c.ID.Purpose, span(c.First, c.Last))
		default:
		}
	}
}

func (w *world) lane(i int) string { return flag(w.cfg.Factor > 1, fmt.Sprintf(" lane=%d", i)) }

func flag(on bool, s string) string {
	if on {
		return s
	}
	return ""
}

// windowText prints a window in the time of day, and its state; of a long one the length.
func windowText(c *esm.WindowCall) string {
	if c == nil {
		return ""
	}
	state := c.State
	if len(state) > 40 {
		state = fmt.Sprintf("%d bytes", len(state))
	}
	return fmt.Sprintf(" window=%s..%s state=%s", timeOfDay(c.Start), timeOfDay(c.End), state)
}

func timeOfDay(m record.Millis) string { return m.Time().Format(time.TimeOnly) }

func responseOf(c esm.Deliver) string {
	if c.StatusCode == 0 {
		return ""
	}
	e := c.FunctionError
	if e == "" {
		e = "null"
	}
	return fmt.Sprintf(" status=%d error=%s", c.StatusCode, e)
}

func span(first, last record.Position) string {
	if first == last {
		return strconv.FormatUint(uint64(first), 10)
	}
	return fmt.Sprintf("%d..%d", first, last)
}

// positions prints 1..3,7 for 1, 2, 3, 7.
func positions(ps []record.Position) string {
	var parts []string
	for i := 0; i < len(ps); {
		k := i
		for k+1 < len(ps) && ps[k+1] == ps[k]+1 {
			k++
		}
		parts = append(parts, span(ps[i], ps[k]))
		i = k + 1
	}
	return strings.Join(parts, ",")
}

func checkpointText(cp esm.Checkpoint) string {
	var b strings.Builder
	fmt.Fprintf(&b, "low=%d", cp.Low)
	if cp.Generation != 0 {
		fmt.Fprintf(&b, " generation=%d", cp.Generation)
	}
	for i, m := range cp.Lanes {
		if m.Settled == 0 && len(m.Plan) == 0 {
			continue
		}
		fmt.Fprintf(&b, " lane=%d", i)
		if m.Settled != 0 {
			fmt.Fprintf(&b, " settled=%d", m.Settled)
		}
		for _, p := range m.Plan {
			fmt.Fprintf(&b, " {%s failures=%d invocations=%d}", span(p.First, p.Last), p.Failures, p.Invocations)
		}
	}
	if m := cp.Window; m != nil && m.End != 0 {
		state := m.State
		if len(state) > 40 {
			state = fmt.Sprintf("%d bytes", len(state))
		}
		fmt.Fprintf(&b, " window=%s..%s%s%s%s state=%s", timeOfDay(m.Start), timeOfDay(m.End), flag(
			m.Last != 0, " of="+span(m.First, m.Last),
		),
			flag(m.Early, " early"), flag(m.Closing, fmt.Sprintf(" closing failures=%d", m.Failures)), state)
	}
	if cp.Ended {
		b.WriteString(" ended")
	}
	return b.String()
}

// args holds the arguments of a verb. Every one must be asked for, so that a misspelt one fails the script.
type args struct {
	t    *testing.T
	d    *datadriven.TestData
	used map[int]bool
}

func (a *args) find(key string) (string, bool) {
	for i, c := range a.d.CmdArgs {
		if c.Key == key {
			a.use(i)
			return strings.Join(c.Vals, ","), true
		}
	}
	return "", false
}

func (a *args) use(i int) {
	if a.used == nil {
		a.used = map[int]bool{}
	}
	a.used[i] = true
}

// word returns the i-th argument that is a word of its own; "" when there is none.
func (a *args) word(i int) string {
	for k, c := range a.d.CmdArgs {
		if len(c.Vals) > 0 {
			continue
		}
		if i == 0 {
			a.use(k)
			return c.Key
		}
		i--
	}
	return ""
}

func (a *args) flag(key string) bool { _, ok := a.find(key); return ok }

func (a *args) int(key string, def int) int {
	s, ok := a.find(key)
	if !ok {
		return def
	}
	return a.number(s)
}

func (a *args) number(s string) int {
	n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
	if err != nil {
		a.d.Fatalf(a.t, "%q is not a number", s)
	}
	return n
}

func (a *args) duration(key string, def time.Duration) time.Duration {
	s, ok := a.find(key)
	if !ok {
		return def
	}
	return a.parseDuration(s)
}

func (a *args) parseDuration(s string) time.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		a.d.Fatalf(a.t, "%q is not a duration", s)
	}
	return v
}

func (a *args) done() {
	for i, c := range a.d.CmdArgs {
		if !a.used[i] {
			a.d.Fatalf(a.t, "%s does not know %q", a.d.Cmd, c.Key)
		}
	}
}
