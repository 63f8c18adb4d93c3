package function

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function/runtimeapi"
	"github.com/shardmill/shardmill/function/sandbox"
	"github.com/shardmill/shardmill/internal/clock"
)

// What a process printed before its end comes before the closing lines of its last invocation, even if it was not read
// yet, and even half a line.
func TestLastWordsStandBeforeTheReport(t *testing.T) {
	t.Parallel()
	e := ends(t, "a line\nlast words")
	f := e.f

	e.supervise()

	var lines []string
	for _, ev := range e.out.batch() {
		line, _, _ := strings.Cut(ev.Message, "\t")
		lines = append(lines, strings.TrimSpace(line))
	}
	closing := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "RequestId: id-1 Error: ") })
	if closing != 2 || lines[0] != "a line" || lines[1] != "last words" || lines[3] != "END RequestId: id-1" {
		t.Errorf("got %q", lines)
	}
	if s := <-e.events; s.kind != died {
		t.Errorf("signal %d", s.kind)
	}
	if c := f.fleet.machine.Counts(); c.Environments != 0 || len(f.starting) != 0 {
		t.Errorf("%d environments are counted, %d starting", c.Environments, len(f.starting))
	}
}

// The directory of a process that ended by itself goes to the next one; that of one that was stopped goes.
func TestStoppedEnvironmentLeavesNoFiles(t *testing.T) {
	t.Parallel()
	for _, stopped := range []bool{false, true} {
		e := ends(t, "")
		e.stopped = stopped

		e.supervise()

		_, err := os.Stat(e.directory)
		if kept := slices.Contains(e.g.directories, e.directory); kept == stopped || os.IsNotExist(err) != stopped {
			t.Errorf("stopped is %t: kept is %t, %v", stopped, kept, err)
		}
	}
}

// ends returns an environment whose process has printed something and ends by itself, in the middle of an invocation.
func ends(t *testing.T, printed string) *environment {
	t.Helper()
	f := &Functions{
		opt:  Options{Clock: clock.New(0), Log: slog.New(slog.DiscardHandler)},
		code: &packages{users: map[string]int{}, zips: t.TempDir(), scratch: t.TempDir()},
		box:  sandbox.New(sandbox.Options{Isolation: sandbox.None}),
		logs: newLogPump(&collector{}), guard: &memoryGuard{}, starting: make(chan struct{}, 1),
	}
	f.keys.holders = map[string]holder{}
	f.fleet = newFleet(1, 1, time.Minute)
	f.starting <- struct{}{}
	g := f.newGeneration(&Configuration{MemoryMB: 128, Timeout: time.Minute})
	_, a := f.fleet.ask(time.Now(), g, false)
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := newOutput(f.logs, time.Now, Ref{}, "group", "stream", pr)
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{
		f: f, g: g, number: a.number, directory: t.TempDir(), up: make(chan struct{}), events: make(chan signal, 8),
		out: out, started: time.Now(), over: make(chan struct{}), phase: working,
		delivery: &delivery{inv: &Invocation{RequestID: "id-1"}, sent: true, begun: time.Now(), again: true},
	}
	if err := e.listen(); err != nil {
		t.Fatal(err)
	}
	spec := sandbox.Spec{Dir: "/", Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}, Output: pw}
	if e.proc, err = f.box.Start(spec); err != nil {
		t.Fatal(err)
	}
	f.fleet.started(e)
	if _, err := io.WriteString(pw, printed); err != nil {
		t.Fatal(err)
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	return e
}

// An environment that was given back may still hold signals of its last invocation. The next one does not take them for
// its own.
func TestSignalsOfAnEarlierInvocationAreNotHeard(t *testing.T) {
	t.Parallel()
	for _, at := range []phase{answering, working} {
		e := &environment{events: make(chan signal, 8), phase: at}
		for _, kind := range []signalKind{undelivered, wasAnswered, wasReported, died} {
			e.events <- signal{kind: kind}
		}

		if !e.begin(&delivery{inv: &Invocation{}}) {
			t.Fatal("it is dead")
		}

		if n := len(e.events); n != 0 {
			t.Errorf("the next invocation finds %d signals", n)
		}
	}
}

// A second subscription of an extension replaces its first. Extensions that subscribe at the same time get every event
// once, whatever their names.
func TestSecondSubscriptionReplacesTheFirst(t *testing.T) {
	t.Parallel()
	f := &Functions{opt: Options{Clock: clock.New(0), Log: slog.New(slog.DiscardHandler)}}
	o := &output{pump: newLogPump(&collector{}), now: time.Now}
	e := &environment{
		f: f, g: &generation{f: f, conf: &Configuration{}}, out: o, proc: &sandbox.Process{}, up: make(chan struct{}),
	}
	close(e.up)
	lines := func(port int) runtimeapi.Subscription {
		return runtimeapi.Subscription{
			Extension: fmt.Sprint("x", port/10), Types: []string{runtimeapi.TelemetryFunction}, Port: port,
			MaxItems: 1000, MaxBytes: 1 << 20, Timeout: time.Hour,
		}
	}
	subscriberAt := func(port int) *subscriber {
		for _, s := range e.telemetry.Load().subs {
			if s.Port == port {
				return s
			}
		}
		return nil
	}

	e.Subscribed(lines(11))
	first := subscriberAt(11)
	e.Subscribed(lines(21))
	e.Subscribed(lines(12))
	t.Cleanup(func() {
		for _, s := range e.telemetry.Load().subs {
			close(s.cancelled)
		}
		f.work.Wait() // the first's deliveries have ended, too
	})
	o.split([]byte("a line\n"))

	select {
	case <-first.cancelled:
	default:
		t.Error("the first subscription is delivered on")
	}
	var ports []int
	for _, s := range e.telemetry.Load().subs {
		ports = append(ports, s.Port)
		if len(s.events) != 1 || !strings.Contains(string(s.events[0]), "a line") {
			t.Errorf("port %d gets %q", s.Port, s.events)
		}
	}
	if !slices.Equal(ports, []int{21, 12}) || len(first.events) != 0 {
		t.Errorf("subscribed are %v; the first one got %q", ports, first.events)
	}
}

// An init phase that takes longer than it may gives its place among the starting environments to another one.
func TestLongInitPhaseHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	f := &Functions{opt: Options{InitTimeout: time.Minute}, starting: make(chan struct{}, 1)}
	f.starting <- struct{}{}
	d := &delivery{inv: &Invocation{}}
	e := &environment{
		f: f, g: &generation{f: f, conf: &Configuration{Timeout: time.Minute}}, events: make(chan signal, 8),
		phase: initialising, delivery: d,
	}
	w := f.watch(e, d)
	defer w.timer.Stop()

	if _, _, over := w.late(); over {
		t.Fatal("the invocation has ended")
	}

	if len(f.starting) != 0 {
		t.Error("its place is not given back")
	}
}

// A runtime that has answered and does not ask again is left after two seconds, by an invocation that it has not heard
// of and that goes elsewhere. Something in it still runs: it is stopped once the function's timeout has passed, too.
func TestRuntimeThatDoesNotComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const timeout = time.Minute
		f := &Functions{opt: Options{InitTimeout: 10 * time.Second}}
		e := &environment{
			f: f, g: &generation{f: f, conf: &Configuration{Timeout: timeout}}, events: make(chan signal, 8),
			phase:   answering,
			stopped: true, // there is no process to end
		}
		d := &delivery{inv: &Invocation{}}
		if !e.begin(d) {
			t.Fatal("it is dead")
		}
		begun := time.Now()

		_, how := f.await(t.Context(), e, d)

		if took := time.Since(begun); how != retry || took != 2*time.Second {
			t.Errorf("outcome %d after %s", how, took)
		}
		if e.delivery != nil {
			t.Error("the invocation stays with it")
		}
		time.Sleep(timeout - 1)
		synctest.Wait()
		if e.isDead() {
			t.Error("it is stopped before its time")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !e.isDead() {
			t.Error("it is not stopped")
		}
	})
}
