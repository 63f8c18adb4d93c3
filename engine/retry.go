package engine

import "time"

// retry is something that failed and is tried again after a pause in real time.
type retry struct {
	timer *time.Timer
	fails int
}

// again tries f again on the runner's goroutine: after 100 ms the first time, doubling to 10 s, until done is called
// for it.
func (r *mappingRunner) again(what string, f func()) {
	t := r.retries[what]
	if t == nil {
		t = &retry{}
		r.retries[what] = t
	} else {
		t.timer.Stop()
	}
	pause := min(100*time.Millisecond<<min(t.fails, 10), 10*time.Second)
	t.fails++
	t.timer = time.AfterFunc(pause, func() {
		r.inbox.post(func() {
			if r.retries[what] == t {
				f()
			}
		})
	})
}

// done forgets a retry: it is not needed any more.
func (r *mappingRunner) done(what string) {
	if t := r.retries[what]; t != nil {
		t.timer.Stop()
		delete(r.retries, what)
	}
}
