package function

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
)

// fleetBench is Functions with nothing but a fleet, and generations of functions that share an account.
type fleetBench struct {
	*fleetShell
	f *Functions
}

func newFleetBench(t *testing.T, environments, account int) *fleetBench {
	f := &Functions{code: &packages{users: map[string]int{}, zips: t.TempDir(), scratch: t.TempDir()}}
	f.fleet = newFleet(environments, account, time.Minute)
	return &fleetBench{f.fleet, f}
}

func (b *fleetBench) generation(name string) *generation {
	return b.f.newGeneration(&Configuration{Ref: Ref{Name: name}, CodeSHA256: name})
}

// must asks for an invocation and fails unless it gets the grant want.
func (b *fleetBench) must(t *testing.T, g *generation, wait bool, want grant) (fleet.Ticket, answer) {
	t.Helper()
	id, a := b.ask(time.Now(), g, wait)
	if a.grant != want {
		t.Fatalf("granted %d, want %d", a.grant, want)
	}
	return id, a
}

// A caller that waits for room when the function changes looks the function up again: its code may be gone.
func TestWaitingForACodeThatIsGone(t *testing.T) {
	t.Parallel()
	b := newFleetBench(t, 1, 10)
	busy, g := b.generation("busy"), b.generation("f")
	b.must(t, busy, false, mayStart)
	b.must(t, g, false, refused)
	_, a := b.must(t, g, true, stands)

	b.retire(g)

	if got := <-a.later; got.grant != stale {
		t.Errorf("granted %d", got.grant)
	}
	if _, a := b.ask(time.Now(), g, true); a.grant != stale {
		t.Errorf("later: granted %d", a.grant)
	}
	if n := b.f.code.users["f"]; n != 0 {
		t.Errorf("the generation still holds its code")
	}
}

// What a caller is given at the moment at which it leaves goes to the next in line.
func TestWhatALeavingCallerIsGivenIsNotLost(t *testing.T) {
	t.Parallel()
	b := newFleetBench(t, 1, 10)
	g := b.generation("f")
	id, first := b.must(t, g, false, mayStart)
	second, a := b.must(t, g, true, stands)
	_, third := b.must(t, g, true, stands)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	b.gone(first.number) // it could not be started: the second may start one
	b.ended(id)
	a.later = make(chan answer) // and does not hear of it
	got := b.await(ctx, second, a.later)

	if got.grant != refused || got.reason != fleet.MachineLimit {
		t.Errorf("granted %d", got.grant)
	}
	if got := <-third.later; got.grant != mayStart {
		t.Errorf("the third is granted %d", got.grant)
	}
	if n := b.running(); n != 1 {
		t.Errorf("%d are running", n)
	}
}

// Of what is granted as a caller leaves nothing is lost: the caller has it, or the next in line.
func TestGrantsMeetLeavingCallers(t *testing.T) {
	t.Parallel()
	for range 64 { // both are ready: either may be seen first
		b := newFleetBench(t, 1, 10)
		g := b.generation("f")
		id, first := b.must(t, g, false, mayStart)
		second, a := b.must(t, g, true, stands)
		_, third := b.must(t, g, true, stands)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.gone(first.number)
		b.ended(id)

		if got := b.await(ctx, second, a.later); got.grant == mayStart {
			b.gone(got.number)
			b.ended(second)
		}

		select {
		case got := <-third.later:
			if got.grant != mayStart {
				t.Fatalf("the third is granted %d", got.grant)
			}
		default:
			t.Fatal("what the second was granted is lost")
		}
	}
}

// An offer lapses after its second, though an idle environment has set the alarm to a later instant.
func TestAlarmMovesForward(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newFleetBench(t, 1, 1)
		g := b.generation("f")
		id, a := b.must(t, g, false, mayStart)
		e := &environment{f: b.f, g: g, number: a.number}
		b.started(e)
		b.done(id, e) // idle for a minute
		begun := time.Now()
		called := make(chan string, 2)
		for _, name := range []string{"a", "b"} {
			b.enrol(g.conf.Ref, func() { called <- name + " " + time.Since(begun).String() })
		}

		time.Sleep(10 * time.Second)

		for _, want := range []string{"a 0s", "b 1s"} {
			select {
			case got := <-called:
				if got != want {
					t.Errorf("called %s, want %s", got, want)
				}
			default:
				t.Errorf("not called: %s", want)
			}
		}
	})
}

// A caller that leaves as it is refused has ended once.
func TestLeavingWhileTheServerStops(t *testing.T) {
	t.Parallel()
	for range 20 { // both are ready: either may be seen first
		b := newFleetBench(t, 1, 10)
		g := b.generation("f")
		b.must(t, g, false, mayStart)
		id, a := b.must(t, g, true, stands)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		b.close()

		if got := b.await(ctx, id, a.later); got.grant != refused || got.reason != fleet.Closing {
			t.Fatalf("granted %d, reason %s", got.grant, got.reason)
		}
	}
}

// A caller that leaves the line is not served; those behind it are.
func TestLeavingTheLine(t *testing.T) {
	t.Parallel()
	b := newFleetBench(t, 1, 10)
	g := b.generation("f")
	_, first := b.must(t, g, false, mayStart)
	second, a := b.must(t, g, true, stands)
	_, third := b.must(t, g, true, stands)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	b.await(ctx, second, a.later)
	b.gone(first.number)

	if got := <-third.later; got.grant != mayStart {
		t.Errorf("granted %d", got.grant)
	}
	if len(b.inLine) != 0 {
		t.Errorf("%d are kept in line", len(b.inLine))
	}
}

// The fleet gets its Ticks: an offered place that is not taken goes to the next waiter after a second, and so on.
func TestOffersLapseByThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newFleetBench(t, 1, 1)
		g := b.generation("f")
		id, _ := b.must(t, g, false, mayStart)
		begun := time.Now()
		called := make(chan string, 4)
		wait := func(name string) (cancel func()) {
			return b.enrol(g.conf.Ref, func() { called <- name + " " + time.Since(begun).String() })
		}
		wait("a")
		wait("b")
		cancel := wait("c")
		wait("d")
		time.Sleep(time.Second)

		b.ended(id)
		time.Sleep(fleet.OfferTime)
		cancel()
		time.Sleep(time.Hour)

		for _, want := range []string{"a 1s", "b 2s", "d 3s"} {
			if got := <-called; got != want {
				t.Errorf("called %s, want %s", got, want)
			}
		}
		if len(called) != 0 {
			t.Errorf("then called %s", <-called)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.waiters) != 0 {
			t.Errorf("%d waiters are kept", len(b.waiters))
		}
	})
}

// However an invocation ends, it is counted no more: also one that was not delivered and has no caller to try again.
func TestEveryOutcomeEndsItsInvocation(t *testing.T) {
	t.Parallel()
	for _, how := range []outcome{lost, retry} {
		b := newFleetBench(t, 1, 10)
		id, _ := b.must(t, b.generation("f"), false, mayStart)

		b.f.count(&Invocation{ticket: id}, &Result{}, how, nil)

		if n := b.running(); n != 0 {
			t.Errorf("outcome %d: %d are running", how, n)
		}
	}
}

// An invocation that waits for a function to be created ends when the server stops, however long it would wait.
func TestWaitingForActiveEndsWithStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pending := &entry{live: live{conf: &Configuration{State: Pending}, settled: make(chan struct{})}}
		f := &Functions{entries: map[Ref]*entry{{Name: "f"}: pending}, stopping: make(chan struct{})}
		time.AfterFunc(time.Hour, func() { close(f.stopping) })

		g, r := f.ready(t.Context(), &Invocation{Ref: Ref{Name: "f"}, Wait: true})

		if g != nil || r.Class != PlatformError || r.Reason != ReasonStopping {
			t.Errorf("got %+v", r)
		}
	})
}

// Stopping waits for invocations, and no longer than it may.
func TestDrained(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newFleetBench(t, 2, 10)
		g := b.generation("f")
		id, _ := b.must(t, g, false, mayStart)
		other, _ := b.must(t, g, false, mayStart)
		if refs := b.busy(); len(refs) != 1 || refs[0] != g.conf.Ref {
			t.Errorf("busy with %v", refs)
		}

		b.close()
		b.ended(other)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		b.awaitDrained(ctx)

		if d := time.Since(begun); d != 5*time.Second {
			t.Errorf("drained after %s, with an invocation under way", d)
		}
		time.AfterFunc(time.Second, func() { b.ended(id) })
		b.awaitDrained(t.Context())
		if d := time.Since(begun); d != 6*time.Second {
			t.Errorf("drained after %s", d)
		}
		if _, a := b.ask(time.Now(), g, true); a.grant != refused || a.reason != fleet.Closing {
			t.Errorf("granted %d once it is closed", a.grant)
		}
	})
}

// BenchmarkFleet measures the cost of a warm invocation in the fleet: ask, give back, end.
func BenchmarkFleet(b *testing.B) {
	for _, c := range []struct {
		name     string
		reserved *int
	}{{"unreserved", nil}, {"reserved", new(10)}} {
		b.Run(c.name, func(b *testing.B) {
			f := &Functions{code: &packages{users: map[string]int{}}}
			f.fleet = newFleet(100, 1000, time.Minute)
			g := f.newGeneration(&Configuration{Ref: Ref{"000000000000", "us-east-1", "function-name"}})
			f.fleet.reserve(g.conf.Ref, c.reserved)
			id, a := f.fleet.ask(time.Now(), g, false)
			e := &environment{f: f, g: g, number: a.number}
			f.fleet.started(e)
			f.fleet.done(id, e)
			begun := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				id, a := f.fleet.ask(begun, g, false) // an Invoke knows the time already
				if a.env != e || e.isDead() {
					b.Fatal(a.grant)
				}
				f.fleet.done(id, e)
			}
		})
	}
}
