package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/record"
)

// A filter of this world lets records through by the last digit of their position: bit d of its identity is set if
// those with the digit d pass. 0 is no filter.

// anyFilter draws one: mostly none, else one that lets most through, about half, or hardly any.
func (w *world) anyFilter() (id uint64) {
	if w.rng.IntN(3) > 0 {
		return 0
	}
	share := pick(w, 8, 5, 1)
	for d := range 10 {
		if w.rng.IntN(10) < share {
			id |= 1 << d
		}
	}
	if id == 0 {
		id = 1 << w.rng.IntN(10)
	}
	return id
}

// passes reports whether a record passes a filter.
func passes(id uint64, p record.Position) bool { return id == 0 || id>>(p%10)&1 == 1 }

// compiled is a filter as machines take it.
func (w *world) compiled(id uint64) *filter.Filter {
	if id == 0 {
		return nil
	}
	if f := w.filters[id]; f != nil {
		return f
	}
	var digits []string
	for d := range 10 {
		if id>>d&1 == 1 {
			digits = append(digits, fmt.Sprintf(`{"suffix":"%d"}`, d))
		}
	}
	f, err := filter.Compile([]string{`{"position":[` + strings.Join(digits, ",") + `]}`})
	if err != nil {
		panic(err)
	}
	w.filters[id] = f
	return f
}

// refilter notes that another filter counts for what is in no batch: the machine reads again from behind its batches.
func (n *session) refilter() {
	from, arrival, sure := n.position, n.arrival, false
	for _, l := range n.lanes {
		l.forget(n.cfg.Filter)
		kept := l.kept()
		switch {
		case kept > 0:
			last := l.queue[kept-1]
			sure = sure || last.Pos < n.position-1 && last.Pos > l.perhaps || len(l.queue) > kept
			if l.decided = last.Pos; last.Pos < from-1 {
				from, arrival = last.Pos+1, last.arrival
			}
		case len(l.queue) > 0 && l.queue[0].Pos < from:
			from, arrival, sure = l.queue[0].Pos, l.queue[0].arrival, true
		}
		l.queue = l.queue[:kept]
	}
	n.before = nil
	if from == n.position {
		return
	}
	if !sure {
		was := *n
		was.given = slices.Clone(n.given)
		n.before = &was
	}
	n.position, n.arrival, n.refiltered = from, arrival, true
	for len(n.given) > 0 && n.given[len(n.given)-1].Pos >= from {
		n.bytes -= n.given[len(n.given)-1].Size
		n.given = n.given[:len(n.given)-1]
	}
	n.fetch.out, n.dry, n.tail, n.failed, n.ended, n.sealed = false, false, false, false, false, 0
}

// unmoved notes that a change of the filter has made no read void, and reports whether that can be: all that the judge
// holds in batches may have been given up in silence before, and then nothing is read again.
func (n *session) unmoved() bool {
	was := n.before
	if was == nil {
		return false
	}
	n.position, n.arrival, n.given, n.bytes, n.sealed = was.position, was.arrival, was.given, was.bytes, was.sealed
	n.fetch, n.dry, n.tail, n.failed, n.ended = was.fetch, was.dry, was.tail, was.failed, was.ended
	n.before, n.refiltered = nil, false
	for _, l := range n.lanes {
		if kept := len(l.queue); kept > 0 && l.queue[kept-1].Pos < n.position-1 {
			n.drop(l, l.queue[kept-1].Pos+1, false)
		}
	}
	return true
}

// forget takes the batches from a checkpoint that have not been tried since off the plan, unless this filter has cut
// them: what is read again is another batch.
func (l *lane) forget(filter uint64) {
	l.plan = slices.DeleteFunc(l.plan, func(p *part) bool { return p.restored && p.filter != filter })
}

// kept is how many records at the front of the queue are in batches that have been tried.
func (l *lane) kept() (count int) {
	for _, p := range l.plan {
		if p.restored {
			break
		}
		for count < len(l.queue) && l.queue[count].Pos <= p.last {
			count++
		}
	}
	return count
}

// skipped notes that the machine goes on further on than the judge thinks after a change of the filter: what lies
// between had been given up, or been filtered out, before.
func (n *session) skipped(to record.Position) {
	if !n.refiltered {
		return
	}
	for _, e := range n.s.book.From(n.position) {
		if e.Pos >= to || !e.Settled() {
			break
		}
		n.position, n.arrival = e.Pos+1, max(n.arrival, e.Own)
	}
	if e := n.s.book.From(n.position); len(e) == 0 || e[0].Pos >= to {
		n.position = to
	}
}
