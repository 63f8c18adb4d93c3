package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
)

// stuck is a terminal that takes nothing until it is let go.
type stuck struct {
	mu   sync.Mutex
	out  bytes.Buffer
	gate chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	<-s.gate
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

// What reports never waits for the terminal, memory stays bounded, and everything is shown or counted.
func TestFloodIsBoundedAndCounted(t *testing.T) {
	t.Parallel()
	w := &stuck{gate: make(chan struct{})}
	f := newFeed(newTerminal(w))
	f.start()
	const each = 3 * feedLines
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range each {
				f.say("line")
			}
		})
	}
	all.Wait()
	close(w.gate)
	f.stop()
	f.stop()
	f.say("too late")
	f.observe(worked(1))

	shown, dropped := 0, 0
	for line := range strings.Lines(w.out.String()) {
		n := 0
		if _, err := fmt.Sscanf(line, "… %d lines not shown", &n); err == nil {
			dropped += n
		} else {
			shown++
		}
	}
	if shown+dropped != 4*each || shown < feedLines || shown > feedLines+1 {
		t.Errorf("%d shown and %d counted of %d", shown, dropped, 4*each)
	}
	if strings.Contains(w.out.String(), "too late") || strings.Contains(w.out.String(), "\x1b") {
		t.Error("something is shown that may not be")
	}
}

// Whatever happens from however many sides, summaries count every batch once.
func TestSummariesCountEverything(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := newFeed(newTerminal(&out))
	// a slow machine's first second is summed up as well
	f.digest.mappings["m"] = &mappingSecond{name: "orders → worker", busy: true}
	var all sync.WaitGroup
	const each = 10_000
	for range 4 {
		all.Go(func() {
			for range each {
				f.observe(worked(2))
			}
		})
	}
	all.Wait()
	f.start()
	f.stop()
	batches, records := 0, 0
	for line := range strings.Lines(out.String()) {
		var b, r int
		if _, rest, ok := strings.Cut(line, "orders → worker: "); ok {
			if _, err := fmt.Sscanf(rest, "%d batches, %d records ok", &b, &r); err != nil {
				t.Error(line)
			}
		}
		batches, records = batches+b, records+r
	}
	if batches != 4*each || records != 8*each {
		t.Errorf("%d batches and %d records are counted:\n%s", batches, records, out.String())
	}
}

// One endless line cannot fill the memory either, and does not leave the terminal painted.
func TestLongLinesAreCut(t *testing.T) {
	t.Parallel()
	for _, colour := range []bool{false, true} {
		var out bytes.Buffer
		f := newFeed(terminal{w: &out, colour: colour})
		f.logLines(worker, []function.LogEvent{{At: time.Now(), Message: "é" + strings.Repeat("é", 1<<20)}})
		f.start()
		f.stop()
		if n := out.Len(); n > feedBytes+100 {
			t.Errorf("%d bytes are shown", n)
		}
		if got := out.String(); !strings.Contains(got, " bytes\n") || strings.Contains(got, "\uFFFD") ||
			strings.Contains(got, "é\x1b[0m … and") != colour {
			t.Errorf("the line ends in %q", got[len(got)-60:])
		}
	}
}

// Every observation for people has a line, and none without a terminal has colour.
func TestWhatHappensIsDescribed(t *testing.T) {
	t.Parallel()
	who := engine.Identity{FunctionARN: "arn:aws:lambda:us-east-1:000000000000:function:f", Shard: 3}
	noon := esm.Window{Start: 1_767_355_200_000, End: 1_767_355_260_000}
	at := noon.Start.Time()
	clock := at.Local().Format("15:04:05.000")
	two, of := esm.Batch{Count: 2}, esm.Batch{Count: 1}
	attempt := func(n int, o esm.Outcome) *esm.AttemptEnded {
		return &esm.AttemptEnded{Batch: of, Attempt: n, Outcome: o}
	}
	const f = "f shardId-000000000003 "
	for want, o := range map[string]esm.Observe{
		f + "ok         2 records, attempt 1, 1.5ms": &esm.AttemptEnded{
			Batch: two, Attempt: 1, Outcome: esm.Outcome{Kind: esm.Success, Duration: 1500 * time.Microsecond},
		},
		f + "failed     1 record, attempt 2, 1ms: ValueError: bad": attempt(2, esm.Outcome{
			Kind: esm.FunctionError, Duration: time.Millisecond, Reason: "ValueError: bad",
		}),
		f + "partial    1 record, attempt 1, 1ms: records from the reported one on come again": attempt(1, esm.Outcome{
			Kind: esm.PartialFailure, Duration: time.Millisecond,
		}),
		f + "throttled  1 record: ReservedFunctionConcurrentInvocationLimitExceeded; no attempt is used up": attempt(
			1, esm.Outcome{Kind: esm.Throttle, Reason: "ReservedFunctionConcurrentInvocationLimitExceeded"}),
		f + "not run    1 record: ResourceNotFoundException; no attempt is used up": attempt(1, esm.Outcome{
			Kind: esm.ServiceError, Reason: "ResourceNotFoundException",
		}),
		f + "bisected   left half: 5 records":  &esm.Bisected{LeftCount: 5, RightCount: 6},
		f + "back-off   attempt 2 at " + clock: &esm.WaitBegan{Reason: esm.WaitRetry, Attempt: 2, Until: at},
		f + "waiting    the destination did not take the notice; again at " + clock: &esm.WaitBegan{
			Reason: esm.WaitDestination, Until: at,
		},
		f + "discarded  1 record: RetryAttemptsExhausted": &esm.Discarded{
			Batch: of, Condition: esm.RetryAttemptsExhausted,
		},
		f + "notice     a notice about 1 record is at the destination": &esm.NoticeDelivered{Batch: of},
		f + "dropped    1 record: RecordAgeExceeded, and the mapping has no destination": &esm.Dropped{
			Batch: of, Condition: esm.RecordAgeExceeded, Why: esm.DropNoDestination,
		},
		f + "dropped    1 record: RecordAgeExceeded, and the destination refused the notice: it is gone": &esm.Dropped{
			Batch: of, Condition: esm.RecordAgeExceeded, Why: esm.DropRefused, Reason: "it is gone",
		},
		f + "lost       retention took records before they were processed": &esm.RecordsLost{},
		f + "missed     7 observations since " + clock + ": more happened than could be told": &esm.Missed{
			Count: 7, Since: at,
		},
		f + "ok         the end of the window 12:00:00–12:01:00, attempt 1, 1ms": &esm.AttemptEnded{
			Batch: esm.Batch{ID: esm.BatchID{Purpose: esm.ForFinal}}, Attempt: 1,
			Outcome: esm.Outcome{Kind: esm.Success, Duration: time.Millisecond}, Window: noon,
		},
		f + "dropped    an early end of the window 12:00:00–12:01:00: the function never got over it, " +
			"and its state is gone": &esm.StateDropped{
			Batch: esm.Batch{ID: esm.BatchID{Purpose: esm.ForEarlyEnd}}, Window: noon,
		},
	} {
		got := string(describe(terminal{}, engine.Observation{Identity: who, What: o}))
		if got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if !shown(engine.Observation{What: o}) {
			t.Errorf("%q is not shown", want)
		}
	}
}

func TestFeedShowsAnAdviceOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := newFeed(newTerminal(&out))
	f.start()
	h := newHints(f)
	us, them := wire.Caller{Account: wire.DefaultAccount, Region: wire.DefaultRegion}, wire.Caller{
		Account: "111122223333", Region: "eu-west-1",
	}
	h.hinted(us, "a")
	h.hinted(us, "b")
	h.hinted(us, "a")
	h.hinted(them, "a") // the same advice about another account's function
	h.hinted(them, "a")
	f.stop()
	if got := out.String(); got != "hint: a\nhint: b\nhint (111122223333, eu-west-1): a\n" {
		t.Errorf("got %q", got)
	}
}
