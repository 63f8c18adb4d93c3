package fleet

import (
	"cmp"
	"slices"
	"time"
)

// waiter is a caller that was refused: in line, or called and not heard of since.
type waiter struct {
	id    Waiter
	fn    *function
	order uint64       // of enrolling
	place link[waiter] // among the waiters of a share; once called, among those of its function that were
	offer link[waiter] // among the offers, once called
	since time.Time    // when it was called
}

func (f *Fleet) enrolled(e Enrolled) {
	if f.waiters[e.Waiter] != nil {
		broken("waiter %d enrols twice", e.Waiter)
	}
	if len(f.waiters) >= MaxWaiters {
		f.do(Dismiss{e.Waiter})
		return
	}
	fn := f.function(e.Function)
	f.called++
	w := &waiter{id: e.Waiter, fn: fn, order: f.called}
	w.place.of, w.offer.of = w, w
	f.waiters[w.id] = w
	s := fn.share()
	s.waiters.push(&w.place)
	fn.waiting++
	f.offer(s)
}

func (f *Fleet) withdrawn(id Waiter) {
	w := f.waiters[id]
	if w == nil {
		return
	}
	fn := w.fn
	s := fn.share()
	if w.offer.in != nil {
		f.answered(w)
		f.offer(s)
	} else {
		s.waiters.remove(&w.place)
		fn.waiting--
		delete(f.waiters, id)
	}
	f.forget(fn)
}

// offer calls waiters as long as there are places that none was called for: the one that waits for longest, whichever
// function it is of.
func (f *Fleet) offer(s *share) {
	for s.free() > s.offered {
		w := s.waiters.front()
		if w == nil {
			return
		}
		s.waiters.remove(&w.place)
		w.fn.waiting--
		w.fn.called.push(&w.place)
		w.since = f.now
		f.offers.push(&w.offer)
		s.offered++
		f.do(Offer{w.id})
	}
}

// taken ends an offer to a function that asks. Which of its waiters asks cannot be told; the one that was called first
// counts.
func (f *Fleet) taken(fn *function) {
	if w := fn.called.front(); w != nil {
		f.answered(w)
	}
}

// answered forgets a waiter that was called.
func (f *Fleet) answered(w *waiter) {
	f.offers.remove(&w.offer)
	w.fn.called.remove(&w.place)
	w.fn.share().offered--
	delete(f.waiters, w.id)
}

// lapse ends the offers that have not been taken for too long: their places go to the next waiters.
func (f *Fleet) lapse() {
	for w := f.offers.front(); w != nil && !f.now.Before(w.since.Add(OfferTime)); w = f.offers.front() {
		fn := w.fn
		f.answered(w)
		f.offer(fn.share())
		f.forget(fn)
	}
}

// moveWaiters takes the waiters of fn from one share to another. The order of enrolling stays.
func (f *Fleet) moveWaiters(fn *function, from, to *share) {
	if fn.waiting == 0 {
		return
	}
	var all []*waiter
	for l := to.waiters.first; l != nil; l = to.waiters.first {
		all = append(all, l.of)
		to.waiters.remove(l)
	}
	for l := from.waiters.first; l != nil; {
		w := l.of
		if l = l.next; w.fn == fn {
			all = append(all, w)
			from.waiters.remove(&w.place)
		}
	}
	slices.SortFunc(all, func(a, b *waiter) int { return cmp.Compare(a.order, b.order) })
	for _, w := range all {
		to.waiters.push(&w.place)
	}
}
