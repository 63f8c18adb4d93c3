package fleet_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shardmill/shardmill/function/fleet"
)

// TestScripts runs the specification of the fleet: testdata/*.txt, whose verbs testdata/README.md describes. go test
// ./function/fleet -rewrite writes what the machine does now into the scripts; commit such a change only if you
// understand what caused it.
func TestScripts(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.HasSuffix(path, ".md") || strings.Contains(path, "rapid") {
			return
		}
		t.Parallel()
		w := &world{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return w.verb(t, d) })
	})
}

// epoch is the instant at which every script begins.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// world is what a script plays with: a machine, the naive model beside it, and processes that start and end at once
// unless the script takes them over.
type world struct {
	machine *fleet.Fleet
	model   *model
	now     time.Time

	manualStart, manualStop bool

	spy func([]fleet.Command) // sees what every Step wants

	generations map[string]fleet.Generation
	out         strings.Builder
	complaints  []string
}

func newWorld(l fleet.Limits) *world {
	return &world{machine: fleet.New(l), model: newModel(l), now: epoch, generations: map[string]fleet.Generation{}}
}

// verb carries out one line of a script and returns what came of it.
func (w *world) verb(t *testing.T, d *datadriven.TestData) string {
	a := &args{t: t, d: d}
	if d.Cmd == "fleet" {
		*w = *newWorld(a.limits(fleet.Limits{Account: 1000, Environments: 100, IdleTTL: 10 * time.Minute}))
		return a.done()
	}
	w.out.Reset()
	switch d.Cmd {
	case "manual":
		w.manualStart, w.manualStop = a.flag("start"), a.flag("stop")
	case "open":
		name := a.word(0)
		w.generations[name] = fleet.Generation(len(w.generations) + 1)
		w.step(fleet.Opened{Generation: w.generations[name], Function: functionOf(name)})
	case "retire":
		w.step(fleet.Retired{Generation: w.generation(a.word(0))})
	case "ask":
		id, g := fleet.Ticket(a.number("t", 0)), a.word(1)
		w.step(fleet.Asked{Ticket: id, Function: functionOf(g), Generation: w.generation(g), Wait: a.flag("wait")})
	case "again":
		w.step(fleet.Again{Ticket: fleet.Ticket(a.number("t", 0)), Generation: w.generation(a.word(1))})
	case "left":
		w.step(fleet.Left{Ticket: fleet.Ticket(a.number("t", 0))})
	case "ended":
		w.step(fleet.Ended{Ticket: fleet.Ticket(a.number("t", 0))})
	case "started":
		w.step(fleet.Started{Environment: fleet.Environment(a.number("e", 0))})
	case "idle":
		w.step(fleet.Idle{Environment: fleet.Environment(a.number("e", 0))})
	case "died":
		w.step(fleet.Died{Environment: fleet.Environment(a.number("e", 0))})
	case "gone":
		w.step(fleet.Gone{Environment: fleet.Environment(a.number("e", 0))})
	case "done": // an invocation comes to its end and its environment can take more
		w.step(fleet.Done{Ticket: fleet.Ticket(a.number("t", 0)), Environment: fleet.Environment(a.number("e", 1))})
	case "reserve":
		name, limit := a.word(0), a.word(1)
		n := fleet.Unreserved
		if limit != "none" {
			n = a.atoi(limit)
		}
		w.step(fleet.Reserved{Function: function(name), Limit: n})
	case "limits":
		w.step(fleet.Limited{Limits: a.limits(w.model.limits)})
	case "enrol":
		w.step(fleet.Enrolled{Waiter: fleet.Waiter(a.number("w", 0)), Function: function(a.word(1))})
	case "withdraw":
		w.step(fleet.Withdrawn{Waiter: fleet.Waiter(a.number("w", 0))})
	case "advance":
		w.advance(a.duration(a.word(0)))
	case "close":
		w.step(fleet.Closed{})
	case "cut":
		w.step(fleet.Cut{})
	case "counts":
		w.printf("%s", countsText(w.machine.Counts()))
	case "busy":
		for _, fn := range w.machine.Busy() {
			w.printf("%s", functionText(fn))
		}
	default:
		d.Fatalf(t, "unknown verb %q", d.Cmd)
	}
	a.done()
	for _, c := range w.complaints {
		w.printf("BROKEN: %s", c)
		t.Errorf("%s: %s", d.Pos, c)
	}
	w.complaints = nil
	return w.out.String()
}

func (w *world) printf(format string, args ...any) {
	fmt.Fprintf(&w.out, format, args...)
	w.out.WriteByte('\n')
}

// step feeds one event to the machine and to the model, which must want the same, and lets processes start and end.
func (w *world) step(ev fleet.Event) {
	commands := append([]fleet.Command(nil), w.machine.Step(w.now, ev)...)
	if d := cmp.Diff(w.model.step(w.now, ev), commands, cmpopts.EquateEmpty()); d != "" {
		w.complaints = append(w.complaints, fmt.Sprintf("%T%+v: the model (-) wants otherwise:\n%s", ev, ev, d))
	}
	if got, want := w.machine.Wake(), w.model.wake(); !got.Equal(want) {
		w.complaints = append(w.complaints, fmt.Sprintf("%T%+v: it wakes at %v, the model at %v", ev, ev, got, want))
	}
	if d := cmp.Diff(w.model.counts(), w.machine.Counts()); d != "" {
		w.complaints = append(w.complaints, fmt.Sprintf("%T%+v: the model (-) counts otherwise:\n%s", ev, ev, d))
	}
	if w.spy != nil {
		w.spy(commands)
	}
	for _, c := range commands {
		w.printf("%s", w.commandText(c))
	}
	for _, c := range commands {
		switch c := c.(type) {
		case fleet.Start:
			if !w.manualStart {
				w.step(fleet.Started{Environment: c.Environment})
			}
		case fleet.Stop:
			if !w.manualStop {
				w.step(fleet.Gone{Environment: c.Environment})
			}
		case fleet.Use, fleet.Wait, fleet.Stale, fleet.Refuse, fleet.Offer, fleet.Dismiss, fleet.LetGo, fleet.Drained:
		}
	}
}

// advance goes forward in time, with a Tick at every instant that the machine asks for.
func (w *world) advance(d time.Duration) {
	until := w.now.Add(d)
	for at := w.machine.Wake(); !at.IsZero() && !at.After(until); at = w.machine.Wake() {
		w.now = at
		w.step(fleet.Tick{})
		if len(w.complaints) > 0 {
			return
		}
	}
	w.now = until
}

// generation returns the number of a generation; that of one that was never opened is unknown to the machine.
func (w *world) generation(name string) fleet.Generation {
	if g, ok := w.generations[name]; ok {
		return g
	}
	return 1 << 32
}

func (w *world) generationName(g fleet.Generation) string {
	for name, number := range w.generations {
		if number == g {
			return name
		}
	}
	return "?"
}

// function is the one that a script calls by a name, in an account of its own after a slash: f, g/other.
func function(name string) fleet.Function {
	name, account, _ := strings.Cut(name, "/")
	return fleet.Function{Account: account, Region: "here", Name: name}
}

// functionOf returns the function of generation f1, f2, …; g1/other.
func functionOf(generation string) fleet.Function {
	name, account, _ := strings.Cut(generation, "/")
	return fleet.Function{Account: account, Region: "here", Name: strings.TrimRight(name, "0123456789")}
}

func functionText(f fleet.Function) string {
	if f.Account == "" {
		return f.Name
	}
	return f.Name + "/" + f.Account
}

func (w *world) commandText(c fleet.Command) string {
	switch c := c.(type) {
	case fleet.Use:
		return fmt.Sprintf("use t%d e%d", c.Ticket, c.Environment)
	case fleet.Start:
		return fmt.Sprintf("start t%d e%d %s", c.Ticket, c.Environment, w.generationName(c.Generation))
	case fleet.Wait:
		return fmt.Sprintf("wait t%d", c.Ticket)
	case fleet.Stale:
		return fmt.Sprintf("stale t%d", c.Ticket)
	case fleet.Refuse:
		return fmt.Sprintf("refuse t%d %s", c.Ticket, c.Reason)
	case fleet.Stop:
		return fmt.Sprintf("stop e%d", c.Environment)
	case fleet.Offer:
		return fmt.Sprintf("offer w%d", c.Waiter)
	case fleet.Dismiss:
		return fmt.Sprintf("dismiss w%d", c.Waiter)
	case fleet.LetGo:
		return fmt.Sprintf("let-go %s", w.generationName(c.Generation))
	case fleet.Drained:
		return "drained"
	}
	return fmt.Sprintf("%T", c)
}

func countsText(c fleet.Counts) string {
	return fmt.Sprintf("accounts=%d functions=%d generations=%d running=%d in-line=%d", c.Accounts, c.Functions,
		c.Generations, c.Running, c.InLine) +
		fmt.Sprintf(" environments=%d idle=%d dying=%d waiters=%d offers=%d", c.Environments, c.Idle, c.Dying,
			c.Waiters, c.Offers)
}

// args are the arguments of a verb. Every one must be asked for, so that a misspelt one fails the script.
type args struct {
	t    *testing.T
	d    *datadriven.TestData
	used map[int]bool
}

func (a *args) use(i int) {
	if a.used == nil {
		a.used = map[int]bool{}
	}
	a.used[i] = true
}

// word is the i-th argument.
func (a *args) word(i int) string {
	if i >= len(a.d.CmdArgs) {
		a.d.Fatalf(a.t, "%s needs %d arguments", a.d.Cmd, i+1)
	}
	a.use(i)
	return a.d.CmdArgs[i].Key
}

// number is the i-th argument without the letter that says what it counts.
func (a *args) number(letter string, i int) int {
	digits, ok := strings.CutPrefix(a.word(i), letter)
	if !ok {
		a.d.Fatalf(a.t, "%s needs %s1, %s2, … as argument %d", a.d.Cmd, letter, letter, i+1)
	}
	return a.atoi(digits)
}

func (a *args) atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		a.d.Fatalf(a.t, "%q is not a number", s)
	}
	return n
}

func (a *args) duration(s string) time.Duration {
	v, err := time.ParseDuration(s)
	if err != nil {
		a.d.Fatalf(a.t, "%q is not a duration", s)
	}
	return v
}

func (a *args) flag(name string) bool {
	for i, c := range a.d.CmdArgs {
		if c.Key == name && len(c.Vals) == 0 {
			a.use(i)
			return true
		}
	}
	return false
}

func (a *args) limits(l fleet.Limits) fleet.Limits {
	for i, c := range a.d.CmdArgs {
		switch c.Key {
		case "account":
			l.Account = a.atoi(c.Vals[0])
		case "environments":
			l.Environments = a.atoi(c.Vals[0])
		case "idle-ttl":
			l.IdleTTL = a.duration(c.Vals[0])
		default:
			continue
		}
		a.use(i)
	}
	return l
}

func (a *args) done() string {
	for i, c := range a.d.CmdArgs {
		if !a.used[i] {
			a.d.Fatalf(a.t, "%s does not know %q", a.d.Cmd, c.Key)
		}
	}
	return ""
}
