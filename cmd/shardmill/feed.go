package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/server"
)

// feed shows what happens in a server as it happens: invocations, failures, discards, and what functions print, summed
// up by a digest when it is much. Whoever reports never waits for the terminal: beyond a bound lines are dropped, and
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
	f.say(
		"%s %s is ready at %s, keeping everything %s", f.t.bold("shardmill"), cfg.Version, f.t.bold(s.Endpoint()),
		where,
	)
	f.say(
		"%s",
		f.t.dim(
			"isolation of functions: "+isolationText(s)+" · cpu: "+s.CPU()+" · signatures are not verified on loopback",
		),
	)
	if !cfg.Dev {
		f.say("%s", f.t.yellow("every process on this machine can call it: requests are not authenticated"))
	}
	f.say("%s", f.t.dim(`in another terminal: eval "$(shardmill env --endpoint `+s.Endpoint()+`)"`))
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
	return o.Kind != esm.BatchCut && o.Kind != esm.AttemptStarted && o.Kind != esm.BatchSettled &&
		o.Kind != esm.Rebuilt &&
		o.Kind != esm.WindowEnded && o.Kind != esm.StateReset
}

// functionName returns the function of an observation for people.
func functionName(o engine.Observation) string {
	a, ok := arn.Parse(o.FunctionARN)
	if !ok {
		return o.FunctionARN
	}
	return function.Ref{Account: a.Account, Region: a.Region, Name: strings.TrimPrefix(a.Resource, "function:")}.Title()
}

// describe is one line about an observation; "" for those that only machines want.
func describe(t terminal, o engine.Observation) text {
	who := t.text("%s %s", t.bold(functionName(o)), t.dim(o.Shard.String()))
	if o.Replay != "" {
		who = t.text("%s %s", who, t.blue("replay"))
	}
	records := counted(o.Count, "record")
	window := fmt.Sprintf(
		"%s–%s", o.Window.Start.Time().Format(time.TimeOnly), o.Window.End.Time().Format(time.TimeOnly),
	)
	switch o.ID.Purpose {
	case esm.ForRecords:
	case esm.ForFinal:
		records = "the end of the window " + window
	case esm.ForEarlyEnd:
		records = "an early end of the window " + window
	}
	switch o.Kind {
	case esm.AttemptEnded:
		out := o.Outcome
		took := out.Duration.Round(100 * time.Microsecond)
		switch out.Kind {
		case esm.Success:
			return t.text("%s %s  %s, attempt %d, %s", who, t.green("ok       "), records, o.Attempt, took)
		case esm.PartialFailure:
			return t.text(
				"%s %s  %s, attempt %d, %s: records from the reported one on come again", who, t.yellow("partial  "),
				records, o.Attempt, took,
			)
		case esm.FunctionError:
			return t.text(
				"%s %s  %s, attempt %d, %s: %s", who, t.red("failed   "), records, o.Attempt, took, out.Reason,
			)
		case esm.Throttle:
			return t.text("%s %s  %s: %s; no attempt is used up", who, t.yellow("throttled"), records, out.Reason)
		case esm.ServiceError:
			return t.text("%s %s  %s: %s; no attempt is used up", who, t.yellow("not run  "), records, out.Reason)
		}
	case esm.BackingOff:
		if o.Wait == esm.WaitRetry {
			return t.text(
				"%s %s  attempt %d at %s", who, t.dim("back-off "), o.Attempt, o.Until.Local().Format("15:04:05.000"),
			)
		}
		if o.Wait == esm.WaitDestination {
			return t.text(
				"%s %s  the destination did not take the notice; again at %s", who, t.yellow("waiting  "),
				o.Until.Local().Format("15:04:05.000"),
			)
		}
	case esm.Bisected:
		return t.text("%s %s  left half: %s", who, t.blue("bisected "), records)
	case esm.Discarded:
		return t.text("%s %s  %s: %s", who, t.red("discarded"), records, o.Condition)
	case esm.NoticeDelivered:
		return t.text("%s %s  a notice about %s is at the destination", who, t.blue("notice   "), records)
	case esm.Dropped:
		return t.text("%s %s  %s: %s, and no destination took a notice", who, t.red("dropped  "), records, o.Condition)
	case esm.RecordsLost:
		return t.text("%s %s  retention took records before they were processed", who, t.red("lost     "))
	case esm.StateDropped:
		return t.text(
			"%s %s  %s: the function never got over it, and its state is gone", who, t.red("dropped  "), records,
		)
	case esm.BatchCut, esm.AttemptStarted, esm.BatchSettled, esm.Rebuilt, esm.WindowEnded, esm.StateReset:
	}
	return ""
}

// logLines shows what a function prints.
func (f *feed) logLines(owner function.Ref, events []function.LogEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put(f.digest.print(time.Now(), owner, events))
}
