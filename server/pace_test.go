package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// At AWS's pace transitions of streams, functions and mappings are seen for five seconds, calls that conflict fail at
// once (S-19), and a mapping polls once a second; moving the clock ends them all and brings the poll.
func TestPaceReachesEveryRoom(t *testing.T) {
	t.Parallel()
	observe, started, _ := attempts()
	b := start(t, Config{Dev: true, Pace: PaceAWS, Observe: observe})
	const mappings, function = "/2015-03-31/event-source-mappings", "/2015-03-31/functions/f/configuration"
	advance := func(d time.Duration) {
		t.Helper()
		b.ok(b.control("POST", control.PathClock, fmt.Sprintf(`{"advanceMillis":%d}`, d.Milliseconds())))
	}
	shows := func(want string, status int, answer string) {
		t.Helper()
		if b.ok(status, answer); !strings.Contains(answer, want) {
			t.Errorf("%s does not show %s", answer, want)
		}
	}
	status := func() (int, string) { return b.kinesis("DescribeStreamSummary", `{"StreamName":"orders"}`) }
	get := func(path string) (int, string) { return b.lambda("GET", path, "") }
	three := func(stream, functionState, mapping string) {
		t.Helper()
		code, answer := status()
		shows(`"StreamStatus":"`+stream+`"`, code, answer)
		code, answer = get(function)
		shows(`"State":"`+functionState+`"`, code, answer)
		code, answer = get(mappings)
		shows(`"State":"`+mapping+`"`, code, answer)
	}

	b.pipeline()

	three("CREATING", "Pending", "Creating")
	_, uuid, _ := strings.Cut(b.ok(get(mappings)), `"UUID":"`)
	one := mappings + "/" + uuid[:36]
	for what, refusal := range map[string]func() (int, string){
		`"Type":"User","Message":"Cannot update the event source mapping because it is in use."`: func() (int, string) {
			return b.lambda("PUT", one, `{"BatchSize":5}`)
		},
		`An update is in progress for resource: arn:aws:lambda:us-east-1:000000000000:function:f`: func() (int, string) {
			return b.lambda("PUT", function, `{"Timeout":5}`)
		},
		`ResourceInUseException`: func() (int, string) {
			return b.kinesis("SplitShard", `{"StreamName":"orders","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"9"}`)
		},
	} {
		if code, answer := refusal(); code/100 != 4 || !strings.Contains(answer, what) {
			t.Errorf("%d %s, want %s", code, answer, what)
		}
	}
	advance(5 * time.Second) // it waits until the function's code is unpacked, which takes real time
	three("ACTIVE", "Active", "Enabled")
	b.put("k")
	advance(time.Second)
	eventually.Comes(t, "the batch of the next poll", started)
	shows(`"State":"Deleting"`, 200, b.ok(b.lambda("DELETE", one, "")))
	code, answer := get(one)
	shows(`"State":"Deleting"`, code, answer)
	advance(5 * time.Second)
	if code, answer := get(one); code != 404 {
		t.Errorf("a deleted mapping: %d %s", code, answer)
	}
}

// Moving the clock by an hour stops at 3,600 polls. Where they find nothing and nothing else is due, it goes on at
// once; what a poll finds has happened at its own instant, with its retry, before the clock moves on.
func TestAnHourOfPollsPassesAtOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var began []time.Time
	b := start(t, Config{Dev: true, Pace: PaceAWS, Observe: func(o engine.Observation) {
		if _, ok := o.What.(*esm.AttemptStarted); ok {
			mu.Lock()
			defer mu.Unlock()
			began = append(began, o.At)
		}
	}})
	b.pipeline()
	full, light := 0, 0
	advance := func(d time.Duration) {
		t.Helper()
		s := steps{rooms: b.s.rooms, patience: time.Minute}
		full, light = 0, 0
		_, err := b.s.clock.Advance(t.Context(), d, func(ctx context.Context) error {
			if s.begun && s.polled(ctx) {
				light++
				return nil
			}
			full++
			return s.idle(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	advance(5 * time.Second)
	b.put("fail once")
	put := b.s.clock.Now()

	advance(time.Hour)

	mu.Lock()
	if len(began) != 2 || began[0].Sub(put) > 2*time.Second || began[1].Sub(began[0]) > 10*time.Second {
		t.Errorf("put at %s, tried at %s", put, began)
	}
	mu.Unlock()
	if full > 100 || light < 3500 {
		t.Errorf("%d full looks and %d light ones in an hour", full, light)
	}
	s := steps{rooms: b.s.rooms, patience: time.Minute}
	looked := func() {
		t.Helper()
		if s.begun && s.polled(t.Context()) {
			t.Error("no full look")
		}
		s.begun = false
		if err := s.idle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	looked()
	fired := make(chan struct{})
	b.s.clock.At(b.s.clock.Now(), func() { close(fired) }) // what it wakes may need a moment to be seen
	<-fired
	looked()
	b.put("k")
	b.s.clock.SetOffset(b.s.clock.Offset() + time.Second)
	eventually.Reaches(t, "the read of the record", func() (bool, string) {
		return b.s.rooms.engine.Reads() > s.reads, ""
	})
	looked()
	var client sync.WaitGroup
	client.Go(func() { // until the server stops
		b.s.functions().Invoke(context.Background(), function.Invocation{
			Ref: function.Ref{Account: "000000000000", Region: "us-east-1", Name: "f"}, Payload: []byte(`"hang"`),
		})
	})
	t.Cleanup(client.Wait)
	t.Cleanup(b.stopNow)
	eventually.Holds(t, "an invocation of a client", func() bool { return b.s.functions().Busy() > 0 })
	if s.polled(t.Context()) {
		t.Error("no full look while a function runs that no mapping has called")
	}
}
