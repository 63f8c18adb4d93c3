package functiontest

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
)

// The engine takes the channel, then the configuration. A change in between must wake it.
func nothingMissed(t *testing.T, b *Bench) {
	var last atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan struct{})
	go func() {
		for {
			changed := b.Changed(b.Ref)
			if _, ok := b.Find(b.Ref, ""); ok && last.Load() {
				close(seen)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	for range 5 {
		b.Create()
		b.Delete()
	}
	last.Store(true)
	b.Create()
	eventually.Comes(t, "the last change, in the eyes of who follows all", seen)
}

// Batches that back off are tried again when an update is in effect, not when it is announced: until then it is the old
// code that runs.
func updated(t *testing.T, b *Bench) {
	b.Create()
	version := func(when, want string) {
		t.Helper()
		if res := b.invoke(t.Context(), Version); res.Class != function.Success || string(res.Payload) != want {
			t.Errorf("%s: %s %s, want version %s", when, res.Class, res.Payload, want)
		}
	}
	inProgress := func() bool {
		c, ok := b.Find(b.Ref, "")
		return ok && c.UpdateStatus == function.InProgress
	}
	version("before", "1")
	if b.Update == nil {
		return // nothing of it changes
	}

	announced := b.Changed(b.Ref)
	finish := b.Update()
	eventually.Comes(t, "word of an update that begins", announced)
	if !inProgress() {
		t.Error("no update is in progress")
	}
	version("while it is in progress", "1")

	effective := b.Changed(b.Ref)
	finish()
	eventually.Comes(t, "word of an update in effect", effective)
	if inProgress() {
		t.Error("the update is still in progress")
	}
	version("after it", "2")
}

func stopped(t *testing.T, b *Bench) {
	if b.Stop == nil {
		return // it lives as long as the test
	}
	b.Create()
	b.Reserve(0)
	newLine().enrol(b, "a")
	b.Stop()
	b.Stop()
	want(t, b.invoke(t.Context(), Echo), function.Result{
		Class: function.PlatformError, Reason: function.ReasonStopping, StatusCode: 500,
	})
	newLine().enrol(b, "b")() // neither blocks nor fails
}

// One payload may be in several invocations, and the room reads it as long as the code may ask for it.
func shared(t *testing.T, b *Bench) {
	b.Create()
	payload := []byte(Echo)
	results := make(chan function.Result, 4)
	for range cap(results) {
		go func() {
			results <- b.Invoke(t.Context(), function.Invocation{Ref: b.Ref, Payload: payload, Wait: true})
		}()
	}
	for range cap(results) {
		if res := eventually.Comes(t, "a result", results); string(res.Payload) != Echo {
			t.Errorf("answer %q", res.Payload)
		} else {
			copy(res.Payload, "xxxx") // it is the caller's
		}
	}
	if !bytes.Equal(payload, []byte(Echo)) {
		t.Errorf("the payload is %q now", payload)
	}
}
