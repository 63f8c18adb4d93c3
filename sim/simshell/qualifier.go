package simshell

import (
	"fmt"
	"slices"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
)

// live is the alias of a world with qualifiers.
const live = "live"

// qualified is what a world knows of the function's versions and its alias. The root goroutine's alone.
type qualified struct {
	versions  int // so many were published
	alias     int // the version that the alias leads to
	other     int // with a weight, a second one of the same role; 0: none
	qualifier string
}

// functionARN is what a mapping on a qualifier names.
func functionARN(qualifier string) string {
	if qualifier != "" {
		qualifier = ":" + qualifier
	}
	return function.Ref{Account: account, Region: region, Name: "f"}.ARN() + qualifier
}

// target is what the mapping is to call.
func (w *world) target() string {
	if w.q.qualifier == "" {
		return "f"
	}
	return "f:" + w.q.qualifier
}

// roleOf is the role of a version: of every two versions one has another.
func roleOf(version string) string {
	n := 0
	_, _ = fmt.Sscan(version, &n) // $LATEST has that of the even ones
	return fmt.Sprintf("arn:aws:iam::%s:role/r%d", account, n%2)
}

// point brings a function to what the world knows of its versions and its alias. f.mu is held, or nobody has it yet.
func (w *world) point(f *functions) {
	for f.published < w.q.versions {
		f.named.Publish(1)
		f.published++
	}
	if w.q.alias == 0 {
		return
	}
	var weights map[string]float64
	if w.q.other != 0 {
		weights = map[string]float64{fmt.Sprint(w.q.other): 0.3}
	}
	f.named.Point(live, fmt.Sprint(w.q.alias), weights)
	f.alias = fmt.Sprint(w.q.alias)
}

// moveAlias publishes a version, or does not, and points the alias at one, under batches in flight.
func (w *world) moveAlias() {
	w.count("the alias moves")
	if w.more.IntN(2) == 0 && w.q.versions < 9 {
		w.q.versions++
	}
	w.q.alias, w.q.other = 1+w.more.IntN(w.q.versions), 0
	if w.q.alias > 2 && w.more.IntN(3) == 0 {
		w.q.other = w.q.alias - 2
		w.count("the alias has weights")
	}
	w.note("the alias leads to version %d, and with a weight to %d", w.q.alias, w.q.other)
	w.disturb(attempts)
	w.runsNow()
	w.p.functions.change(func() { w.point(w.p.functions) })
	w.runsOnly()
}

// loseAlias takes the alias away for a moment.
func (w *world) loseAlias() {
	w.count("the alias is gone for a moment")
	w.disturb(0)
	f := w.p.functions
	f.change(func() { f.named.Remove(live) })
	w.linger(upTo(w.more, 3*time.Second))
	w.disturb(attempts)
	w.p.functions.change(func() { w.point(w.p.functions) })
}

// requalify has the mapping call the function under another qualifier.
func (w *world) requalify() {
	w.count("the mapping changes its qualifier")
	w.q.qualifier = pick(w.more, "", live, live, fmt.Sprint(1+w.more.IntN(w.q.versions)))
	w.note("the mapping calls %s", w.target())
	w.disturb(attempts)
	w.runsNow()
	w.change(mapping.UpdateInput{Knobs: mapping.Knobs{FunctionName: ptr(w.target())}})
	w.disturb(attempts)
	w.runsOnly()
}

// running is a qualifier under which invocations come, and the role that they name, from a moment on.
type running struct {
	qualifier, role string
	until           time.Time // zero: it is in force
}

// requalifying is how long a call of what was before may still begin: a process hears of a change at once, and its
// shards begin nothing until they have started again.
const requalifying = 10 * time.Second

// runsNow notes what the mapping may call from now on.
func (w *world) runsNow() {
	w.mu.Lock()
	defer w.mu.Unlock()
	version := w.q.qualifier
	if version == live {
		version = fmt.Sprint(w.q.alias)
	}
	w.runs = append(w.runs, running{qualifier: w.q.qualifier, role: roleOf(version)})
}

// runsOnly notes that it is known to call nothing else.
func (w *world) runsOnly() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.runs[:len(w.runs)-1] {
		if w.runs[i].until.IsZero() {
			w.runs[i].until = w.now()
		}
	}
}

// judgeTarget checks that an invocation is of what the mapping names, by its ARN, and that its records name the role of
// what that leads to. w.mu is held.
func (w *world) judgeTarget(inv *function.Invocation, role string) {
	now := w.now()
	fits := func(r running) bool {
		return r.qualifier == inv.Qualifier && (role == "" || r.role == role) &&
			(r.until.IsZero() || now.Sub(r.until) < requalifying)
	}
	if !slices.ContainsFunc(w.runs, fits) || inv.InvokedARN != functionARN(inv.Qualifier) {
		w.complain("an invocation of %q as %s with the role %q, and the mapping names %+v", inv.Qualifier, inv.InvokedARN,
			role, w.runs[max(0, len(w.runs)-3):])
	}
}

// judgeSender checks that a notice names what the mapping called. w.mu is held.
func (w *world) judgeSender(arn string) {
	if !slices.ContainsFunc(w.runs, func(r running) bool { return functionARN(r.qualifier) == arn }) {
		w.complain("a notice about %s, and the mapping names %+v", arn, w.runs)
	}
}
