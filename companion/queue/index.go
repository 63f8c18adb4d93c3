package queue

import "container/heap"

// entry is what memory holds for one message. Times are Unix milliseconds of the steered clock.
type entry struct {
	seq      uint64 // place in the order of sending
	sent     int64  // never falls as seq grows
	visible  int64  // hidden before this instant
	first    int64  // first receive; 0: never received
	receives uint32

	gone   bool      // being deleted: in no heap, never handed out
	slot   int       // in its heap; -1 when in none
	home   *slotHeap // the heap it is in
	before *entry    // neighbours in the order of sending
	after  *entry
}

// index is the order and visibility of a queue's messages. Every entry of bySeq stands in the list of sending order
// and, unless gone, in exactly one of ready (visible, by place) and hidden (delayed or in flight, by the instant it
// becomes visible).
type index struct {
	bySeq         map[uint64]*entry
	oldest        *entry
	newest        *entry
	ready         slotHeap
	hidden        slotHeap
	hiddenFlights int // entries of hidden that were received: in flight rather than delayed
}

func newIndex() index {
	return index{
		bySeq: make(map[uint64]*entry),
		ready: slotHeap{less: func(a, b *entry) bool { return a.seq < b.seq }},
		hidden: slotHeap{
			less: func(a, b *entry) bool { return a.visible < b.visible || a.visible == b.visible && a.seq < b.seq },
		},
	}
}

// add enters e. A message that is already there stays as it is.
func (x *index) add(e *entry, now int64) {
	if x.bySeq[e.seq] != nil {
		return
	}
	x.bySeq[e.seq] = e
	at := x.newest // concurrent sends may arrive slightly out of order
	for at != nil && at.seq > e.seq {
		at = at.before
	}
	e.before = at
	if at == nil {
		e.after, x.oldest = x.oldest, e
	} else {
		e.after, at.after = at.after, e
	}
	if e.after == nil {
		x.newest = e
	} else {
		e.after.before = e
	}
	e.slot = -1
	x.place(e, now)
}

// place moves e to the heap where it belongs at now.
func (x *index) place(e *entry, now int64) {
	x.displace(e)
	if e.visible <= now {
		e.home = &x.ready
	} else {
		e.home = &x.hidden
		if e.receives > 0 {
			x.hiddenFlights++
		}
	}
	heap.Push(e.home, e)
}

// displace removes e from its heap. Call it before receives or visible change.
func (x *index) displace(e *entry) {
	if e.slot < 0 {
		return
	}
	if e.home == &x.hidden && e.receives > 0 {
		x.hiddenFlights--
	}
	heap.Remove(e.home, e.slot)
}

// remove removes e altogether.
func (x *index) remove(e *entry) {
	if x.bySeq[e.seq] != e {
		return
	}
	x.displace(e)
	delete(x.bySeq, e.seq)
	if e.before == nil {
		x.oldest = e.after
	} else {
		e.before.after = e.after
	}
	if e.after == nil {
		x.newest = e.before
	} else {
		e.after.before = e.before
	}
	e.before, e.after = nil, nil
}

// reveal moves what has become visible by now to ready.
func (x *index) reveal(now int64) {
	for len(x.hidden.entries) > 0 && x.hidden.entries[0].visible <= now {
		x.place(x.hidden.entries[0], now)
	}
}

// take hands out up to n visible entries, the longest sent first, and hides them until now + hide.
func (x *index) take(n int, now, hide int64) []*entry {
	n = min(n, len(x.ready.entries))
	out := make([]*entry, n)
	for i := range out {
		out[i] = x.ready.entries[0]
		x.displace(out[i])
	}
	for _, e := range out {
		e.receives++
		if e.first == 0 {
			e.first = now
		}
		e.visible = now + hide
		x.place(e, now)
	}
	return out
}

// counts returns the counts, exact as of the last reveal.
func (x *index) counts() (visible, inFlight, delayed int) {
	return len(x.ready.entries), x.hiddenFlights, len(x.hidden.entries) - x.hiddenFlights
}

// slotHeap is a heap whose entries know their index in it.
type slotHeap struct {
	entries []*entry
	less    func(a, b *entry) bool
}

func (h *slotHeap) Len() int           { return len(h.entries) }
func (h *slotHeap) Less(i, j int) bool { return h.less(h.entries[i], h.entries[j]) }
func (h *slotHeap) Swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].slot, h.entries[j].slot = i, j
}

func (h *slotHeap) Push(v any) {
	e := v.(*entry)
	e.slot = len(h.entries)
	h.entries = append(h.entries, e)
}

func (h *slotHeap) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = nil
	h.entries = h.entries[:last]
	e.slot = -1
	return e
}
