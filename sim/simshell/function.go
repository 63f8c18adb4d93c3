package simshell

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/function/functiontest"
)

// functions behaves as the function room does, with a Go func as code. functiontest holds it to that.
type functions struct {
	// called when an invocation has been admitted, unless its caller brings other code
	work func(inv function.Invocation) code
	// all counts the code that runs; it can run longer than any caller waits.
	all *sync.WaitGroup

	mu      sync.Mutex
	limit   int // reserved concurrency; -1: none
	running int // invocations whose code has not ended, whether or not a caller waits
	flights int // invocations that a caller waits for
	missing bool
	named   functiontest.Qualifiers // versions and aliases

	published int    // of the versions
	alias     string // the version that decides what is said of the alias

	changed chan struct{}
	waiters []*waiter
	offered []*waiter // those that were called and not heard of since
}

// code is what runs in one invocation.
type code struct {
	takes  time.Duration
	answer func() function.Result // called at its end, whether or not the caller still waits
	told   func(function.Result)  // called with what a caller gets that still waits; nil: nothing is
	left   func()                 // called when the caller goes, with an answer or without one; nil: nothing is
}

// waiter is a place in the line for a free slot.
type waiter struct {
	call    func()
	foreign bool // of another caller than the engine
}

func newFunctions(work func(function.Invocation) code, all *sync.WaitGroup) *functions {
	return &functions{work: work, all: all, limit: -1, changed: make(chan struct{})}
}

// Invoke runs the code once. When ctx ends, the code goes on, and so does its slot.
func (f *functions) Invoke(ctx context.Context, inv function.Invocation) function.Result {
	return f.call(ctx, inv, f.work)
}

// call is Invoke with other code.
func (f *functions) call(
	ctx context.Context, inv function.Invocation, work func(function.Invocation) code,
) function.Result {
	f.mu.Lock()
	version, _, found := f.named.Resolve(inv.Qualifier, 1)
	if f.missing || !found {
		f.mu.Unlock()
		return function.Result{
			Class: function.ConfigError, Reason: function.ReasonNotFound,
			Detail:     "Function not found: " + inv.Ref.ARN(),
			StatusCode: 404,
		}
	}
	if f.full(0) {
		f.mu.Unlock()
		return function.Result{
			Class: function.NotAdmitted, Reason: function.ReasonReserved, Detail: "Rate Exceeded.", StatusCode: 429,
		}
	}
	f.take()
	f.flights++
	f.mu.Unlock()
	c := work(inv)
	done := make(chan function.Result, 1)
	f.all.Go(func() {
		if c.takes > 0 {
			pause(c.takes)
		}
		res := c.answer()
		if res.ExecutedVersion != "" {
			res.ExecutedVersion = version
		}
		f.free()
		done <- res
	})
	var res function.Result
	select {
	case res = <-done:
	case <-ctx.Done():
		res = function.Result{
			Class: function.PlatformError, Reason: function.ReasonAbandoned, Detail: context.Cause(ctx).Error(),
			StatusCode: 500,
		}
	}
	f.mu.Lock()
	f.flights--
	f.mu.Unlock()
	if ctx.Err() == nil && c.told != nil {
		c.told(res)
	}
	if c.left != nil {
		c.left()
	}
	return res
}

// free gives a slot back and offers it to the waiter whose turn it is.
func (f *functions) free() {
	f.mu.Lock()
	f.running--
	w := f.next()
	f.mu.Unlock()
	if w != nil {
		w()
	}
}

// take takes a place. Which waiter asks cannot be told; the one that was called first counts. f.mu is held.
func (f *functions) take() {
	f.running++
	f.offered = f.offered[min(1, len(f.offered)):]
}

// full reports whether an attempt would be refused if there were so many more. f.mu is held.
func (f *functions) full(more int) bool { return f.limit >= 0 && f.running+more >= f.limit }

// next takes the waiter whose turn it is out of the line, if there is a place that was offered to no other. A place
// that is not taken in time goes on to the next. f.mu is held.
func (f *functions) next() func() {
	if len(f.waiters) == 0 || f.full(len(f.offered)) {
		return nil
	}
	w := f.waiters[0]
	f.waiters, f.offered = f.waiters[1:], append(f.offered, w)
	time.AfterFunc(fleet.OfferTime, func() { f.withdraw(w) })
	return w.call
}

// withdraw ends a wait; a place that was offered for it goes on.
func (f *functions) withdraw(w *waiter) {
	f.mu.Lock()
	is := func(x *waiter) bool { return x == w }
	n := len(f.offered)
	f.waiters, f.offered = slices.DeleteFunc(f.waiters, is), slices.DeleteFunc(f.offered, is)
	var call func()
	if len(f.offered) < n {
		call = f.next()
	}
	f.mu.Unlock()
	if call != nil {
		call()
	}
}

// Enrol calls call once when there is room.
func (f *functions) Enrol(_ function.Ref, call func()) (cancel func()) {
	return f.enrol(&waiter{call: call})
}

func (f *functions) enrol(w *waiter) (cancel func()) {
	f.mu.Lock()
	f.waiters = append(f.waiters, w)
	now := f.next()
	f.mu.Unlock()
	if now != nil {
		now()
	}
	return func() { f.withdraw(w) }
}

// Changed is closed at the next change.
func (f *functions) Changed(function.Ref) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// Find is the configuration.
func (f *functions) Find(_ function.Ref, qualifier string) (*function.Configuration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	version, _, found := f.named.Resolve(qualifier, 1)
	if f.missing || !found {
		return nil, false
	}
	if qualifier == live && f.alias != "" {
		version = f.alias // whatever its weights
	}
	c := &function.Configuration{Version: version}
	c.Role = roleOf(version)
	return c, true
}

// change does something to the function, tells everyone who watches it, and offers what room came of it.
func (f *functions) change(do func()) {
	f.mu.Lock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
	var calls []func()
	for w := f.next(); w != nil; w = f.next() {
		calls = append(calls, w)
	}
	f.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// occupy is an invocation by another caller, who stands in the line when there is no room, and takes its time when
// there is.
func (f *functions) occupy(d, slow time.Duration) {
	f.mu.Lock()
	if !f.full(0) {
		f.take()
		f.mu.Unlock()
		pause(d)
		f.free()
		return
	}
	f.mu.Unlock()
	turn := make(chan struct{})
	cancel := f.enrol(&waiter{call: func() { close(turn) }, foreign: true})
	t := time.NewTimer(time.Minute)
	defer t.Stop()
	select {
	case <-turn:
		pause(slow)
		f.occupy(d, slow)
	case <-t.C:
		cancel()
	}
}

// enrolled counts the engine's waiters and the invocations that it waits for.
func (f *functions) enrolled() (waiters, flights int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.waiters {
		if !w.foreign {
			waiters++
		}
	}
	return waiters, f.flights
}
