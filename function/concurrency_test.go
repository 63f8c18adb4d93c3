package function_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// F-42: a function never runs more often at once than it has reserved; the refusal names the limit. A waiter is called
// when there is a place.
func TestReservedConcurrencyIsHeld(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined)
	b.python("f", untilGo)
	if err := b.PutConcurrency(t.Context(), ref("f"), 1); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	first := make(chan function.Result, 1)
	go func() { first <- b.invoke("f", quote(dir)) }()
	waitForFile(t, filepath.Join(dir, "started"))

	r := b.invoke("f", quote(dir))

	if r.Class != function.NotAdmitted || r.Reason != function.ReasonReserved || r.Detail != "Rate Exceeded." ||
		r.StatusCode != 429 {
		t.Errorf("got %+v", r)
	}
	if n := b.Busy(); n != 1 {
		t.Errorf("%d busy", n)
	}
	called := make(chan string, 2)
	b.Enrol(ref("f"), func() { called <- "first" })
	cancel := b.Enrol(ref("f"), func() { called <- "cancelled" })
	b.Enrol(ref("f"), func() { called <- "third" })
	cancel()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, <-first, function.Success, `null`)
	if who := <-called; who != "first" {
		t.Errorf("%s waiter was called", who)
	}
	want(t, b.invoke("f", quote(dir)), function.Success, `null`)
	if who := <-called; who != "third" {
		t.Errorf("%s waiter was called", who)
	}
}

// A new reservation takes the place of the old one: what the others are left is counted without it.
func TestReservationIsReplaced(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.AccountConcurrency, o.UnreservedMinimum = 10, 1 })
	for _, name := range []string{"f", "g"} {
		b.provided(name, "echo")
		if err := b.PutConcurrency(t.Context(), ref(name), 4); err != nil {
			t.Fatal(err)
		}
	}

	if err := b.PutConcurrency(t.Context(), ref("f"), 5); err != nil {
		t.Errorf("5 and 4 of 10 leave the one that must be left: %v", err)
	}
	if err := b.PutConcurrency(t.Context(), ref("f"), 6); err == nil {
		t.Error("6 and 4 of 10 leave nothing")
	}
}

// An invocation in line whose function is deleted ends, and is not counted any more.
func TestDeletedWhileInLine(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.MaxEnvironments = 1 }, unconfined)
	b.python("busy", untilGo)
	b.provided("f", "echo")
	dir := t.TempDir()
	busy, waits := make(chan function.Result, 1), make(chan function.Result, 1)
	go func() { busy <- b.invoke("busy", quote(dir)) }()
	waitForFile(t, filepath.Join(dir, "started"))
	go func() { waits <- b.invoke("f", `1`, func(i *function.Invocation) { i.Wait = true }) }()
	eventually.Holds(t, "an invocation in line", func() bool { return b.Busy() == 2 })

	if err := b.Delete(t.Context(), ref("f")); err != nil {
		t.Fatal(err)
	}

	if r := <-waits; r.Class != function.ConfigError || r.Reason != function.ReasonNotFound {
		t.Errorf("got %+v", r)
	}
	if n := b.Busy(); n != 1 {
		t.Errorf("%d busy", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, <-busy, function.Success, `null`)
}

// F-18: a reservation of zero stops a function.
func TestReservationOfZeroStopsTheFunction(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "echo")
	if err := b.PutConcurrency(t.Context(), ref("f"), 0); err != nil {
		t.Fatal(err)
	}

	if r := b.invoke("f", `1`); r.Class != function.NotAdmitted || r.Reason != function.ReasonReserved {
		t.Errorf("got %+v", r)
	}
	if err := b.DeleteConcurrency(t.Context(), ref("f")); err != nil {
		t.Fatal(err)
	}
	want(t, b.invoke("f", `1`), function.Success, `1`)
}

// On a full machine an API call is refused and a mapping's poller waits; an idle environment of another function makes
// room.
func TestMachineCapMakesPollersWait(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined, func(o *function.Options) { o.MaxEnvironments = 1 })
	b.provided("idle", "echo")
	want(t, b.invoke("idle", `1`), function.Success, `1`)
	b.python("f", untilGo)
	dir := t.TempDir()
	first := make(chan function.Result, 1)
	go func() { first <- b.invoke("f", quote(dir)) }()
	waitForFile(t, filepath.Join(dir, "started"))

	if r := b.invoke("idle", `1`); r.Class != function.NotAdmitted || r.Reason != function.ReasonAccount {
		t.Errorf("got %+v", r)
	}
	waiting := make(chan function.Result, 1)
	go func() { waiting <- b.invoke("idle", `2`, func(i *function.Invocation) { i.Wait = true }) }()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, <-first, function.Success, `null`)
	want(t, <-waiting, function.Success, `2`)
}

// F-43: invocations in a row share an environment; parallel ones have their own.
func TestEnvironmentsAreReusedAndNotShared(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined)
	b.python("f", counter)
	want(t, b.invoke("f", `null`), function.Success, `0`)
	want(t, b.invoke("f", `null`), function.Success, `1`)

	b.python("g", `
		import os, time
		n = -1
		def handler(event, context):
		    global n
		    n += 1
		    open(os.path.join(event, str(os.getpid())), "w").close()
		    while len(os.listdir(event)) < 3:
		        time.sleep(0.01)
		    return n
	`)
	meeting := t.TempDir()
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if r := b.invoke("g", quote(meeting)); string(r.Payload) != `0` {
				t.Errorf("got %v %s", r.Class, r.Payload)
			}
		})
	}
	all.Wait()
}

// A caller whose context ends gets its answer at once; the handler goes on and counts until it ends.
func TestHandlerGoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	b := start(t, unconfined)
	b.python("f", untilGo)
	if err := b.PutConcurrency(t.Context(), ref("f"), 1); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan function.Result, 1)
	go func() {
		result <- b.Invoke(ctx, function.Invocation{Ref: ref("f"), RequestID: "id", Payload: []byte(quote(dir))})
	}()
	waitForFile(t, filepath.Join(dir, "started"))

	cancel()

	if r := <-result; r.Class != function.PlatformError || r.Reason != "Abandoned" {
		t.Errorf("got %+v", r)
	}
	if b.Busy() != 1 {
		t.Errorf("%d busy", b.Busy())
	}
	freed := make(chan struct{})
	b.Enrol(ref("f"), func() { close(freed) })
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-freed
	if b.Busy() != 0 {
		t.Errorf("%d busy", b.Busy())
	}
}

// A waiter that enrols after the place has become free is called all the same.
func TestEnrollingLateLosesNothing(t *testing.T) {
	t.Parallel()
	b := start(t)
	called := make(chan struct{}, 1)

	b.Enrol(ref("f"), func() { called <- struct{}{} })

	select {
	case <-called:
	default:
		t.Error("there is a place, and the waiter was not called")
	}
}

// Under load, with environments that crash and updates that replace them, every invocation ends properly and nothing
// stays counted.
func TestNothingIsLostUnderLoad(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.MaxEnvironments = 3 })
	b.provided("f", "echo")
	b.provided("crash", "exit-on-event")
	ctx, stop := context.WithCancel(t.Context())
	var updates, all sync.WaitGroup
	updates.Go(func() {
		for i := 0; ctx.Err() == nil && i < 6; i++ {
			if _, err := b.UpdateConfiguration(ctx, function.UpdateConfigurationInput{
				Ref: ref("f"), MemoryMB: number(128 + i),
			}); err != nil &&
				ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for worker := range 4 {
		all.Go(func() {
			for i := range 40 {
				payload := fmt.Sprintf("[%d,%d]", worker, i)
				if r := b.invoke(
					"f", payload, func(inv *function.Invocation) { inv.Wait = true },
				); r.Class != function.Success ||
					string(r.Payload) != payload {
					t.Errorf("got %v %s %s %s", r.Class, r.Payload, r.Reason, r.Detail)
				}
				if worker == 0 && i%10 == 0 {
					if r := b.invoke(
						"crash", "1", func(inv *function.Invocation) { inv.Wait = true },
					); r.Class != function.FunctionError ||
						r.Reason != "Runtime.ExitError" {
						t.Errorf("crash: %v %s %s", r.Class, r.Reason, r.Detail)
					}
				}
			}
		})
	}

	all.Wait()
	stop()
	updates.Wait()

	if n := b.Busy(); n != 0 {
		t.Errorf("%d invocations are still counted", n)
	}
}
