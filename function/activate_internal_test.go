package function

import (
	"context"
	"testing"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/storage/memory"
)

// What is made ready to run is at work, and a clock that is moved waits for it; while it only waits for its transition
// to be over by that clock, it is not.
func TestAnActivationIsWorkUnlessItWaitsForTheClock(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	f, err := New(Options{Store: memory.New(memory.Options{}), Dir: t.TempDir(), Clock: c, Transition: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Stop(t.Context()) })
	none := func(context.Context) error { return nil }

	f.change.Lock() // its end waits for that
	f.activate(live{
		conf:    &Configuration{Ref: Ref{Name: "f"}, Runtime: "provided.al2023", LastModified: c.Now()},
		settled: make(chan struct{}),
	})
	eventually.Holds(t, "it waits for the clock", func() bool { return f.Preparing() == 0 })
	if _, err := c.Advance(t.Context(), 5*time.Second, none); err != nil {
		t.Fatal(err)
	}
	if n := f.Preparing(); n != 1 {
		t.Errorf("%d at work after the transition, want 1", n)
	}
	f.change.Unlock()
	eventually.Holds(t, "its end", func() bool { return f.Preparing() == 0 })
}

// A stop ends the wait for the clock at once, and leaves no timer that would count the activation as work later.
func TestAWaitForTheClockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := clock.New(0)
	f := &Functions{opt: Options{Clock: c}}
	f.preparing.Add(1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	over := f.rest(ctx, c.Now().Add(time.Hour))

	if n := f.Preparing(); over || n != 1 {
		t.Errorf("over %t, %d at work, want 1", over, n)
	}
	if _, err := c.Advance(t.Context(), 2*time.Hour, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if n := f.Preparing(); n != 1 {
		t.Errorf("%d at work an hour after the wait, want 1", n)
	}
}
