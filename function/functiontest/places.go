package functiontest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// A place is the right to one invocation. The engine tries, and when it is refused it enrols each lane once and waits:
// places that are lost, or offered to lanes that are gone, leave it waiting.

var (
	succeeded = function.Result{Class: function.Success, StatusCode: 200, ExecutedVersion: function.Latest}
	reserved  = function.Result{Class: function.NotAdmitted, Reason: function.ReasonReserved, StatusCode: 429}
	left      = function.Result{Class: function.PlatformError, Reason: function.ReasonAbandoned, StatusCode: 500}
)

// busy begins an invocation of a held event and returns once it runs; its result comes through the channel.
func (b *Bench) busy(t *testing.T, ctx context.Context, h *held) <-chan function.Result {
	t.Helper()
	result := make(chan function.Result, 1)
	go func() { result <- b.invoke(ctx, h.event) }()
	eventually.Comes(t, "an invocation that runs", h.came)
	return result
}

// line is the waiters of a test, and which of them were called.
type line struct {
	mu     sync.Mutex
	called []string
	calls  chan string
}

func newLine() *line { return &line{calls: make(chan string, 100)} }

// enrol adds a waiter with a name.
func (l *line) enrol(b *Bench, name string) (cancel func()) {
	return b.Enrol(b.Ref, func() {
		l.mu.Lock()
		l.called = append(l.called, name)
		l.mu.Unlock()
		l.calls <- name
	})
}

// want fails unless these waiters were called so far, in this order.
func (l *line) want(t *testing.T, when string, names ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.called, names) {
		t.Errorf("%s: %q were called, want %q", when, l.called, names)
	}
}

// next waits for the next call.
func (l *line) next(t *testing.T, name string) {
	t.Helper()
	if got := eventually.Comes(t, "the call of "+name, l.calls); got != name {
		t.Errorf("%s is called, and it is the turn of %s", got, name)
	}
}

func inTurn(t *testing.T, b *Bench) {
	b.Create()
	b.Reserve(1)
	h, letGo := hold(t)
	result := b.busy(t, t.Context(), h)
	want(t, b.invoke(t.Context(), Echo), reserved)
	l := newLine()
	for _, name := range []string{"a", "b", "c"} {
		l.enrol(b, name)
	}
	l.want(t, "while the only place is taken")

	letGo()
	want(t, eventually.Comes(t, "a result", result), succeeded)
	l.next(t, "a")
	l.want(t, "one place is free", "a")
	want(t, b.invoke(t.Context(), Echo), succeeded)
	l.next(t, "b")
	l.want(t, "it was taken and is free again", "a", "b")
	if res := b.invoke(t.Context(), Fail); res.Class != function.FunctionError {
		t.Errorf("a failure is %+v", res)
	}
	l.next(t, "c")
	l.want(t, "after a failure", "a", "b", "c")
}

func withdrawn(t *testing.T, b *Bench) {
	b.Create()
	b.Reserve(1)
	h, letGo := hold(t)
	result := b.busy(t, t.Context(), h)
	l := newLine()
	cancel := l.enrol(b, "a")
	l.enrol(b, "b")
	cancel()
	cancel()
	letGo()
	eventually.Comes(t, "a result", result)
	l.next(t, "b")
	l.want(t, "a was taken back", "b")
}

// A lane that was called may be gone, or at work by itself. It lets go of its turn, and the place is for the next.
func placeGoesOn(t *testing.T, b *Bench) {
	b.Create()
	b.Reserve(0)
	l := newLine()
	cancelA := l.enrol(b, "a")
	l.enrol(b, "b")
	l.enrol(b, "c")
	b.Reserve(1)
	l.next(t, "a")
	l.want(t, "one place is free", "a")

	cancelA()
	l.next(t, "b")
	l.want(t, "the first has let go", "a", "b")
	cancelA()
	l.want(t, "the first has let go twice", "a", "b")
	want(t, b.invoke(t.Context(), Echo), succeeded)
	l.next(t, "c")
	l.want(t, "the second has used it", "a", "b", "c")
}

// The engine lets go of a call when a mapping is deleted or a server stops, and the code runs on.
func placeStaysTaken(t *testing.T, b *Bench) {
	b.Create()
	want(t, b.invoke(t.Context(), Echo), succeeded) // it is warm from here on
	b.Reserve(1)
	h, letGo := hold(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := b.busy(t, ctx, h)
	l := newLine()
	l.enrol(b, "a")

	cancel()
	want(t, eventually.Comes(t, "a result for a caller who has gone", result), left)
	want(t, b.invoke(t.Context(), Echo), reserved)
	l.want(t, "while the code of a caller who has gone runs")

	letGo()
	l.next(t, "a")
	want(t, b.invoke(t.Context(), Echo), succeeded)
}

func placesAreNotLost(t *testing.T, b *Bench) {
	b.Create()
	b.Reserve(1)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 {
		switch res := b.invoke(gone, Echo); res.Class {
		case function.PlatformError, function.NotAdmitted, function.Success: // whether it still ran is chance
		default:
			t.Errorf("a caller who has gone gets %+v", res)
		}
		l := newLine()
		l.enrol(b, "a")
		l.next(t, "a")
	}
	want(t, b.invoke(t.Context(), Echo), succeeded)
}

func accountLimit(t *testing.T, b *Bench) {
	if b.Account == 0 {
		return // it has all the concurrency there is
	}
	b.Create()
	h, letGo := hold(t)
	var results []<-chan function.Result
	for range b.Account {
		results = append(results, b.busy(t, t.Context(), h))
	}
	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.NotAdmitted, Reason: function.ReasonAccount, StatusCode: 429,
	})
	l := newLine()
	l.enrol(b, "a")
	l.want(t, "while all of the account's places are taken")
	letGo()
	for _, r := range results {
		want(t, eventually.Comes(t, "a result", r), succeeded)
	}
	l.next(t, "a")
	want(t, b.invoke(t.Context(), Echo), succeeded)
}

func reservationEnds(t *testing.T, b *Bench) {
	b.Create()
	b.Reserve(0)
	l := newLine()
	l.enrol(b, "a")
	b.Delete()
	l.next(t, "a") // a try now shows that there is nothing to wait for
	b.Create()
	want(t, b.invoke(t.Context(), Echo), succeeded)
}
