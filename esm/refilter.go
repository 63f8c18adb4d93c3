package esm

import (
	"slices"

	"github.com/shardmill/shardmill/record"
)

// refilter makes another filter count. What is in no batch is dropped and read again, with what the old filter took out
// behind the batches; a record that such a batch has jumped over stays out. Batches keep their records, whatever the
// new filter says of them, and with them their identity and counters. Only those from a checkpoint that have not been
// tried since are read again: which of their records still match is asked anew, as after a restart. The others end with
// their last record: what matches only now and lies behind it joins none of them, after a restart either.
func (s *Shard) refilter() {
	from, arrival, dropped := s.next, s.maxArrival, 0
	for i := range s.lanes {
		l := &s.lanes[i]
		kept := l.kept()
		s.dirty = l.endKept() || s.dirty
		switch { // where the lane goes on, and the largest arrival up to there
		case kept > 0:
			r := l.queue.at(kept - 1)
			l.decided = r.Pos
			if r.Pos < from-1 {
				from, arrival = r.Pos+1, r.Arrival
			}
		case l.queue.len() > 0:
			if r := l.queue.at(0); r.Pos < from {
				from, arrival = r.Pos, r.Arrival
			}
		}
		if n := l.queue.len() - kept; n > 0 {
			dropped += n
			s.records -= n
			s.bytes -= l.queue.cut(kept)
			l.gather = gathering{}
		}
		for j := range l.plan {
			if l.plan[j].restored {
				l.plan[j].count = 0
			}
		}
	}
	if from < s.next {
		s.tellVoid()
		s.next, s.maxArrival = from, arrival
		s.span.cut(from)
		s.reading, s.tail, s.idleTail, s.atTail, s.shardEnd, s.sealed = false, false, false, false, false, 0
	}
	s.emit(&Refiltered{Filter: s.cfg.Filter, From: s.next, Dropped: dropped})
}

// kept returns how many records at the front of the queue are in batches that do not depend on what is read again.
func (l *lane) kept() (n int) {
	for i := range l.plan {
		if l.plan[i].restored {
			break // and so are those behind it
		}
		n += l.plan[i].count
	}
	return n
}

// endKept ends the batches that kept counts at the last record that each has, and reports whether one ended behind it.
func (l *lane) endKept() (moved bool) {
	n := 0
	for i := range l.plan {
		seg := &l.plan[i]
		if seg.restored {
			break
		}
		if n += seg.count; seg.count > 0 {
			last := l.queue.at(n - 1).Pos
			moved = moved || last != seg.last
			seg.last = last
		}
	}
	return moved
}

// Held returns how many records the machine holds: those that are read and not settled.
func (s *Shard) Held() int { return s.records }

// AppendHeld appends the positions of the records that the machine holds, in ascending order.
func (s *Shard) AppendHeld(dst []record.Position) []record.Position {
	for i := range s.lanes {
		for q, j := &s.lanes[i].queue, 0; j < q.len(); j++ {
			dst = append(dst, q.at(j).Pos)
		}
	}
	if len(s.lanes) > 1 {
		slices.Sort(dst)
	}
	return dst
}
