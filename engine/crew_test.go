package engine

import (
	"sync"
	"testing"
	"testing/synctest"
)

func TestACrewRunsWhateverItIsGivenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, gate := newCrew(), make(chan struct{})
		var done sync.WaitGroup
		const many = 3 * crewIdle
		for range 2 { // the second time some are idle
			began := make(chan struct{}, many)
			done.Add(many)
			for range many {
				c.do(func() {
					defer done.Done()
					began <- struct{}{}
					<-gate
				})
			}
			synctest.Wait()
			if n := len(began); n != many {
				t.Errorf("%d of %d functions run at once", n, many)
			}
			if n := c.idle.Load(); n != 0 { // too many would keep others from waiting
				t.Errorf("%d goroutines count as idle while all are busy", n)
			}
			close(gate)
			done.Wait()
			synctest.Wait()
			if n := c.idle.Load(); n != crewIdle {
				t.Errorf("%d goroutines wait for work, not %d", n, crewIdle)
			}
			gate = make(chan struct{})
		}
		c.dismiss() // else the bubble would complain of those that wait
		ran := false
		c.do(func() { ran = true })
		synctest.Wait()
		if !ran {
			t.Error("a dismissed crew does not run what it is given")
		}
	})
}
