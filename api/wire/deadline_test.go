package wire_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/api/wire"
)

// timed is a writer that notes the deadline under which each of its writes is, as the time that is left; 0: none.
type timed struct {
	header   http.Header
	deadline time.Time
	left     []time.Duration
	set      int   // how often a deadline was set
	fails    error // of all writes
}

func (w *timed) Header() http.Header { return w.header }
func (w *timed) WriteHeader(int)     {}
func (w *timed) Flush()              {}

func (w *timed) SetWriteDeadline(t time.Time) error {
	w.deadline = t
	w.set++
	return nil
}

func (w *timed) Write(p []byte) (int, error) {
	w.left = append(w.left, w.remaining())
	return len(p), w.fails
}

func (w *timed) remaining() time.Duration {
	if w.deadline.IsZero() {
		return 0
	}
	return time.Until(w.deadline)
}

// serve runs an operation over w, in a bubble, and reports whether its answer was broken off.
func (w *timed) serve(t *testing.T, out *wire.Stream, operation func() error) (broken bool) {
	t.Helper()
	w.header = http.Header{}
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			panic(p)
		} else if p != nil {
			broken = true
		}
	}()
	out.Serve(w, httptest.NewRequest("POST", "/", nil), func(context.Context) error { return operation() })
	return false
}

// A part has 30 s, or what Patience says; a client that is hurried has no more than that for all parts together, and
// the end of the answer has 30 s again. After that the connection is another request's, and nobody hurries it.
func TestTimesOfParts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w timed
		var out wire.Stream
		broken := w.serve(t, &out, func() error {
			first := out.Send([]byte("one"))
			if d := w.remaining(); d != 0 {
				t.Errorf("between parts %s are left", d)
			}
			out.Hurry(5 * time.Second)
			<-time.After(2 * time.Second)
			second := out.Send([]byte("two"))
			out.Hurry(time.Minute) // longer than what is left
			out.Patience = time.Second
			third := out.Send([]byte("three"))
			if d := w.remaining(); d != 3*time.Second {
				t.Errorf("of a hurry %s are left", d)
			}
			return errors.Join(first, second, third)
		})
		want := []time.Duration{30 * time.Second, 3 * time.Second, time.Second}
		if broken || !slices.Equal(w.left, want) {
			t.Errorf("the parts had %s, want %s; broken %t", w.left, want, broken)
		}
		if d := w.remaining(); d != 30*time.Second {
			t.Errorf("the end has %s", d)
		}
		before := w.set
		out.Hurry(time.Second)
		if w.set != before {
			t.Error("an answer that has ended is hurried")
		}
	})
}

// Once the client is gone nothing more is sent, and its answer does not end like a whole one.
func TestNothingIsSentToWhoIsGone(t *testing.T) {
	t.Parallel()
	w := timed{fails: errors.New("reset")}
	var out wire.Stream
	broken := w.serve(t, &out, func() error {
		first, second := out.Send([]byte("one")), out.Send([]byte("two"))
		if !errors.Is(first, w.fails) || !errors.Is(second, w.fails) {
			t.Errorf("%v, then %v", first, second)
		}
		return nil
	})
	if len(w.left) != 1 || !broken {
		t.Errorf("%d writes, broken off %t", len(w.left), broken)
	}
}
