package sim

import "github.com/shardmill/shardmill/esm"

// slots is how many invocations may run at once in a process, and the lanes that were refused for want of one.
type slots struct {
	limit   int
	running int
	waiters []waiter
}

type waiter struct {
	r    *runner
	lane int
}

func (s *slots) clear() { s.running, s.waiters = 0, nil }

// take takes a slot, if one is free.
func (s *slots) take() bool {
	if s.running >= s.limit {
		return false
	}
	s.running++
	return true
}

// enrol notes a lane that was refused. One that tries by itself meanwhile stays: what is offered to it then means
// nothing.
func (s *slots) enrol(r *runner, lane int) { s.waiters = append(s.waiters, waiter{r, lane}) }

// offer offers what is free to the lanes that were refused, one after the other.
func (w *world) offer(n *node) {
	s := &n.slots
	for free := s.limit - s.running; free > 0 && len(s.waiters) > 0; free-- {
		x := s.waiters[0]
		s.waiters = s.waiters[1:]
		w.in(0, func() { x.r.step(esm.SlotFree{Lane: x.lane}) })
	}
}

// misoffer offers a slot to a lane that does not wait for one, or that is not there.
func (w *world) misoffer() {
	all := w.runners()
	if len(all) == 0 {
		return
	}
	r := all[w.rng.IntN(len(all))]
	r.step(esm.SlotFree{Lane: w.rng.IntN(6)})
}
