package function

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function/sandbox"
	"github.com/shardmill/shardmill/internal/clock"
)

// F-37: both texts of a timeout, the recorded one of November 2025 and the one before it.
func TestTimeoutTexts(t *testing.T) {
	t.Parallel()
	f := &Functions{opt: Options{Clock: clock.New(0)}}
	if got := string(
		f.timedOut("id", time.Second).document("id"),
	); got != `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id Error: Task timed out after 1.00 seconds"}` {
		t.Errorf("got %s", got)
	}
	f.opt.LegacyTimeoutPayload = true
	if got := string(f.timedOut("id", time.Second).document("id")); !strings.HasPrefix(got, `{"errorMessage":"20`) ||
		!strings.HasSuffix(got, `Z id Task timed out after 1.00 seconds"}`) {
		t.Errorf("got %s", got)
	}
}

// The time of an invocation counts from the instant at which its runtime gets the event, although the timer of what
// came before may end just then.
func TestTimeCountsFromTheEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &environment{g: &generation{conf: &Configuration{Timeout: time.Second}}}
		d := &delivery{inv: &Invocation{}, sent: true, begun: time.Now(), initOver: 100 * time.Millisecond}
		w := &watcher{e: e, d: d, timer: time.NewTimer(time.Hour)}

		<-time.After(300 * time.Millisecond)
		if _, _, over := w.late(); over {
			t.Fatal("it was ended before its time")
		}

		if up := <-w.timer.C; up.Sub(d.begun) != 900*time.Millisecond {
			t.Errorf("ended after %v", up.Sub(d.begun))
		}
	})
}

// answeredEnvironment returns an environment whose runtime is about to ask again, and the pipe to which its process
// prints.
func answeredEnvironment(t *testing.T) (*environment, *os.File) {
	t.Helper()
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pr.Close(); _ = pw.Close() })
	o, err := newOutput(newLogPump(&collector{}), time.Now, Ref{}, "group", "stream", pr)
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{
		g: &generation{conf: &Configuration{}}, out: o, proc: &sandbox.Process{}, sampled: time.Now(),
		up: make(chan struct{}), phase: answering, report: &report{id: "id-1"},
	}
	close(e.up)
	return e, pw
}

// A handler's output comes before the closing lines of its invocation, even if it was not read yet.
func TestLinesStandBeforeTheReport(t *testing.T) {
	t.Parallel()
	e, pw := answeredEnvironment(t)
	if _, err := pw.WriteString("printed\n"); err != nil {
		t.Fatal(err)
	}

	e.Ready()

	if events := e.out.batch(); len(events) != 3 || events[0].Message != "printed" ||
		events[1].Message != "END RequestId: id-1" {
		t.Errorf("got %v", events)
	}
}

// An environment takes no other invocation before the closing lines of the last one are written, so that they come
// before the first lines of the next.
func TestNextInvocationComesAfterTheReport(t *testing.T) {
	t.Parallel()
	e, _ := answeredEnvironment(t)
	o := e.out
	if err := o.pipe.Close(); err != nil { // nothing is printed
		t.Fatal(err)
	}
	phaseOf := func() (phase, *report) {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.phase, e.report
	}

	o.mu.Lock() // another goroutine is writing a line
	over := make(chan struct{})
	go func() {
		e.Ready()
		close(over)
	}()
	at, rep := phaseOf()
	for ; rep != nil; at, rep = phaseOf() {
		runtime.Gosched()
	}
	o.mu.Unlock()
	<-over

	if at != answering {
		t.Errorf("it took work before the lines were out: %v", at)
	}
	if at, _ = phaseOf(); at != ready || len(o.events) != 2 {
		t.Errorf("in the end it is %v with %d lines", at, len(o.events))
	}
}

// What an init phase takes beyond its own limit is taken from the timeout of the invocation that waits for it.
func TestLongInitPhaseUsesUpTheTimeout(t *testing.T) {
	t.Parallel()
	e, _ := answeredEnvironment(t)
	if err := e.out.pipe.Close(); err != nil { // nothing is printed
		t.Fatal(err)
	}
	const limit, timeout = 10 * time.Second, time.Minute
	e.f = &Functions{opt: Options{InitTimeout: limit}, starting: make(chan struct{}, 1)}
	e.f.starting <- struct{}{}
	e.g.conf.Timeout = timeout
	d := &delivery{inv: &Invocation{}, sent: true, begun: time.Now()}
	e.phase, e.report, e.delivery, e.started = initialising, nil, d, d.begun.Add(-limit-2*time.Second)

	e.Ready()

	if left := e.deadline(d).Sub(d.begun); left != timeout-(e.initTime-limit) || left > timeout-2*time.Second {
		t.Errorf("after an init phase of %s it has %s", e.initTime, left)
	}
}

// The pause grows from one second to thirty, and a start that works ends it.
func TestInitPauseGrows(t *testing.T) {
	t.Parallel()
	g := &generation{}
	f := failure{kind: "Runtime.ExitError", message: "x"}
	for range 2 {
		g.initFailed(f)
		if _, paused := g.pause(); paused {
			t.Fatal("paused too early")
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		before := time.Now()
		g.initFailed(f)
		if d := g.retryAt.Sub(before).Round(time.Second); d != want*time.Second {
			t.Errorf("pause of %v, want %v s", d, want)
		}
		if last, paused := g.pause(); !paused || last.message != "x" {
			t.Error("not paused")
		}
	}
	g.initWorked()
	if _, paused := g.pause(); paused {
		t.Error("paused after a start that worked")
	}
}

// A slow or blocked sink loses the oldest lines of a ring and says how many bytes; nothing waits for it.
func TestOverflowDropsTheOldest(t *testing.T) {
	t.Parallel()
	o := &output{pump: newLogPump(blocked{}), now: time.Now}
	for range 20 {
		o.emit(strings.Repeat("x", 100<<10))
	}
	events := o.batch()
	if len(events) != 11 || events[0].Message != "[dropped 1024010 bytes]" {
		t.Errorf("%d events, first %.40q", len(events), events[0].Message)
	}
	o.emit("again")
	if events = o.batch(); len(events) != 1 || events[0].Message != "again" {
		t.Errorf("%d events after the overflow was told, first %.40q", len(events), events[0].Message)
	}
	o.split(bytes.Repeat([]byte("\n"), 100_000))
	if events = o.batch(); len(events) != maxLogRing/eventSize+1 ||
		events[0].Message != fmt.Sprintf("[dropped %d bytes]", 100_000-maxLogRing/eventSize) {
		t.Errorf("%d events of empty lines, first %.40q", len(events), events[0].Message)
	}
}

type blocked struct{}

func (blocked) Write(Ref, string, string, []LogEvent) { select {} }

// Lines longer than 256 KiB are cut; a framed message keeps its line breaks.
func TestLinesAreSplit(t *testing.T) {
	t.Parallel()
	o := &output{pump: newLogPump(blocked{}), now: time.Now}
	for _, part := range []string{"be", "gun\nnext\r\n\x1eframed\x1ftwo\n", strings.Repeat("y", maxLogLine+10), "z\n"} {
		o.split([]byte(part))
	}
	events := o.batch()
	if len(events) != 5 || events[0].Message != "begun" || events[1].Message != "next" ||
		events[2].Message != "framed\ntwo" ||
		len(events[3].Message) != maxLogLine || events[4].Message != "yyyyyyyyyyz" {
		t.Errorf("%d events", len(events))
	}
}
