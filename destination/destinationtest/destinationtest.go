// Package destinationtest tests what package destination promises to the rooms that announce discarded records. Every
// kind of destination passes, and so does every fake of one in other rooms' tests. Imported by tests only.
package destinationtest

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/internal/eventually"
)

// Bench is an existing, empty destination, with what a test does to it. The verbs return once they are in effect.
type Bench struct {
	destination.Sender
	Take    func() []string // receives and deletes all messages, as a reader does, and returns the bodies
	Carries bool            // its notices carry the records
	Largest int             // bytes that a body may have at most; 0: there is no limit
	// a repeat takes the place of the first, if a reader has left it there: nothing keeps ids
	Replaces bool
	Remove   func()        // removes the destination; nil: impossible
	Make     func()        // creates it again, empty
	Stop     func()        // stops the room that serves it; nil: there is none
	Crash    func()        // ends the process and starts another on what is durable; nil: nothing is durable
	Fail     func(on bool) // makes the messages' store fail, which is our own fault; nil: impossible
	// Hold makes the next Send block inside. reached is closed once it blocks, release lets it go on. nil: impossible.
	Hold func() (reached <-chan struct{}, release func())
}

// Run runs the suite on what open makes, a new one for each test.
func Run(t *testing.T, open func(t *testing.T) *Bench) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, b *Bench)
	}{
		{"what was sent is there, to the letter", delivered},
		{"it says whether notices carry the records", payload},
		{"what was sent outlives the process", durable},
		{"a repeat is no second message", once},
		{"a repeat is none after the first was read, or the process ended, either", onceForLong},
		{"repeats at the same time are one message", onceAtOnce},
		{"many at once are all there", concurrent},
		{"a body is the caller's again when Send has returned", unshared},
		{"what the destination cannot take is refused", tooLarge},
		{"a destination that is not there refuses, until it is", missing},
		{"a room that has stopped does not refuse", stopped},
		{"a fault of ours does not refuse, and the repeat is one message", failing},
		{"a caller who has gone is told no lie", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// at is when all records of the suite were given up.
var at = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// deliver sends a notice of which only the id counts.
func (b *Bench) deliver(ctx context.Context, id string, body []byte) error {
	return b.Send(ctx, destination.Sending{
		ID: id, Mapping: "3f7a1c5e-0000-4000-8000-000000000000", Shard: "shardId-000000000000", At: at, Body: body,
	})
}

func (b *Bench) send(t *testing.T, id, body string) {
	t.Helper()
	if err := b.deliver(t.Context(), id, []byte(body)); err != nil {
		t.Fatalf("send %s: %v", id, err)
	}
}

// want fails unless exactly these bodies are there, in any order.
func (b *Bench) want(t *testing.T, bodies ...string) {
	t.Helper()
	got := b.Take()
	slices.Sort(got)
	slices.Sort(bodies)
	if !slices.Equal(got, bodies) {
		t.Errorf("%d messages are there: %.200q, want %d: %.200q", len(got), got, len(bodies), bodies)
	}
}

// refused fails the test unless err means that the destination said no; ours fails it if it does, or if err is nil.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || !destination.Refused(err) {
		t.Errorf("%s: %v, want a refusal", what, err)
	}
}

func ours(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || destination.Refused(err) {
		t.Errorf("%s: %v, want an error that is no refusal", what, err)
	}
}

func delivered(t *testing.T, b *Bench) {
	bodies := []string{
		`{"a":1}`, `{"a":1} `, "\u00e9 \U0001f600 \t\n", "x", strings.Repeat("y", cmp.Or(b.Largest, 7<<20)),
	}
	for i, body := range bodies {
		b.send(t, fmt.Sprint("id-", i), body)
	}
	b.send(t, "another", "x") // the id counts, not the body
	b.want(t, append(bodies, "x")...)
	b.want(t)
}

func payload(t *testing.T, b *Bench) {
	if got := b.Payload(); got != b.Carries {
		t.Errorf("notices carry the records: %t", got)
	}
}

func durable(t *testing.T, b *Bench) {
	if b.Crash == nil {
		return // it keeps ids as long as the process runs
	}
	for i := range 5 {
		b.send(t, fmt.Sprint("id-", i), fmt.Sprint("body ", i))
	}
	b.Crash()
	b.want(t, "body 0", "body 1", "body 2", "body 3", "body 4")
}

func once(t *testing.T, b *Bench) {
	for range 3 {
		b.send(t, "one", "body")
		b.send(t, "two", "body")
	}
	b.want(t, "body", "body")
}

// The engine saves its checkpoint after a notice. If the process ends in between, the notice is sent again.
func onceForLong(t *testing.T, b *Bench) {
	b.send(t, "one", "body")
	if !b.Replaces {
		b.want(t, "body")
	}
	b.send(t, "one", "body")
	if b.Crash == nil {
		return
	}
	if !b.Replaces {
		b.want(t)
	}
	b.send(t, "two", "body")
	b.Crash()
	b.send(t, "one", "body")
	b.send(t, "two", "body")
	if b.Replaces {
		b.want(t, "body", "body")
		return
	}
	b.want(t, "body")
}

func onceAtOnce(t *testing.T, b *Bench) {
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() {
			if err := b.deliver(t.Context(), "one", []byte("body")); err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	senders.Wait()
	b.want(t, "body")
	if b.Hold == nil {
		return
	}

	reached, release := b.Hold()
	again := func() {
		if err := b.deliver(t.Context(), "two", []byte("body")); err != nil {
			t.Errorf("send: %v", err)
		}
	}
	senders.Go(again)
	eventually.Comes(t, "a send within the destination", reached)
	began := make(chan struct{})
	senders.Go(func() {
		close(began)
		again()
	})
	<-began
	for i := range 20 { // it has time to overtake the first, if it can
		b.send(t, fmt.Sprint("other ", i), "other")
		runtime.Gosched()
	}
	release()
	senders.Wait()
	b.want(t, append(slices.Repeat([]string{"other"}, 20), "body")...)
}

func concurrent(t *testing.T, b *Bench) {
	var senders sync.WaitGroup
	var bodies []string
	for i := range 60 {
		body := fmt.Sprint("body ", i)
		bodies = append(bodies, body)
		senders.Go(func() {
			if err := b.deliver(t.Context(), body, []byte(body)); err != nil {
				t.Errorf("send: %v", err)
			}
		})
	}
	senders.Wait()
	b.want(t, bodies...)
}

func unshared(t *testing.T, b *Bench) {
	body := []byte("body")
	if err := b.deliver(t.Context(), "one", body); err != nil {
		t.Fatal(err)
	}
	copy(body, "XXXX")
	b.want(t, "body")
}

func tooLarge(t *testing.T, b *Bench) {
	if b.Largest == 0 {
		return
	}
	refused(t, "a body that is too large", b.deliver(t.Context(), "one", []byte(strings.Repeat("y", b.Largest+1))))
	b.want(t)
	b.send(t, "one", "body") // a refusal is not taken for the message
	b.want(t, "body")
}

func missing(t *testing.T, b *Bench) {
	if b.Remove == nil {
		return // it always exists
	}
	b.Remove()
	refused(t, "a destination that is not there", b.deliver(t.Context(), "one", []byte("body")))
	b.Make()
	b.send(t, "one", "body")
	b.want(t, "body")
}

// The engine stops before the rooms that it uses, but a notice under way may come too late. It counts as not tried.
func stopped(t *testing.T, b *Bench) {
	if b.Stop == nil {
		return
	}
	b.Stop()
	ours(t, "a room that has stopped", b.deliver(t.Context(), "one", []byte("body")))
}

func failing(t *testing.T, b *Bench) {
	if b.Fail == nil {
		return
	}
	b.Fail(true)
	ours(t, "a store that fails", b.deliver(t.Context(), "one", []byte("body")))
	ours(t, "a store that fails", b.deliver(t.Context(), "one", []byte("body")))
	b.Fail(false)
	b.send(t, "one", "body")
	b.send(t, "one", "body")
	b.want(t, "body")
}

func cancelled(t *testing.T, b *Bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var bodies []string
	switch err := b.deliver(ctx, "before", []byte("before")); {
	case err == nil:
		bodies = append(bodies, "before")
	case destination.Refused(err):
		t.Errorf("a caller who has gone is refused: %v", err)
	}
	if b.Hold == nil {
		b.want(t, bodies...)
		return
	}

	ctx, cancel = context.WithCancel(t.Context())
	reached, release := b.Hold()
	sent := make(chan error, 1)
	go func() { sent <- b.deliver(ctx, "during", []byte("during")) }()
	eventually.Comes(t, "a send within the destination", reached)
	cancel()
	release()
	if err := eventually.Comes(t, "the send", sent); err != nil && destination.Refused(err) {
		t.Errorf("a caller who has gone is refused: %v", err)
	}
	b.send(t, "during", "during") // whatever became of the first, with the repeat there is exactly one
	b.want(t, append(bodies, "during")...)
}
