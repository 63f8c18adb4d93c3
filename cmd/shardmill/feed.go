package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/server"
)

// feed shows what happens in a server as it happens: invocations, failures, discards, and what functions print, summed
// up by a digest when it is much. What reports never waits for the terminal: beyond a bound lines are dropped, and
// their number is shown.
type feed struct {
	t       terminal
	lines   chan text
	done    chan struct{}
	mu      sync.Mutex
	digest  *digest
	dropped int
	closed  bool
}

// Bounds of a feed: lines that wait, bytes of one of them, and how often dropped lines are counted on the terminal.
const (
	feedLines = 4096
	feedBytes = 4 << 10
	feedCount = time.Second
)

func newFeed(t terminal) *feed {
	return &feed{t: t, lines: make(chan text, feedLines), done: make(chan struct{}), digest: newDigest(t)}
}

// start begins to print.
func (f *feed) start() {
	go func() {
		defer close(f.done)
		every := time.NewTicker(digestEvery)
		defer every.Stop()
		var counted time.Time
		for {
			select {
			case line, ok := <-f.lines:
				if !ok {
					f.count()
					return
				}
				f.t.printf("%s\n", line)
			case <-every.C:
				f.mu.Lock()
				f.put(f.digest.roll(time.Now()))
				f.mu.Unlock()
			}
			if now := time.Now(); now.Sub(counted) >= feedCount {
				counted = now
				f.count()
			}
		}
	}()
}

// count shows how many lines were dropped since the last time.
func (f *feed) count() {
	f.mu.Lock()
	n := f.dropped
	f.dropped = 0
	f.mu.Unlock()
	if n > 0 {
		f.t.printf("%s\n", f.t.dim(fmt.Sprintf("… %d lines not shown: more came than the terminal takes", n)))
	}
}

// stop prints what is left. Twice is harmless.
func (f *feed) stop() {
	f.mu.Lock()
	if !f.closed {
		f.put(f.digest.end())
		f.closed = true
		close(f.lines)
	}
	f.mu.Unlock()
	<-f.done
}

func (f *feed) say(format string, args ...any) {
	line := f.t.text(format, args...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put([]text{line})
}

// put hands lines to the terminal, or drops and counts them. f.mu is held.
func (f *feed) put(lines []text) {
	for _, line := range lines {
		if f.closed {
			return
		}
		if n := len(line) - feedBytes; n > 0 {
			line = f.t.text("%s%s … and %d bytes", fault.Cut(line, feedBytes), f.t.reset(), n)
		}
		select {
		case f.lines <- line:
		default:
			f.dropped++
		}
	}
}

func (f *feed) hello(s *server.Server, cfg server.Config) {
	where := "in memory"
	if cfg.Data != "" {
		where = "in " + cfg.Data
	}
	at := make([]string, 0, 1)
	for _, a := range s.Addresses() {
		at = append(at, string(f.t.bold(a)))
	}
	f.say(
		"%s %s is ready at %s, keeping everything %s", f.t.bold("shardmill"), cfg.Version, text(strings.Join(at, " and ")),
		where,
	)
	if !slices.Contains(s.Addresses(), s.Inside()) {
		f.say("%s", f.t.dim("functions and this machine reach it at "+s.Inside()))
	}
	if s.CA() != "" {
		f.say("%s", f.t.dim("clients have to trust its certificate: export AWS_CA_BUNDLE="+shellWord(s.CA())))
	}
	who, warning := whoCalls(s, cfg)
	f.say(
		"%s",
		f.t.dim(
			"isolation of functions: "+isolationText(s)+" · cpu: "+s.CPU()+" · pace: "+
				first(cfg.Pace, server.PaceInstant)+" · limits: "+first(cfg.Limits, server.LimitsOff)+" · "+who,
		),
	)
	if text := companionsText(cfg.Companions); text != "" {
		f.say("%s", f.t.dim(text))
	}
	if cfg.KinesisCORS == wire.AnyPage {
		f.say("%s", f.t.yellow("web pages of all origins may call Kinesis (--kinesis-cors *)"))
	}
	if warning != "" {
		f.say("%s", f.t.yellow(warning))
	}
	f.say("%s", f.t.dim(`in another terminal: eval "$(shardmill env --endpoint `+s.Endpoint()+`)"`))
}

// companionsText returns one line about the companions that are not embedded; "" if all are.
func companionsText(companions map[string]string) string {
	var parts []string
	for _, name := range server.CompanionNames() {
		switch value := companions[name]; value {
		case "", "embedded":
		case "off":
			parts = append(parts, name+": off")
		default:
			target, _, _ := strings.Cut(strings.TrimPrefix(value, "proxy:"), ",")
			parts = append(parts, name+": "+target)
		}
	}
	if parts == nil {
		return ""
	}
	return "served elsewhere or off: " + strings.Join(parts, " · ")
}

func stamp(t terminal, at time.Time) text { return t.dim(at.Local().Format("15:04:05.000")) }

// observe shows an observation, if it is one for people.
func (f *feed) observe(o engine.Observation) {
	if !shown(o) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(f.digest.observe(time.Now(), o))
}

// shown spares the work for observations that only machines want, which are most.
func shown(o engine.Observation) bool {
	_, word := classOf(o)
	return word != forMachines
}

// functionName returns the function of an observation for people.
func functionName(o engine.Observation) string {
	a, ok := arn.Parse(o.FunctionARN)
	if !ok {
		return o.FunctionARN
	}
	return function.Ref{Account: a.Account, Region: a.Region, Name: strings.TrimPrefix(a.Resource, "function:")}.Title()
}

// recordsOf are the records of a batch, or the end of the window that it is, for people.
func recordsOf(b esm.Batch, w esm.Window) string {
	window := w.Start.Time().Format(time.TimeOnly) + "–" + w.End.Time().Format(time.TimeOnly)
	switch b.ID.Purpose {
	case esm.ForRecords:
	case esm.ForFinal:
		return "the end of the window " + window
	case esm.ForEarlyEnd:
		return "an early end of the window " + window
	}
	return counted(b.Count, "record")
}

// describe is one line about an observation; "" for those that only machines want.
func describe(t terminal, o engine.Observation) text {
	who := t.text("%s %s", t.bold(functionName(o)), t.dim(o.Shard.String()))
	if o.Replay != "" {
		who = t.text("%s %s", who, t.blue("replay"))
	}
	line := func(verb text, format string, args ...any) text {
		return t.text("%s %s  %s", who, verb, t.text(format, args...))
	}
	switch what := o.What.(type) {
	case *esm.AttemptEnded:
		return describeAttempt(t, what, line)
	case *esm.WaitBegan:
		until := what.Until.Local().Format("15:04:05.000")
		if what.Reason == esm.WaitRetry {
			return line(t.dim("back-off "), "attempt %d at %s", what.Attempt, until)
		}
		if what.Reason == esm.WaitDestination {
			return line(t.yellow("waiting  "), "the destination did not take the notice; again at %s", until)
		}
	case *esm.Bisected:
		return line(t.blue("bisected "), "left half: %s", counted(what.LeftCount, "record"))
	case *esm.Discarded:
		return line(t.red("discarded"), "%s: %s", counted(what.Count, "record"), what.Condition)
	case *esm.NoticeDelivered:
		return line(t.blue("notice   "), "a notice about %s is at the destination", counted(what.Count, "record"))
	case *esm.Dropped:
		records := counted(what.Count, "record")
		if what.Why == esm.DropRefused {
			return line(
				t.red("dropped  "), "%s: %s, and the destination refused the notice: %s", records, what.Condition, what.Reason,
			)
		}
		return line(t.red("dropped  "), "%s: %s, and the mapping has no destination", records, what.Condition)
	case *esm.RecordsLost:
		return line(t.red("lost     "), "retention took records before they were processed")
	case *esm.StateDropped:
		records := recordsOf(what.Batch, what.Window)
		return line(t.red("dropped  "), "%s: the function never got over it, and its state is gone", records)
	case *esm.Missed:
		since := what.Since.Local().Format("15:04:05.000")
		return line(
			t.yellow("missed   "), "%d observations since %s: more happened than could be told", what.Count, since,
		)
	default:
	}
	return ""
}

// describeAttempt is one line about the end of an attempt.
func describeAttempt(t terminal, o *esm.AttemptEnded, line func(text, string, ...any) text) text {
	out, records := o.Outcome, recordsOf(o.Batch, o.Window)
	took := out.Duration.Round(100 * time.Microsecond)
	switch out.Kind {
	case esm.Success:
		return line(t.green("ok       "), "%s, attempt %d, %s", records, o.Attempt, took)
	case esm.PartialFailure:
		const rest = "records from the reported one on come again"
		return line(t.yellow("partial  "), "%s, attempt %d, %s: %s", records, o.Attempt, took, rest)
	case esm.FunctionError:
		return line(t.red("failed   "), "%s, attempt %d, %s: %s", records, o.Attempt, took, out.Reason)
	case esm.Throttle:
		return line(t.yellow("throttled"), "%s: %s; no attempt is used up", records, out.Reason)
	case esm.ServiceError:
		return line(t.yellow("not run  "), "%s: %s; no attempt is used up", records, out.Reason)
	}
	return ""
}

// logLines shows what a function prints.
func (f *feed) logLines(owner function.Ref, events []function.LogEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(f.digest.print(time.Now(), owner, events))
}
