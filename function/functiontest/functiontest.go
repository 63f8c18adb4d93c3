// Package functiontest tests what package function promises to callers that invoke functions. The room itself passes,
// and so does every fake of it in other rooms' tests: a fake that behaves differently hides faults.
package functiontest

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// Functions is the subject of the tests.
type Functions interface {
	Invoke(ctx context.Context, inv function.Invocation) function.Result
	Enrol(ref function.Ref, waiter func()) (cancel func())
	Changed(ref function.Ref) <-chan struct{}
	Find(ref function.Ref, qualifier string) (*function.Configuration, bool)
}

// Bench is a room or a fake of it, without a function, and what a test does to it. Its verbs return when they are in
// effect.
type Bench struct {
	Functions
	Ref     function.Ref // of the one function
	Create  func()       // makes a function whose code is Obey
	Delete  func()
	Reserve func(n int) // concurrency; -1: none is reserved
	Account int         // concurrency of the account, which nothing else uses; 0: unlimited
	// Update begins to replace the code by its version 2 and returns while that is in progress; finish returns when it
	// is in effect. nil: there are no updates.
	Update  func() (finish func())
	Publish func() (version string)                                 // makes a version of $LATEST
	Point   func(alias, version string, weights map[string]float64) // makes an alias, or changes it
	Remove  func(qualifier string)                                  // deletes a version or an alias
	Stop    func()                                                  // nil: it does not stop
}

// Run judges what bench makes.
func Run(t *testing.T, bench func(t *testing.T) *Bench) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, b *Bench)
	}{
		{"a function that is not there is a configuration error with its own reason", missing},
		{"an answer is a success", success},
		{"a failure is a function error with a document", failure},
		{"an attempt beyond the reservation is refused", refused},
		{"a waiter is called when there is room, and once", enrolled},
		{"a waiter that was taken back is not called", takenBack},
		{"every change is told", changes},
		{"a place calls one waiter, and the next in the order of enrolling", inTurn},
		{"a waiter that was taken back leaves its turn to the next", withdrawn},
		{"a place that was offered and is not used goes on to the next", placeGoesOn},
		{"a caller who goes has its answer at once, and its place stays taken while the code runs", placeStaysTaken},
		{"a caller who has gone keeps no place", placesAreNotLost},
		{"an attempt beyond the account's concurrency is refused for that reason", accountLimit},
		{"a reservation ends with its function", reservationEnds},
		{"a caller that asks before each look misses no change", nothingMissed},
		{"the old code runs until an update is in effect", updated},
		{"a payload is the caller's and an answer is the caller's", shared},
		{"a version is what was published", published},
		{"an alias leads where it points, and its change is told", followed},
		{"a qualifier that is not there is a function that is not there", unknownQualifier},
		{"versions share the function's places", sharedPlaces},
		{"an alias with weights routes each invocation", weighted},
		{"a room that has stopped says so", stopped},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, bench(t)) })
	}
}

func (b *Bench) invoke(ctx context.Context, event string) function.Result {
	return b.Invoke(ctx, function.Invocation{
		Ref: b.Ref, RequestID: "00000000-0000-4000-8000-000000000000", Payload: []byte(event), Wait: true,
	})
}

// want judges the members that callers decide by.
func want(t *testing.T, got, want function.Result) {
	t.Helper()
	if got.Class != want.Class || got.Reason != want.Reason || got.ErrorKind != want.ErrorKind ||
		got.StatusCode != want.StatusCode || got.ExecutedVersion != want.ExecutedVersion {
		t.Errorf("got %s, reason %q, error %q, status %d, version %q\nwant %s, reason %q, error %q, status %d, version %q",
			got.Class, got.Reason, got.ErrorKind, got.StatusCode, got.ExecutedVersion, want.Class, want.Reason,
			want.ErrorKind, want.StatusCode, want.ExecutedVersion)
	}
}

func missing(t *testing.T, b *Bench) {
	if _, ok := b.Find(b.Ref, ""); ok {
		t.Error("a function is there before it was made")
	}
	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.ConfigError, Reason: function.ReasonNotFound, StatusCode: 404,
	})

	b.Create()
	b.Delete()

	if _, ok := b.Find(b.Ref, ""); ok {
		t.Error("a function is there after it was deleted")
	}
	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.ConfigError, Reason: function.ReasonNotFound, StatusCode: 404,
	})
}

func success(t *testing.T, b *Bench) {
	b.Create()
	if c, ok := b.Find(b.Ref, ""); !ok || c.Role == "" {
		t.Errorf("the configuration is %+v, %t", c, ok)
	}

	got := b.invoke(t.Context(), Echo)

	want(t, got, function.Result{Class: function.Success, StatusCode: 200, ExecutedVersion: function.Latest})
	if string(got.Payload) != Echo {
		t.Errorf("answer %s, want %s", got.Payload, Echo)
	}
}

func failure(t *testing.T, b *Bench) {
	b.Create()

	got := b.invoke(t.Context(), Fail)

	// Reason is from a header that not all runtimes send; the error is in the document.
	want(t, got, function.Result{
		Class: function.FunctionError, Reason: got.Reason, ErrorKind: function.Unhandled, StatusCode: 200,
		ExecutedVersion: function.Latest,
	})
	var document struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal(got.Payload, &document); err != nil || document.ErrorType != "Boom" {
		t.Errorf("error document %s (%v)", got.Payload, err)
	}
}

func refused(t *testing.T, b *Bench) {
	b.Create()
	b.Reserve(0)

	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.NotAdmitted, Reason: function.ReasonReserved, StatusCode: 429,
	})

	b.Reserve(-1)
	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.Success, StatusCode: 200, ExecutedVersion: function.Latest,
	})
}

func enrolled(t *testing.T, b *Bench) {
	b.Create()
	calls := make(chan struct{}, 10)
	waiter := func() { calls <- struct{}{} }

	b.Enrol(b.Ref, waiter)
	select {
	case <-calls:
	default:
		t.Error("there was room, and the waiter was not called before Enrol returned")
	}

	b.Reserve(0)
	b.Enrol(b.Ref, waiter)
	select {
	case <-calls:
		t.Error("a waiter was called though there is no room")
	default:
	}
	b.Reserve(-1)
	eventually.Comes(t, "the call of a waiter for which there is room", calls)
	// frees a place
	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.Success, StatusCode: 200, ExecutedVersion: function.Latest,
	})
	select {
	case <-calls:
		t.Error("a waiter was called twice")
	default:
	}
}

func takenBack(t *testing.T, b *Bench) {
	b.Create()
	b.Reserve(0)
	cancel := b.Enrol(b.Ref, func() { t.Error("a waiter was called after it was taken back") })

	cancel()
	b.Reserve(-1)

	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.Success, StatusCode: 200, ExecutedVersion: function.Latest,
	})
}

func changes(t *testing.T, b *Bench) {
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"create", b.Create},
		{"a reservation", func() { b.Reserve(1) }},
		{"the end of a reservation", func() { b.Reserve(-1) }},
		{"delete", b.Delete},
	} {
		changed := b.Changed(b.Ref)
		c.do()
		eventually.Comes(t, "word of "+c.what, changed)
	}
}
