package esm

import (
	"slices"

	"github.com/shardmill/shardmill/record"
)

// refilter makes another filter count. What is in no batch is dropped and read again, with what the old filter took out
// behind the batches; a record that such a batch has jumped over stays out. Batches keep their records, whatever the
// new filter says of them, and with them their identity and counters. Those from a checkpoint that have not been tried
// since are still to be read, and begin anew, as they would after a restart.
func (s *Shard) refilter() {
	s.forgetOthers()
	from, arrival, dropped := s.next, s.maxArrival, 0
	for i := range s.lanes {
		l := &s.lanes[i]
		kept := l.kept()
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
			if l.plan[j].restored { // cut under this very filter
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

// forgetOthers takes the batches off the plans that come from a checkpoint, have not been tried since, and were cut
// under another filter than the one in force. They cannot be rebuilt: of what is read again, the failures of such a
// batch may not count for a record that only the filter in force lets through, or it could be given up before the
// function has seen it. So all of their records come in new batches, with counters at 0.
func (s *Shard) forgetOthers() {
	for i := range s.lanes {
		l := &s.lanes[i]
		l.plan = slices.DeleteFunc(l.plan, func(seg segment) bool {
			other := seg.restored && seg.id.Filter != s.cfg.Filter
			if other {
				s.emit(&Vanished{
					Batch: Batch{Number: seg.batch, ID: seg.id, First: seg.id.First, Last: seg.last}, Refiltered: true,
				})
			}
			return other
		})
	}
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
