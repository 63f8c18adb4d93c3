package function_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
)

// Under a clock that can be moved an environment gets the offset at its start in a variable and that of each invocation
// in a header, so that a warm one follows. A binary sees real time, and so does its deadline.
func TestFunctionsAreToldTheOffsetOfTheClock(t *testing.T) {
	t.Parallel()
	c := clock.New(2 * time.Hour)
	b := start(t, func(o *function.Options) { o.Clock, o.SteeredClock = c, true })
	b.provided("f", "clock")
	b.told(t, "7200000", "7200000")
	c.SetOffset(3 * time.Hour)

	b.told(t, "7200000", "10800000")
}

// Where functions see real time nothing is said of another, not even what a customer says.
func TestFunctionsOnRealTimeAreToldNothing(t *testing.T) {
	t.Parallel()
	b := start(t, func(o *function.Options) { o.Clock = clock.New(2 * time.Hour) })
	b.provided("f", "clock", func(in *function.CreateInput) {
		in.Environment = map[string]string{"SHARDMILL_CLOCK_OFFSET_MS": "1"}
	})

	b.told(t, "", "")
}

// told invokes f and compares the offset at the start, that of the invocation, and the deadline with real time.
func (b *bench) told(t *testing.T, atStart, now string) {
	t.Helper()
	r := b.invoke("f", "{}")
	said, deadline, ok := strings.Cut(strings.Trim(string(r.Payload), `"`), " | ")
	if !ok || said != atStart+" "+now {
		t.Errorf("it was told %q, want %q", r.Payload, atStart+" "+now)
	}
	var ms int64
	_, _ = fmt.Sscan(deadline, &ms)
	if left := time.Until(time.UnixMilli(ms)); left < -time.Minute || left > 10*time.Second {
		t.Errorf("the deadline is %s away, want less than the timeout of 10 s", left)
	}
}
