package wire

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// bounded is a writer of answers that remembers the deadline for its writes, and how often it was written to.
type bounded struct {
	*httptest.ResponseRecorder
	until  time.Time
	during time.Time // until, at the last write
	set    int       // how often the deadline has changed
	writes int
	broken bool // writes fail
}

func (b *bounded) SetWriteDeadline(t time.Time) error {
	b.until, b.set = t, b.set+1
	return nil
}

func (b *bounded) Write(p []byte) (int, error) {
	b.during = b.until
	if b.writes++; b.broken {
		return 0, errors.New("broken")
	}
	return b.ResponseRecorder.Write(p)
}

// A client that is hurried has that time for everything that is still sent: parts that come later do not get it more,
// and only who hurries it more gets it less. Behind the operation there is a bound for the end of the answer, which
// nobody changes any more: the connection may serve the next request by then.
func TestHurryHoldsForAllThatIsStillSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &bounded{ResponseRecorder: httptest.NewRecorder()}
		s := &Stream{}
		began := time.Now()
		is := func(when string, want time.Duration) {
			t.Helper()
			got := time.Duration(0)
			if !w.until.IsZero() {
				got = w.until.Sub(began)
			}
			if got != want {
				t.Errorf("%s the deadline is at %s, want %s", when, got, want)
			}
		}

		s.Serve(w, httptest.NewRequest(http.MethodPost, "/", nil), func(context.Context) error {
			_ = s.Send([]byte("a"))
			is("after a part", 0)
			s.Hurry(10 * time.Second)
			is("hurried", 10*time.Second)
			time.Sleep(time.Second)
			_ = s.Send([]byte("b"))
			is("after the next part", 10*time.Second)
			if got := w.during.Sub(began); got != 10*time.Second {
				t.Errorf("during the next part the deadline is at %s", got)
			}
			s.Hurry(time.Minute)
			is("given more time", 10*time.Second)
			s.Hurry(2 * time.Second)
			is("given less", 3*time.Second)
			return nil
		})

		is("at the end", time.Second+streamPatience)
		before := w.set
		if s.Hurry(time.Millisecond); w.set != before {
			t.Errorf("after its end the deadline is %s", w.until.Sub(began))
		}
	})
}

// A client that is gone is written to once: whoever goes on sending learns the same, also where nothing is to be sent.
func TestNothingIsSentToWhoIsGone(t *testing.T) {
	t.Parallel()
	w := &bounded{ResponseRecorder: httptest.NewRecorder(), broken: true}
	s := &Stream{}
	ctx, cancel := context.WithCancel(t.Context())
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("half an answer looks like a whole one")
		}
	}()

	s.Serve(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil), func(context.Context) error {
		first := s.Send([]byte("a"))
		cancel() // as net/http does by then
		if second := s.Send([]byte("b")); first == nil || second == nil || s.Begin() == nil || w.writes != 1 {
			t.Errorf("%v, %v, %v, and %d writes", first, second, s.Begin(), w.writes)
		}
		return first
	})
}

// A body that passes to a disk is bound by its rate alone, and gives way to no other: its memory is its buffer's, which
// giving way would not free.
func TestABodyThatPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := &Intake{Memory: 8 << 20}
		old, passing := begun(t, in, 1<<20), begun(t, in, 4<<20)
		passing.passes.Store(true)
		if in.take(old, 5<<20) || passing.why.Load() != 0 {
			t.Error("it gives way")
		}
		time.Sleep(bodyDeadline + time.Second)
		passing.got.Store(int64(bodyRate * (bodyDeadline / time.Second)))
		if passing.slow(time.Now()) {
			t.Error("it has no more time than others")
		}
		passing.got.Add(-int64(bodyRate * bodyGrace / time.Second))
		if !passing.slow(time.Now()) {
			t.Error("it may be as slow as it likes")
		}
		other := begun(t, &Intake{}, 1)
		time.Sleep(bodyDeadline + time.Second)
		if other.got.Store(1 << 40); !other.slow(time.Now()) {
			t.Error("another one has more than ten minutes")
		}
	})
}

// What is refused for lack of memory after a body has come says so, and counts. However many are refused, the log has
// it once a minute.
func TestRefusalsAreCountedAndSaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		in := &Intake{Memory: 1 << 20, Log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 3 {
			x := &exchange{ResponseWriter: httptest.NewRecorder()}
			ctx := context.WithValue(t.Context(), callerKey{}, x)
			in.begin(x, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader("x")))
			err := Charge(ctx, 2<<20)
			var f *fault.Error
			if !errors.As(err, &f) || f.Status != 503 || !strings.Contains(f.Hint, "--body-memory") {
				t.Errorf("refused with %+v", err)
			}
			in.end(x)
			time.Sleep(25 * time.Second)
		}
		if n := in.Usage().Refused["memory"]; n != 3 {
			t.Errorf("%d are counted", n)
		}
		if n := strings.Count(log.String(), "requests are refused"); n != 1 {
			t.Errorf("said %d times: %s", n, &log)
		}
		time.Sleep(time.Minute)
		if in.refused(tooSlow); strings.Count(log.String(), "requests are refused") != 2 {
			t.Errorf("not said again: %s", &log)
		}
	})
}
