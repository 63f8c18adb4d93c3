package esm

import (
	"time"

	"github.com/shardmill/shardmill/record"
)

// read asks for more records if there is room and no Read is out.
func (s *Shard) read() {
	// a Read that waits at the tail does not report how far it is sealed; another one replaces it
	ask := s.ask && s.reading && s.waits
	if s.reading && !ask || s.shardEnd || s.ending() || s.choked {
		return
	}
	if s.now.Before(s.readAgain) {
		s.wakeAt(s.readAgain)
		return
	}
	want := s.wanted()
	if want == 0 && !ask {
		return
	}
	s.tellVoid()
	s.seq++
	s.reading = true
	s.waits = s.idleTail && !s.ask
	if s.ask {
		s.askAgain = s.now.Add(sealAgain)
	}
	records, bytes := s.used()
	records, bytes = min(maxRead, s.maxRecords()-records, max(1, want)), s.maxBytes()-bytes
	s.emit(s.told.readAsked.put(s.steps, ReadAsked{
		Seq: s.seq, From: s.next, Wait: s.waits, MaxRecords: records, MaxBytes: bytes,
	}))
	s.emit(Read{
		Seq: s.seq, Generation: s.gen, Factor: s.cfg.Factor, From: s.next, Wait: s.waits,
		MaxRecords: records, MaxBytes: bytes,
	})
}

func (s *Shard) readReturned(ev ReadReturned) {
	if !s.reading || ev.Seq != s.seq {
		return // asked under an older lane map
	}
	s.reading, s.readFails, s.readAgain = false, 0, time.Time{}
	done := s.told.readDone.put(s.steps, ReadDone{
		Seq: ev.Seq, From: s.next, Next: ev.Next, Records: len(ev.Records), End: ev.End,
		Taken: -s.records, Bytes: -s.bytes,
	})
	for i := range ev.Records {
		if !ev.Records[i].Match {
			done.Filtered++
		}
		s.take(&ev.Records[i])
	}
	done.Taken, done.Bytes = done.Taken+s.records, done.Bytes+s.bytes
	if n := len(ev.Records); n > 0 {
		done.FirstArrival, done.LastArrival = ev.Records[0].Arrival, ev.Records[n-1].Arrival
	}
	if ev.End == Tail {
		done.Sealed = ev.Sealed
	}
	s.emit(done)
	s.lastEnd = ev.End
	s.tail = ev.End == Tail || ev.End == Withheld || ev.End == ShardEnd
	s.idleTail = ev.End == Tail || ev.End == Withheld
	if s.atTail = ev.End == Tail; s.atTail {
		s.sealed = max(s.sealed, ev.Sealed)
	}
	if ev.End == Trimmed {
		if ev.Oldest <= s.next {
			broken("a read at %d was refused, but the oldest record is %d", s.next, ev.Oldest)
		}
		s.horizon(ev.Oldest)
	} else {
		if ev.Next < s.next {
			broken("a read went back from %d to %d", s.next, ev.Next)
		}
		s.next = ev.Next
		s.shardEnd = ev.End == ShardEnd
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
	if len(s.lanes) > 1 {
		s.span.push(r.Pos, r.Bytes)
	}
	if r.Pos <= l.settled || r.Pos <= l.decided {
		return
	}
	s.touch(l)
	rec := *r
	rec.Arrival = s.maxArrival
	l.queue.push(rec)
	s.records++
	s.bytes += int(r.Bytes)
	l.takeBack(r.Pos)
}

// takeBack gives a record that was read again to its batch, which comes from a checkpoint.
func (l *lane) takeBack(p record.Position) {
	for i := range l.plan {
		if seg := &l.plan[i]; seg.restored && p <= seg.last {
			seg.count++
			return
		}
	}
}

// Reads reports whether the machine waits for what the Read of a number brings: it was not answered, and nothing has
// made it void since.
func (s *Shard) Reads(seq uint64) bool { return s.reading && s.seq == seq }

func (s *Shard) readFailed(ev ReadFailed) {
	if !s.reading || ev.Seq != s.seq {
		return
	}
	s.reading = false
	s.tail, s.idleTail, s.atTail = true, false, false // what is here need not wait for what cannot be read
	s.readFails++
	s.readAgain = s.now.Add(s.backoff(s.readFails))
	s.emit(&ReadBroke{Seq: ev.Seq, Again: s.readAgain})
}
