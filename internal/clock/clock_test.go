package clock

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func calm(context.Context) error { return nil }

// An Advance stops at the instants of At and jumps over those of AtLeast, whose functions run at the next stop.
func TestAnAdvanceJumpsOverLooseTimers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		start := c.Now()
		fired := make(chan time.Duration, 3)
		note := func() { fired <- c.Now().Sub(start) }
		c.AtLeast(start.Add(time.Minute), note)
		c.At(start.Add(time.Hour), note)
		late := c.AtLeast(start.Add(24*time.Hour), note)
		stops := 0

		_, err := c.Advance(t.Context(), 2*time.Hour, func(context.Context) error { stops++; return nil })

		first, second := <-fired, <-fired
		if err != nil || stops != 3 || first != time.Hour || second != time.Hour {
			t.Errorf("%v: %d stops, fired at %s and %s", err, stops, first, second)
		}
		if !late.Stop() || late.Stop() {
			t.Error("a loose timer was not stopped once")
		}
		c.AtLeast(c.Now().Add(time.Second), note)
		if got := <-fired; got != 2*time.Hour+time.Second {
			t.Errorf("without an advance it fired at %s", got)
		}
	})
}

// An Advance stops at the instants of Poll as at those of At, but Fired does not count them.
func TestPollsAreNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		var fired []uint64
		for _, d := range []time.Duration{1, 3} {
			c.Poll(c.Now().Add(d*time.Second), func() {})
		}
		c.After(2*time.Second, func() {})
		c.AtLeast(c.Now().Add(2500*time.Millisecond), func() {})

		_, err := c.Advance(t.Context(), time.Minute, func(context.Context) error {
			fired = append(fired, c.Fired())
			return nil
		})

		if want := []uint64{0, 0, 1, 2, 2}; err != nil || !slices.Equal(fired, want) {
			t.Errorf("%v: %d have fired at the stops, want %d", err, fired, want)
		}
	})
}

// While its offset does not change, the clock behaves like package time.
func TestTimersFireInOrderOfTheirInstants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(time.Hour)
		start := c.Now()
		var mu sync.Mutex
		var fired []time.Duration
		for _, d := range []time.Duration{3 * time.Second, time.Second, 2 * time.Second} {
			c.After(d, func() {
				mu.Lock()
				defer mu.Unlock()
				fired = append(fired, c.Now().Sub(start))
			})
		}

		<-time.After(5 * time.Second)

		mu.Lock()
		defer mu.Unlock()
		want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}
		if !slices.Equal(fired, want) {
			t.Errorf("fired at %v, want %v", fired, want)
		}
	})
}

func TestStoppedTimerDoesNotFire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		timer := c.After(time.Second, func() { t.Error("fired") })

		if !timer.Stop() {
			t.Error("Stop said that it had fired")
		}
		if timer.Stop() {
			t.Error("the second Stop said that it stopped it")
		}

		<-time.After(time.Minute)
	})
}

// An advance goes from deadline to deadline: a timer that a timer sets fires within the same advance, at its own
// instant.
func TestAdvanceStepsFromDeadlineToDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		start := c.Now()
		var fired []time.Duration
		var again func()
		again = func() {
			fired = append(fired, c.Now().Sub(start))
			if len(fired) < 4 {
				c.After(20*time.Second, again)
			}
		}
		c.After(10*time.Second, again)

		moved, err := c.Advance(t.Context(), time.Minute, calm)

		if err != nil || moved != time.Minute || c.Offset() != time.Minute {
			t.Errorf("moved %s, offset %s, err %v", moved, c.Offset(), err)
		}
		want := []time.Duration{10 * time.Second, 30 * time.Second, 50 * time.Second}
		if !slices.Equal(fired, want) {
			t.Errorf("fired at %v, want %v", fired, want)
		}
	})
}

func TestAdvanceStopsWhereWorkDoesNotComeToRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		fired := false
		c.After(10*time.Second, func() { fired = true })
		stuck := errors.New("stuck")

		moved, err := c.Advance(t.Context(), time.Minute, func(context.Context) error {
			if fired {
				return stuck
			}
			return nil
		})

		if !errors.Is(err, stuck) || moved != 10*time.Second {
			t.Errorf("moved %s, err %v", moved, err)
		}
	})
}

func TestAdvanceWaitsForWhatTimersStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		done := false
		c.After(time.Second, func() {
			<-time.After(5 * time.Second) // work, in real time
			done = true
		})

		_, err := c.Advance(t.Context(), time.Minute, calm)

		if err != nil || !done {
			t.Errorf("done %v, err %v", done, err)
		}
	})
}
