// Package eventually is how tests wait for things that send no signal, such as a process that ends or a file that
// appears. It is the only place where tests poll, with one patience. Where time can be fake, a synctest bubble is
// better.
package eventually

import "time"

// Patience is how long anything may take before a test gives up. It is generous: machines are shared, and no test
// measures time by it.
const Patience = 60 * time.Second

// pause is the time between two checks. Some checks start a request or read a directory, so it is not shorter.
const pause = 2 * time.Millisecond

// T is the waiting test: a testing.TB, or a script.
type T interface {
	Fatalf(format string, args ...any)
}

// Holds waits until check is true, or fails t with what did not happen.
func Holds(t T, what string, check func() bool) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	if _, ok := Within(Patience, func() (bool, string) { return check(), "" }); !ok {
		t.Fatalf("%s: not within %s", what, Patience)
	}
}

// Reaches waits until check is done, or fails t with the last state that check returned.
func Reaches(t T, what string, check func() (done bool, state string)) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	if state, ok := Within(Patience, check); !ok {
		t.Fatalf("%s: not within %s; the last state was: %s", what, Patience, state)
	}
}

// Comes waits for a value, or for the channel to be closed, which gives the zero value.
func Comes[V any](t T, what string, from <-chan V) (v V) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	select {
	case v = <-from:
	case <-limit.C:
		t.Fatalf("%s: not within %s", what, Patience)
	}
	return v
}

// Within calls check until it is done or limit has passed, and returns the last state.
func Within(limit time.Duration, check func() (done bool, state string)) (state string, ok bool) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		done, state := check()
		if done {
			return state, true
		}
		select {
		case <-deadline.C:
			return state, false
		case <-tick.C:
		}
	}
}
