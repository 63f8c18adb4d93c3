package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// begun returns a body of which n bytes have come.
func begun(t *testing.T, in *Intake, n int64) *incoming {
	t.Helper()
	x := &exchange{ResponseWriter: httptest.NewRecorder()}
	in.begin(x, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("x")))
	t.Cleanup(func() { in.end(x) })
	x.body.got.Store(n)
	if !in.take(&x.body, n) {
		t.Fatalf("%d bytes are refused", n)
	}
	return &x.body
}

// Whichever body has come and gone: of the two that are left, the younger one gives way to the older one.
func TestBodiesKeepTheirOrderWhenOneHasCome(t *testing.T) {
	t.Parallel()
	for which, name := range []string{"the oldest", "one between", "the youngest"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := openPort(t, &Intake{Memory: 8 << 20})
				const came, more = 2 << 20, 7 << 19
				var left []*peer
				var gone *peer
				for i := range 3 {
					c, length := p.dial(), came+more
					if i == which {
						gone, length = c, came+1
					} else {
						left = append(left, c)
					}
					go func() { c.head("SendMessage", length, ""); c.send(strings.Repeat("x", came)) }()
					synctest.Wait()
				}
				go gone.send("x")
				if status, _, _ := gone.answer(); status != 200 {
					t.Fatalf("%s: %d", name, status)
				}

				go left[0].send(strings.Repeat("x", more))

				if status, body, _ := left[1].answer(); status != 503 || body != refused {
					t.Errorf("the younger one: %d %s", status, body)
				}
				if status, body, _ := left[0].answer(); status != 200 || body != fmt.Sprint(came+more) {
					t.Errorf("the older one: %d %s", status, body)
				}
				synctest.Wait()
				if u := p.intake.Usage(); u.Bytes != 0 || p.intake.leaving.Load() != 0 || p.intake.oldest != nil ||
					p.intake.youngest != nil {
					t.Errorf("left behind: %+v, %d bytes that gave way", u, p.intake.leaving.Load())
				}
			})
		})
	}
}

// As many give way as it needs, each once; when those that are younger do not hold enough, they are left alone.
func TestAsManyGiveWayAsItNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := &Intake{Memory: 8 << 20} // 7 MiB for large ones
		old := begun(t, in, 1<<20)
		var young []*incoming
		for range 5 {
			young = append(young, begun(t, in, 1<<20))
		}
		small := begun(t, in, smallBody)
		gaveWay := func() (n int) {
			for _, b := range append(young, small) {
				n += int(b.why.Load())
			}
			return n
		}

		if in.take(old, 7<<20) {
			t.Error("more than everything is taken")
		}
		in.used.Add(-7 << 20)
		old.held -= 7 << 20
		if n := gaveWay(); n != 0 {
			t.Errorf("%d gave way for nothing", n)
		}
		for i, n := range []int64{3 << 20, 1 << 20} { // each needs the memory of those that gave way
			if !in.take(old, n) {
				t.Errorf("%d MiB are refused", n>>20)
			}
			if got, want := gaveWay(), []int{3, 4}[i]; got != want {
				t.Errorf("%d gave way, want %d", got, want)
			}
		}
		if held := in.used.Load() - in.leaving.Load(); held > 7<<20 || young[0].why.Load() != 0 ||
			small.why.Load() != 0 {
			t.Errorf(
				"%d bytes are held; the oldest of the young: %d, a small one: %d", held, young[0].why.Load(),
				small.why.Load(),
			)
		}
	})
}

// The last eighth of the memory is for the first 64 KiB of each body.
func TestTheLastEighthIsForSmallBodies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 8 << 20})
		p.intake.used.Add(7 << 20) // others hold it
		defer p.intake.used.Add(-7 << 20)
		for length, want := range map[int]int{smallBody: 200, smallBody + 1: 503} {
			c := p.dial()
			go func() { c.head("SendMessage", length, ""); c.send(strings.Repeat("x", length)) }()
			if status, _, _ := c.answer(); status != want {
				t.Errorf("%d bytes: %d, want %d", length, status, want)
			}
		}
	})
}

// A slow body is cut although one that began before it keeps to the rate; one whose request is answered already is
// none.
func TestEachBodyIsJudgedByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{Memory: 1 << 30})
		p.held = make(chan struct{})
		defer close(p.held)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		fast, answered, slow := p.dial(), p.dial(), p.dial()
		go func() {
			fast.head("SendMessage", 1<<30, "")
			for piece := strings.Repeat("x", 64<<10); ctx.Err() == nil; <-time.After(time.Second) {
				fast.send(piece)
			}
		}()
		synctest.Wait()
		go answered.head("Early", 10, "")
		go slow.head("SendMessage", 10, "")
		began := time.Now()

		if status, body, _ := slow.answer(); status != 503 || body != refused || time.Since(began) > 13*time.Second {
			t.Errorf("%d %s after %s", status, body, time.Since(began))
		}
		if u := p.intake.Usage(); u.Refused["slow"] != 1 {
			t.Errorf("refused: %v", u.Refused)
		}
	})
}

// A body whose last byte comes while it is cut is refused: its connection is cut already, and with it the context of
// everything that would come of it.
func TestABodyThatIsCutInItsLastByteIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := &Intake{}
		b := begun(t, in, 0)
		b.from = io.NopCloser(readerFunc(func(p []byte) (int, error) {
			in.mu.Lock()
			defer in.mu.Unlock()
			b.cut(tooSlow)
			return copy(p, "x"), io.EOF
		}))

		n, err := b.Read(make([]byte, 10))

		var f *fault.Error
		if n != 0 || !errors.As(err, &f) || f.Status != 503 || b.x.Header().Get("Connection") != "close" {
			t.Errorf("%d bytes, %v, %v", n, err, b.x.Header())
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Memory is given back once, if much of it was in large bodies and no body is left: after the last of them, however
// long it takes.
func TestMemoryIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		large []int         // bodies that come, are held and go first
		stays time.Duration // how long a small one is held beside them
		given int64
	}{
		"much":                     {large: []int{giveBackFrom}, given: 1},
		"much in several":          {large: []int{giveBackFrom / 2, giveBackFrom / 2}, given: 1},
		"little":                   {large: []int{giveBackFrom / 2}, given: 0},
		"much in small ones":       {large: repeated(largeBody, giveBackFrom/largeBody), given: 0},
		"much, and one that stays": {large: []int{giveBackFrom}, stays: 10 * time.Second, given: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var given atomic.Int64
				p := openPort(t, &Intake{Memory: 1 << 30})
				p.intake.GiveBack = func() {
					given.Add(1)
					if used := p.intake.used.Load(); used != 0 {
						t.Errorf("%d bytes are still used", used)
					}
				}
				if c.stays > 0 {
					held := make(chan struct{})
					p.held = held
					time.AfterFunc(c.stays, func() { close(held) })
					stays := p.dial()
					stays.head("SendMessage", 10, "")
					stays.send("0123456789")
					go func() { _, _, _ = stays.answer() }()
					synctest.Wait()
				}
				for _, length := range c.large {
					p.held = make(chan struct{})
					client := p.dial()
					go func() { client.head("SendMessage", length, ""); client.send(strings.Repeat("x", length)) }()
					<-time.After(3 * time.Second) // nothing arrives any more, and no reader notices
					close(p.held)
					if status, _, _ := client.answer(); status != 200 {
						t.Errorf("%d bytes: %d", length, status)
					}
				}

				<-time.After(time.Minute)
				p.held = nil
				later := p.dial()
				go func() { later.head("SendMessage", 1, ""); later.send("x") }()
				_, _, _ = later.answer()
				<-time.After(time.Minute)

				if n := given.Load(); n != c.given {
					t.Errorf("given back %d times, want %d", n, c.given)
				}
			})
		})
	}
}

func repeated(n, times int) []int {
	all := make([]int, times)
	for i := range all {
		all[i] = n
	}
	return all
}
