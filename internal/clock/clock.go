// Package clock provides the time that users steer: real time plus an offset that only grows.
//
// Everything that a person wants to fast-forward goes by it: retention, batching windows, back-off, record age,
// visibility timeouts, arrival times, iterators, log times. Leases, function timeouts, drain limits and HTTP timeouts
// stay on real time and do not use it.
package clock

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Clock tells the time and wakes sleepers. The zero value is not usable; make one with New. Safe for concurrent use.
// While the offset does not change it behaves like package time, so it works inside synctest bubbles.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
	timers timerHeap
	loose  timerHeap   // those that an Advance jumps over
	alarm  *time.Timer // fires at the real time of the earliest timer
	seq    uint64
	fired  uint64        // timers, without those of polls
	firing int           // functions of timers that have not returned
	calm   chan struct{} // closed when firing falls to 0; nil without a waiter

	advance sync.Mutex // held during an Advance: one at a time
}

// New returns a clock that shows real time plus offset.
func New(offset time.Duration) *Clock { return &Clock{offset: offset} }

// Now returns the steered time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time { return time.Now().Add(c.offset) }

// Offset returns how far the clock is ahead of real time.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// SetOffset sets the offset, for example after stored data is opened or at a reset. Timers that are due fire. It waits
// for an Advance under way, which would otherwise continue from a different time; it must not be called from an
// Advance's idle.
func (c *Clock) SetOffset(d time.Duration) {
	c.advance.Lock()
	defer c.advance.Unlock()
	c.mu.Lock()
	c.offset = d
	c.rearm()
	c.mu.Unlock()
}

// Timer calls its function once, unless stopped first.
type Timer struct {
	c     *Clock
	at    time.Time
	f     func()
	seq   uint64
	index int // in the heap; -1 when not in it
	kind  kind
}

// kind says what an Advance makes of a timer.
type kind uint8

const (
	exact kind = iota // it stops there
	loose             // it goes on
	poll              // it stops there, and what happens there can be told from nothing
)

// At calls f on its own goroutine once the clock shows at or later.
func (c *Clock) At(at time.Time, f func()) *Timer { return c.set(at, f, exact) }

// AtLeast is At for what need not happen at its very instant, as a count once a minute: an Advance does not stop at it,
// and f is called where the clock stops next.
func (c *Clock) AtLeast(at time.Time, f func()) *Timer { return c.set(at, f, loose) }

// Poll is At for a look that finds nothing most of the time, and whose owner can tell when it has found something: see
// Fired.
func (c *Clock) Poll(at time.Time, f func()) *Timer { return c.set(at, f, poll) }

// Fired returns how many timers have fired, without those of Poll. While it stays the same, what polls have found is
// all that can have happened because time has passed.
func (c *Clock) Fired() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fired
}

func (c *Clock) set(at time.Time, f func(), k kind) *Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	t := &Timer{c: c, at: at.Round(0), f: f, seq: c.seq, kind: k}
	heap.Push(t.heap(), t)
	c.rearm()
	return t
}

// heap returns where t is kept.
func (t *Timer) heap() *timerHeap {
	if t.kind == loose {
		return &t.c.loose
	}
	return &t.c.timers
}

// After calls f on its own goroutine once d has passed on this clock.
func (c *Clock) After(d time.Duration, f func()) *Timer { return c.At(c.Now().Add(d), f) }

// Stop keeps the timer from firing; it returns false if the timer has fired or was stopped.
func (t *Timer) Stop() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	if t.index < 0 {
		return false
	}
	heap.Remove(t.heap(), t.index)
	t.c.rearm()
	return true
}

// rearm fires what is due and sets the alarm for the next timer. c.mu is held.
func (c *Clock) rearm() {
	now := c.now()
	for _, timers := range []*timerHeap{&c.timers, &c.loose} {
		for len(*timers) > 0 && !(*timers)[0].at.After(now) {
			t := heap.Pop(timers).(*Timer)
			c.firing++
			if t.kind != poll {
				c.fired++
			}
			go c.fire(t.f)
		}
	}
	if c.alarm != nil {
		c.alarm.Stop()
		c.alarm = nil
	}
	var next *Timer
	for _, timers := range []timerHeap{c.timers, c.loose} {
		if len(timers) > 0 && (next == nil || timers[0].at.Before(next.at)) {
			next = timers[0]
		}
	}
	if next != nil {
		c.alarm = time.AfterFunc(next.at.Sub(now), func() {
			c.mu.Lock()
			c.rearm()
			c.mu.Unlock()
		})
	}
}

func (c *Clock) fire(f func()) {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.firing--; c.firing == 0 && c.calm != nil {
			close(c.calm)
			c.calm = nil
		}
	}()
	f()
}

// quiet waits until the functions of all fired timers have returned.
func (c *Clock) quiet(ctx context.Context) error {
	c.mu.Lock()
	if c.firing == 0 {
		c.mu.Unlock()
		return nil
	}
	if c.calm == nil {
		c.calm = make(chan struct{})
	}
	calm := c.calm
	c.mu.Unlock()
	select {
	case <-calm:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Advance moves the clock forward by d, from deadline to deadline: at each it fires what is due, calls idle, and
// continues. idle waits until the work that the timers started is done; its error stops the clock where it is. Advance
// returns how far the clock has moved.
func (c *Clock) Advance(ctx context.Context, d time.Duration, idle func(context.Context) error) (time.Duration, error) {
	c.advance.Lock()
	defer c.advance.Unlock()
	start := c.Offset()
	for {
		if err := c.quiet(ctx); err != nil {
			return c.Offset() - start, err
		}
		if err := idle(ctx); err != nil {
			return c.Offset() - start, err
		}
		c.mu.Lock()
		left := d - (c.offset - start)
		if left <= 0 {
			c.mu.Unlock()
			return d, nil
		}
		step := left
		if len(c.timers) > 0 {
			if wait := c.timers[0].at.Sub(c.now()); wait < step {
				step = max(wait, 0)
			}
		}
		c.offset += step
		c.rearm()
		c.mu.Unlock()
	}
}

type timerHeap []*Timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
