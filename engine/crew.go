package engine

import (
	"sync"
	"sync/atomic"
)

// crewIdle is how many goroutines of a crew wait for work at most.
const crewIdle = 16

// crew runs functions on goroutines that it uses again: with a stack that has grown, and that a new goroutine would
// have to grow anew for every invocation. Safe for concurrent use.
type crew struct {
	work chan func()
	idle atomic.Int32
	once sync.Once
	over chan struct{} // closed by dismiss
}

func newCrew() *crew { return &crew{work: make(chan func()), over: make(chan struct{})} }

// do runs f, and does not wait for it.
func (c *crew) do(f func()) {
	select {
	case c.work <- f:
	default: // nobody is idle
		go c.run(f)
	}
}

func (c *crew) run(f func()) {
	for {
		f()
		if c.idle.Add(1) > crewIdle {
			c.idle.Add(-1)
			return
		}
		select {
		case f = <-c.work:
			c.idle.Add(-1)
		case <-c.over:
			return
		}
	}
}

// dismiss ends the goroutines that are idle, and the others when they are done. Functions are still run.
func (c *crew) dismiss() { c.once.Do(func() { close(c.over) }) }
