package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// horizon notes what retention has removed: records never read are lost now, buffered records when their lane reaches
// them.
func (s *Shard) horizon(oldest record.Position) {
	s.oldest = max(s.oldest, oldest)
	if s.next >= oldest {
		return
	}
	s.emit(&RecordsLost{Batch: Batch{First: s.next, Last: oldest - 1}, Unread: true})
	s.next = oldest
	s.dirty = true
	s.tellVoid() // the answer under way starts at a place that is gone
	s.reading = false
}

// lose drops from the front of a lane what retention has removed, unless an attempt or a delivery is under way. The
// records are reported as lost. They cannot be read again, so there is no notice either. AWS does not say what happens
// to them.
func (s *Shard) lose(l *lane) {
	for l.discard == nil && l.queue.len() > 0 && l.queue.at(0).Pos < s.oldest &&
		(len(l.plan) == 0 || l.plan[0].id.Purpose == ForRecords) {
		lost := &RecordsLost{Batch: Batch{First: l.queue.at(0).Pos}, Lane: l.id}
		held := l.queue.len()
		if len(l.plan) > 0 {
			seg := &l.plan[0]
			if seg.count == 0 { // a batch from a checkpoint of which nothing is left; the record belongs to a later one
				s.vanish(l)
				continue
			}
			held = seg.count
			lost.Number, lost.ID = seg.batch, seg.id
		}
		for lost.Count < held && l.queue.at(lost.Count).Pos < s.oldest {
			lost.Last = l.queue.at(lost.Count).Pos
			lost.Count++
		}
		s.emit(lost)
		s.dropFront(l, lost.Count)
		if len(l.plan) == 0 {
			continue
		}
		seg := &l.plan[0]
		seg.count -= lost.Count
		if seg.count == 0 && !seg.restored {
			l.dropSegment()
			l.phase, l.wait, l.until = ready, WaitNone, time.Time{}
		}
	}
}
