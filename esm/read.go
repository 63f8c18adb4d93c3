package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// read asks for more records when there is room and no Read is out.
func (s *Shard) read() {
	if s.reading || s.shardEnd || s.ending() || s.full() {
		return
	}
	if s.now.Before(s.readAgain) {
		s.wakeAt(s.readAgain)
		return
	}
	s.seq++
	s.reading = true
	s.emit(Read{
		Seq: s.seq, Generation: s.gen, Factor: s.cfg.Factor, From: s.next, Wait: s.idleTail,
		MaxRecords: min(maxRead, s.maxRecords()-s.records), MaxBytes: s.maxBytes() - s.bytes,
	})
}

func (s *Shard) readReturned(ev ReadReturned) {
	if !s.reading || ev.Seq != s.seq {
		return // asked under an older lane map
	}
	s.reading, s.readFails, s.readAgain = false, 0, time.Time{}
	for i := range ev.Records {
		s.take(&ev.Records[i])
	}
	s.tail = ev.End == Tail || ev.End == ShardEnd
	s.idleTail = ev.End == Tail
	if ev.End == Trimmed {
		s.horizon(ev.Oldest)
	} else {
		if ev.Next < s.next {
			broken("a read went back from %d to %d", s.next, ev.Next)
		}
		s.next = ev.Next
		s.shardEnd = ev.End == ShardEnd
	}
	if s.dirtyLow() {
		s.dirty = true
	}
}

// take puts one record into its lane, unless it is settled already.
func (s *Shard) take(r *Rec) {
	if r.Pos < s.next {
		broken("record %d was read before", r.Pos)
	}
	s.next = r.Pos + 1
	s.maxArrival = max(s.maxArrival, r.Arrival)
	if !r.Match {
		return
	}
	if int(r.Lane) >= len(s.lanes) {
		broken("record %d is in lane %d of %d", r.Pos, r.Lane, len(s.lanes))
	}
	l := &s.lanes[r.Lane]
	if r.Pos <= l.settled {
		return
	}
	s.touch(l)
	rec := *r
	rec.Arrival = s.maxArrival
	l.queue.push(rec)
	s.records++
	s.bytes += int(r.Bytes)
	for i := range l.plan { // a batch from a checkpoint takes its records back
		if seg := &l.plan[i]; seg.restored && r.Pos <= seg.last {
			seg.count++
			break
		}
	}
}

func (s *Shard) readFailed(ev ReadFailed) {
	if !s.reading || ev.Seq != s.seq {
		return
	}
	s.reading = false
	s.tail, s.idleTail = true, false // what is here need not wait for what cannot be read
	s.readFails++
	s.readAgain = s.now.Add(s.backoff(s.readFails))
}

// horizon drops what retention has taken: unread records, and records of batches that are not being attempted. They are lost, and said to be.
func (s *Shard) horizon(oldest record.Position) {
	if s.next < oldest {
		s.emit(Observe{Kind: Lost, First: s.next, Last: oldest - 1})
		s.next = oldest
		s.dirty = true
		if s.reading { // the answer under way starts at a place that is gone
			s.reading = false
		}
	}
	for i := range s.lanes {
		l := &s.lanes[i]
		if l.phase == invoking || l.phase == delivering || l.discard != nil {
			continue
		}
		s.lose(l, oldest)
	}
}

func (s *Shard) lose(l *lane, oldest record.Position) {
	for l.queue.len() > 0 && l.queue.at(0).Pos < oldest {
		n := 0
		if len(l.plan) == 0 {
			for n < l.queue.len() && l.queue.at(n).Pos < oldest {
				n++
			}
			first := l.queue.at(0).Pos
			last, bytes := l.queue.drop(n)
			s.records, s.bytes, l.settled, s.dirty = s.records-n, s.bytes-bytes, last, true
			s.emit(Observe{Kind: Lost, Lane: l.id, Count: n, First: first, Last: last})
			return
		}
		seg := &l.plan[0]
		for n < seg.count && l.queue.at(n).Pos < oldest {
			n++
		}
		if n == 0 { // a batch from a checkpoint whose records are still being read
			return
		}
		s.emit(Observe{Kind: Lost, Lane: l.id, Batch: seg.batch, ID: seg.id, Count: n, First: l.queue.at(0).Pos, Last: l.queue.at(n - 1).Pos})
		whole := n == seg.count && !seg.restored
		if seg.restored {
			last, bytes := l.queue.drop(n)
			s.records, s.bytes, l.settled, s.dirty = s.records-n, s.bytes-bytes, last, true
			seg.count -= n
			continue
		}
		s.settle(l, n)
		if whole && l.phase == waiting {
			l.phase, l.wait, l.until = ready, WaitNone, time.Time{}
		}
	}
}
