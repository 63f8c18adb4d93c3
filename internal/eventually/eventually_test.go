package eventually_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/internal/eventually"
)

// failed is a test that records why it failed.
type failed struct{ why string }

func (f *failed) Fatalf(format string, args ...any) { f.why = fmt.Sprintf(format, args...) }

func TestWaitingEndsWithWhatIsWaitedForOrWithPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, f := time.Now(), &failed{}
		soon := make(chan int)
		go func() {
			time.Sleep(time.Second)
			soon <- 7
		}()
		later := func() bool { return time.Since(began) > time.Second }

		eventually.Holds(f, "a second", later)
		got := eventually.Comes(f, "a value", soon)

		if took := time.Since(began); f.why != "" || got != 7 || took > 1100*time.Millisecond {
			t.Errorf("%q, %d after %s", f.why, got, took)
		}
		for want, wait := range map[string]func(){
			"it: not within 1m0s": func() { eventually.Holds(f, "it", func() bool { return false }) },
			"it: not within 1m0s; the last state was: s": func() {
				eventually.Reaches(f, "it", func() (bool, string) { return false, "s" })
			},
			"it: not within 1m0s\x00": func() { eventually.Comes(f, "it\x00"[:2], make(chan int)) },
		} {
			if wait(); f.why != want && f.why+"\x00" != want {
				t.Errorf("%q, want %q", f.why, want)
			}
		}
	})
}
