package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
)

// Bounds of what is shown in a second, per mapping or function. Those of the quiet hold until a second had more; then
// the summary at its end says it better.
const (
	digestEvery  = time.Second
	quietBatches = 5  // successes one by one
	quietLogs    = 24 // lines that a function prints
	busyLogs     = 3
	failureLines = 10 // failures, always
	detailLines  = 5  // what follows from them: back-offs, halves, notices
)

// digest decides what of all that happens is shown: everything while little happens, and a line a second for each
// mapping when it is much. Failures are shown one by one, up to a bound, whatever happens. It is a value that gets the
// time as an argument; not safe for concurrent use.
type digest struct {
	t        terminal
	began    time.Time // of the second under way; zero: nothing has happened
	mappings map[string]*mappingSecond
	logs     map[function.Ref]*logSecond
}

func newDigest(t terminal) *digest {
	return &digest{t: t, mappings: map[string]*mappingSecond{}, logs: map[function.Ref]*logSecond{}}
}

// mappingSecond is what happened to a mapping in the second under way.
type mappingSecond struct {
	name    string
	at      time.Time // of the last observation
	batches int       // successes
	records int       // in them
	others  [len(otherWords)]int
	lines   [3]int // shown of each class
	hidden  int    // observations that were not shown
	busy    bool   // the second before had more successes than are shown one by one
}

// logSecond is what a function printed in the second under way.
type logSecond struct {
	at     time.Time
	lines  int
	shown  int
	busy   bool
	hidden int
}

// class is how an observation is shown.
type class uint8

const (
	success class = iota
	trouble
	detail
)

// otherWords are the words of a summary for what is no success, in its order.
var otherWords = [...]string{
	"failed", "failed in part", "throttled", "not run", "to be retried", "bisected", "discarded", "notices", "dropped",
	"lost", "states dropped",
	"waiting for a destination", "not seen",
}

// Places of an observation that has none in otherWords.
const (
	aSuccess    = -1
	forMachines = -2 // it is not for people
)

// classOf sorts an observation; word is its place in otherWords.
func classOf(o engine.Observation) (c class, word int) {
	name := ""
	c = trouble
	switch what := o.What.(type) {
	case *esm.AttemptEnded:
		switch what.Outcome.Kind {
		case esm.Success:
			return success, aSuccess
		case esm.FunctionError:
			name = "failed"
		case esm.PartialFailure:
			name = "failed in part"
		case esm.Throttle:
			name = "throttled"
		case esm.ServiceError:
			name = "not run"
		}
	case *esm.WaitBegan:
		c, name = detail, waitWord(what.Reason)
	case *esm.Bisected:
		c, name = detail, "bisected"
	case *esm.NoticeDelivered:
		c, name = detail, "notices"
	case *esm.Discarded:
		name = "discarded"
	case *esm.Dropped:
		name = "dropped"
	case *esm.RecordsLost:
		name = "lost"
	case *esm.StateDropped:
		name = "states dropped"
	case *esm.Missed:
		name = "not seen"
	case *esm.Started, *esm.Adopted, *esm.Nudged, *esm.Rebuilt, *esm.Refiltered,
		*esm.Stopped, *esm.Parked, *esm.Stands, *esm.ReadAsked,
		*esm.ReadDone, *esm.ReadBroke, *esm.ReadVoid, *esm.BufferFilled, *esm.BufferFreed, *esm.WaitEnded,
		*esm.Gathered, *esm.SlotFreed, *esm.BatchCut, *esm.AttemptStarted, *esm.AttemptCancelled, *esm.BatchSettled,
		*esm.RestLeft, *esm.Vanished, *esm.NoticeSent, *esm.NoticeFailed, *esm.WindowEnded, *esm.StateReset,
		*esm.SaveAsked, *esm.SaveEnded:
	}
	if name == "" {
		return c, forMachines
	}
	return c, slices.Index(otherWords[:], name)
}

// waitWord is the word for a pause; "" for other waits.
func waitWord(r esm.WaitReason) string {
	switch r {
	case esm.WaitRetry, esm.WaitSlot, esm.WaitService:
		return "to be retried"
	case esm.WaitDestination:
		return "waiting for a destination"
	case esm.WaitNone, esm.WaitRecords, esm.WaitWindow, esm.WaitOutcome, esm.WaitDelivery, esm.WaitSave, esm.WaitReread,
		esm.WaitEnd, esm.WaitTumbling, esm.WaitBuffer:
	}
	return ""
}

// observe returns the lines to show for an observation for people; see shown.
func (d *digest) observe(now time.Time, o engine.Observation) []text {
	out := d.roll(now)
	key := o.Mapping
	if o.Replay != "" { // replays are counted by themselves, all of a mapping together
		key += " replay"
	}
	m := d.mappings[key]
	if m == nil {
		m = &mappingSecond{name: route(o)}
		d.mappings[key] = m
	}
	m.at = o.At
	c, word := classOf(o)
	most := [...]int{quietBatches, failureLines, detailLines}[c]
	switch {
	case c == success:
		m.batches++
		if done, ok := o.What.(*esm.AttemptEnded); ok {
			m.records += done.Count
		}
		if m.busy {
			most = 0
		}
	case word >= 0:
		n := 1
		if missed, ok := o.What.(*esm.Missed); ok {
			n = int(missed.Count)
		}
		m.others[word] += n
	}
	if m.lines[c] < most {
		if line := describe(d.t, o); line != "" {
			m.lines[c]++
			out = append(out, d.t.text("%s %s", stamp(d.t, o.At), line))
		}
		return out
	}
	m.hidden++
	return out
}

// route returns a mapping for people.
func route(o engine.Observation) string {
	name := functionName(o)
	if i := strings.LastIndexByte(o.EventSourceARN, '/'); i >= 0 {
		name = o.EventSourceARN[i+1:] + " → " + name
	}
	if o.Replay != "" {
		name += " replay"
	}
	return name
}

// print returns the lines to show for what a function printed.
func (d *digest) print(now time.Time, owner function.Ref, events []function.LogEvent) []text {
	out := d.roll(now)
	l := d.logs[owner]
	if l == nil {
		l = &logSecond{}
		d.logs[owner] = l
	}
	for _, e := range events {
		l.lines++
		l.at = e.At
		message, platform := strings.TrimRight(e.Message, "\n"), false
		for _, prefix := range []string{"START RequestId", "END RequestId", "REPORT RequestId", "INIT_START"} {
			platform = platform || strings.HasPrefix(message, prefix)
		}
		most := quietLogs
		switch {
		case l.busy && platform:
			most = 0
		case l.busy:
			most = busyLogs
		case platform:
			most = quietLogs / 2 // what the function prints itself goes first
		}
		if l.shown >= most {
			l.hidden++
			continue
		}
		l.shown++
		shown := d.t.text("%s", message)
		if platform {
			shown = d.t.dim(strings.TrimRight(message, "\t"))
		}
		out = append(out, d.t.text("%s %s %s", stamp(d.t, e.At), d.t.blue(owner.Title()+" │"), shown))
	}
	return out
}

// roll ends the second under way when it is over, and returns its summaries.
func (d *digest) roll(now time.Time) []text {
	if d.began.IsZero() {
		d.began = now
	}
	if now.Sub(d.began) < digestEvery && !now.Before(d.began) {
		return nil
	}
	d.began = now
	return d.end()
}

// end returns the summaries of the second under way and begins another one. What has been still for a second is
// forgotten.
func (d *digest) end() (out []text) {
	for _, key := range slices.Sorted(maps.Keys(d.mappings)) {
		m := d.mappings[key]
		if m.hidden > 0 {
			out = append(out, d.t.text("%s %s %s", stamp(d.t, m.at), d.t.bold(m.name+":"), m.summary()))
		}
		if m.batches == 0 && m.others == [len(otherWords)]int{} {
			delete(d.mappings, key)
			continue
		}
		*m = mappingSecond{name: m.name, busy: m.batches > quietBatches}
	}
	for _, owner := range slices.SortedFunc(maps.Keys(d.logs), function.Ref.Compare) {
		l := d.logs[owner]
		if l.hidden > 0 {
			line := fmt.Sprintf(
				"… %d more %s, see: shardmill logs %s%s", l.hidden, plural(l.hidden, "line"), owner.Name,
				whereFlags(owner.Account, owner.Region),
			)
			out = append(out, d.t.text("%s %s %s", stamp(d.t, l.at), d.t.blue(owner.Title()+" │"), d.t.dim(line)))
		}
		if l.lines == 0 {
			delete(d.logs, owner)
			continue
		}
		*l = logSecond{busy: l.lines > quietLogs}
	}
	return out
}

// summary returns all that happened in the second, whether it was shown or not.
func (m *mappingSecond) summary() string {
	var parts []string
	if m.batches > 0 {
		parts = append(parts, counted(m.batches, "batch")+", "+counted(m.records, "record")+" ok")
	}
	for i, n := range m.others {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, otherWords[i]))
		}
	}
	return strings.Join(parts, ", ")
}

// counted returns a number of things.
func counted(n int, noun string) string { return fmt.Sprintf("%d %s", n, plural(n, noun)) }

func plural(n int, noun string) string {
	switch {
	case n == 1:
		return noun
	case strings.HasSuffix(noun, "ch"):
		return noun + "es"
	}
	return noun + "s"
}
