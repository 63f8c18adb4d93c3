package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
)

var digestStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)

var worker = function.Ref{Account: wire.DefaultAccount, Region: wire.DefaultRegion, Name: "worker"}

// happening returns an observation about the mapping orders → worker.
func happening(o esm.Observe) engine.Observation {
	return engine.Observation{
		Identity: engine.Identity{
			Mapping: "m", FunctionARN: "arn:aws:lambda:us-east-1:000000000000:function:worker",
			EventSourceARN: "arn:aws:kinesis:us-east-1:000000000000:stream/orders",
		},
		At: digestStart, What: o,
	}
}

func worked(records int) engine.Observation {
	return happening(&esm.AttemptEnded{
		Batch: esm.Batch{Count: records}, Attempt: 1,
		Outcome: esm.Outcome{Kind: esm.Success, Duration: time.Millisecond},
	})
}

func failed(reason string) engine.Observation {
	return happening(&esm.AttemptEnded{
		Batch: esm.Batch{Count: 1}, Attempt: 1,
		Outcome: esm.Outcome{Kind: esm.FunctionError, Duration: time.Millisecond, Reason: reason},
	})
}

// without takes the stamps off.
func without(lines []text) (out []string) {
	for _, line := range lines {
		_, l, _ := strings.Cut(string(line), " ")
		out = append(out, l)
	}
	return out
}

// second returns an instant of the n-th second.
func second(n int) time.Time { return digestStart.Add(time.Duration(n) * time.Second) }

const oneByOne = "worker shardId-000000000000 ok         10 records, attempt 1, 1ms"

// Little is shown one by one and without a summary.
func TestQuietMappingIsShownOneByOne(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	var got []text
	for n := range 3 {
		for range quietBatches {
			got = append(got, d.observe(second(n), worked(10))...)
		}
	}
	got = append(got, d.end()...)
	if want := strings.Repeat(oneByOne+"\n", 3*quietBatches); strings.Join(without(got), "\n")+"\n" != want {
		t.Errorf("shown: %q", got)
	}
}

// Much is a line a second; with quiet it is shown one by one again.
func TestBusyMappingIsSummedUpEverySecond(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	var got []text
	for n, batches := range []int{50, 50, 2, 2} {
		for range batches {
			got = append(got, d.observe(second(n), worked(10))...)
		}
	}
	got = append(got, d.end()...)
	want := []string{
		oneByOne, oneByOne, oneByOne, oneByOne, oneByOne,
		"orders → worker: 50 batches, 500 records ok",
		"orders → worker: 50 batches, 500 records ok",
		"orders → worker: 2 batches, 20 records ok",
		oneByOne, oneByOne,
	}
	if d := cmp.Diff(want, without(got)); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

// The replays of a mapping are summed up together, whatever ids their requests have, and apart from its own batches.
func TestReplaysAreSummedUpTogether(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	for range 7 {
		d.observe(second(0), worked(10))
	}
	var got []text
	for i := range 160 {
		o := worked(1)
		o.Replay = fmt.Sprintf("%08x-0000-4000-8000-000000000000", i<<24)
		got = append(got, d.observe(second(0), o)...)
	}
	if len(got) != quietBatches {
		t.Errorf("%d replays are shown one by one: %q", len(got), got)
	}
	want := []string{"orders → worker: 7 batches, 70 records ok", "orders → worker replay: 160 batches, 160 records ok"}
	if d := cmp.Diff(want, without(d.end())); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}

// Failures are shown one by one however busy it is, up to a bound; the summary counts them all.
func TestFailuresAreAlwaysShown(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	for range 100 {
		d.observe(second(0), worked(10))
	}
	lines := d.roll(second(1))
	for i := range 500 {
		lines = append(lines, d.observe(second(1), worked(1))...)
		if i < 15 {
			lines = append(lines, d.observe(second(1), failed(fmt.Sprint("bad ", i)))...)
			lines = append(
				lines,
				d.observe(
					second(1),
					happening(&esm.WaitBegan{Reason: esm.WaitRetry, Attempt: 2, Until: digestStart}),
				)...,
			)
		}
	}
	got := without(append(lines, d.roll(second(2))...))
	var bad, back int
	for _, l := range got {
		if strings.Contains(l, "failed     1 record, attempt 1, 1ms: bad ") {
			bad++
		}
		if strings.Contains(l, "back-off   attempt 2") {
			back++
		}
	}
	if bad != failureLines || back != detailLines || len(got) != bad+back+2 {
		t.Errorf("%d failures and %d back-offs in %d lines: %q", bad, back, len(got), got)
	}
	if last := got[len(got)-1]; last != "orders → worker: 500 batches, 500 records ok, 15 failed, 15 to be retried" {
		t.Errorf("summed up as %q", last)
	}
}

// Every observation for people is counted in a summary under a word of its own kind.
func TestEveryKindHasAWord(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]esm.Observe{
		"failed":                    &esm.AttemptEnded{Outcome: esm.Outcome{Kind: esm.FunctionError}},
		"failed in part":            &esm.AttemptEnded{Outcome: esm.Outcome{Kind: esm.PartialFailure}},
		"throttled":                 &esm.AttemptEnded{Outcome: esm.Outcome{Kind: esm.Throttle}},
		"not run":                   &esm.AttemptEnded{Outcome: esm.Outcome{Kind: esm.ServiceError}},
		"to be retried":             &esm.WaitBegan{Reason: esm.WaitRetry},
		"waiting for a destination": &esm.WaitBegan{Reason: esm.WaitDestination},
		"bisected":                  &esm.Bisected{}, "discarded": &esm.Discarded{},
		"notices": &esm.NoticeDelivered{}, "dropped": &esm.Dropped{}, "lost": &esm.RecordsLost{},
		"states dropped": &esm.StateDropped{}, "not seen": &esm.Missed{Count: 3},
	} {
		if !shown(happening(o)) {
			t.Errorf("%s: not for people", want)
		}
		if _, word := classOf(happening(o)); word < 0 || otherWords[word] != want {
			t.Errorf("%+v is counted as %d, want %q", o, word, want)
		}
	}
}

// A replay is summed up by itself, under its name.
func TestReplayIsSummedUpByItself(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	for range 20 {
		o := worked(7)
		o.Replay = "id"
		d.observe(second(0), o)
		d.observe(second(0), worked(1))
	}
	got := without(d.end())
	if want := []string{
		"orders → worker: 20 batches, 20 records ok", "orders → worker replay: 20 batches, 140 records ok",
	}; !cmp.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// A function that prints a lot is cut short: its own lines go before those of the platform, and what is left is
// counted.
func TestManyLinesOfAFunctionAreCutShort(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	lines := func(n int) (out []function.LogEvent) {
		out = append(out, function.LogEvent{At: digestStart, Message: "START RequestId: 1 Version: $LATEST"})
		for i := range n {
			out = append(out, function.LogEvent{At: digestStart, Message: fmt.Sprintf("line %d\n", i)})
		}
		return append(out, function.LogEvent{At: digestStart, Message: "END RequestId: 1"})
	}
	few := d.print(second(0), worker, lines(3))
	if want := []string{
		"worker │ START RequestId: 1 Version: $LATEST", "worker │ line 0", "worker │ line 1", "worker │ line 2",
		"worker │ END RequestId: 1",
	}; !cmp.Equal(without(few), want) {
		t.Errorf("few: %q", few)
	}
	much := d.print(second(1), worker, lines(500))
	much = append(much, d.print(second(2), worker, lines(500))...)
	got := without(append(much, d.roll(second(3))...))
	if len(got) != quietLogs+1+busyLogs+1 {
		t.Fatalf("%d lines: %q", len(got), got)
	}
	if got[quietLogs] != "worker │ … 478 more lines, see: shardmill logs worker" ||
		got[quietLogs+1] != "worker │ line 0" ||
		got[len(got)-1] != "worker │ … 499 more lines, see: shardmill logs worker" {
		t.Errorf("got %q", got)
	}
}

// Functions of one name in two accounts are two functions: each has its own bounds, and the terminal says which one
// printed what.
func TestNamesakesAreToldApart(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	lines := func(n int) (out []function.LogEvent) {
		for i := range n {
			out = append(out, function.LogEvent{At: digestStart, Message: fmt.Sprint("line ", i)})
		}
		return out
	}
	theirs := function.Ref{Account: "111122223333", Region: "eu-west-1", Name: "worker"}
	d.print(second(0), worker, lines(quietLogs+5))
	got := append(without(d.print(second(0), theirs, lines(quietLogs+1))), without(d.roll(second(1)))...)
	if len(got) != quietLogs+2 || got[0] != "worker (111122223333, eu-west-1) │ line 0" ||
		got[len(got)-2] != "worker │ … 5 more lines, see: shardmill logs worker" ||
		got[len(got)-1] != "worker (111122223333, eu-west-1) │ … 1 more line, see: shardmill logs worker --account 111122223333 --region eu-west-1" {
		t.Errorf("got %q", got)
	}

	o := worked(1)
	o.FunctionARN = theirs.ARN()
	if got := without(d.observe(second(1), o)); len(got) != 1 ||
		!strings.HasPrefix(got[0], "worker (111122223333, eu-west-1) ") {
		t.Errorf("got %q", got)
	}
}

// What has been still for a second is forgotten: a server that has seen many mappings and functions does not remember
// them.
func TestDigestForgetsWhatIsStill(t *testing.T) {
	t.Parallel()
	d := newDigest(terminal{})
	for i := range 100 {
		o := worked(1)
		o.Mapping = fmt.Sprint(i)
		d.observe(second(0), o)
		d.print(second(0), function.Ref{Name: fmt.Sprint("f", i)}, []function.LogEvent{{At: digestStart, Message: "x"}})
	}
	d.roll(second(1))
	d.roll(second(2))
	if len(d.mappings) != 0 || len(d.logs) != 0 {
		t.Errorf("remembers %d mappings and %d functions", len(d.mappings), len(d.logs))
	}
}
