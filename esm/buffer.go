package esm

import (
	"slices"

	"github.com/shardmill/shardmill/record"
)

// The buffer of a shard holds the records that are read and not settled. Its bounds are the contract's: factor ×
// max(BatchSize, 10,000) records and (factor + 1) × MaxPayload bytes of payload, and always at least one record. What
// faster lanes have settled beyond the low-water mark counts too, so the bounds also limit how far lanes run ahead and
// what a restart reads again.

func (s *Shard) maxRecords() int { return s.cfg.Factor * max(s.cfg.BatchSize, maxRead) }
func (s *Shard) maxBytes() int   { return (s.cfg.Factor + 1) * MaxPayload }

// wanted returns how many records the lanes lack of what they are to be kept supplied with; 0: every lane has enough
// for now. What is read long before it is sent has left the processor's caches by then, and takes memory that others
// need.
func (s *Shard) wanted() (n int) {
	most := max(2*s.cfg.BatchSize, s.cfg.ReadAhead)
	hungry := false
	for i := range s.lanes {
		l := &s.lanes[i]
		if s.cfg.ReadAhead == 0 || s.rereads(l) {
			return maxRead
		}
		have := l.queue.len()
		n += max(0, most-have)
		hungry = hungry || have <= most/2
	}
	if !hungry {
		return 0
	}
	return n
}

// rereads reports whether records of a batch from a checkpoint are still to be read.
func (s *Shard) rereads(l *lane) bool {
	return slices.ContainsFunc(l.plan, func(seg segment) bool { return seg.restored && s.next <= seg.last })
}

// used returns how much of the buffer is taken.
func (s *Shard) used() (records, bytes int) {
	if len(s.lanes) == 1 {
		return s.records, s.bytes // one lane cannot run ahead of itself
	}
	return s.span.len(), s.span.bytes
}

// measure takes the settled prefix off the span and decides whether reading is choked. It is from when the buffer is
// full until a quarter of it is free, so that a full buffer is not refilled record by record.
func (s *Shard) measure() {
	if len(s.lanes) > 1 {
		s.span.dropThrough(s.low())
	}
	records, bytes := s.used()
	switch {
	case records >= s.maxRecords() || bytes >= s.maxBytes():
		if !s.choked {
			s.emit(&BufferFilled{
				Records: records, Bytes: bytes, MaxRecords: s.maxRecords(), MaxBytes: s.maxBytes(),
			})
		}
		s.choked = true
	case records*4 <= s.maxRecords()*3 && bytes*4 <= s.maxBytes()*3:
		if s.choked {
			s.emit(&BufferFreed{Records: records, Bytes: bytes})
		}
		s.choked = false
	}
}

// queue is a first-in, first-out queue of records that allocates only when it grows.
type queue struct {
	recs      []Rec
	head      int
	positions []record.Position // what front answered last
}

func (q *queue) len() int      { return len(q.recs) - q.head }
func (q *queue) at(i int) *Rec { return &q.recs[q.head+i] }

func (q *queue) push(r Rec) {
	// each move pays for as many pushes, so the cost per record is constant
	if len(q.recs) == cap(q.recs) && q.head > len(q.recs)/2 {
		n := copy(q.recs, q.recs[q.head:])
		q.recs, q.head = q.recs[:n], 0
	}
	q.recs = append(q.recs, r)
}

// drop takes n records off the front, n at least 1, and returns the last one's place and the payload bytes of all.
func (q *queue) drop(n int) (last record.Position, bytes int) {
	for _, r := range q.recs[q.head : q.head+n] {
		last = r.Pos
		bytes += int(r.Bytes)
	}
	q.head += n
	if q.head == len(q.recs) {
		q.recs, q.head = q.recs[:0], 0
	}
	return last, bytes
}

// cut takes all but the first n records off, and returns their payload bytes.
func (q *queue) cut(n int) (bytes int) {
	for _, r := range q.recs[q.head+n:] {
		bytes += int(r.Bytes)
	}
	if q.recs = q.recs[:q.head+n]; n == 0 {
		q.recs, q.head = q.recs[:0], 0
	}
	return bytes
}

// front returns the positions of the first n records, and their payload bytes. The list is valid until the next call.
func (q *queue) front(n int) (positions []record.Position, bytes int) {
	q.positions = q.positions[:0]
	for _, r := range q.recs[q.head : q.head+n] {
		q.positions = append(q.positions, r.Pos)
		bytes += int(r.Bytes)
	}
	return q.positions, bytes
}

// span holds the position and size of every record beyond the low-water mark, settled or not.
type span struct {
	recs  []spanned
	head  int
	bytes int
}

type spanned struct {
	pos   record.Position
	bytes int32
}

func (p *span) len() int { return len(p.recs) - p.head }

func (p *span) push(pos record.Position, bytes int32) {
	if len(p.recs) == cap(p.recs) && p.head > len(p.recs)/2 {
		n := copy(p.recs, p.recs[p.head:])
		p.recs, p.head = p.recs[:n], 0
	}
	p.recs = append(p.recs, spanned{pos, bytes})
	p.bytes += int(bytes)
}

func (p *span) dropThrough(low record.Position) {
	for p.head < len(p.recs) && p.recs[p.head].pos <= low {
		p.bytes -= int(p.recs[p.head].bytes)
		p.head++
	}
	if p.head == len(p.recs) {
		p.recs, p.head = p.recs[:0], 0
	}
}

// cut forgets the records at and beyond from.
func (p *span) cut(from record.Position) {
	for n := len(p.recs); n > p.head && p.recs[n-1].pos >= from; n-- {
		p.bytes -= int(p.recs[n-1].bytes)
		p.recs = p.recs[:n-1]
	}
}
