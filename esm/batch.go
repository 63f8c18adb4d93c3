package esm

import (
	"math"
	"sort"
	"time"

	"github.com/shardmill/shardmill/record"
)

// cut makes the next batch of a lane from the front of its queue, if one is due: BatchSize records, the payload limit,
// the end of the batching window, a full buffer, or the end of the shard, whichever comes first.
func (s *Shard) cut(l *lane) bool {
	if l.queue.len() == 0 {
		l.wait = s.idle()
		return false
	}
	count, flush := s.fill(l)
	if flush == 0 {
		var due bool
		if flush, due = s.due(l); !due {
			return false
		}
	}
	first, last := l.queue.at(0).Pos, l.queue.at(count-1).Pos
	l.plan = append(l.plan, segment{
		id: BatchID{
			Generation: s.gen, Factor: len(s.lanes), Lane: l.id, First: first, Last: last, Filter: s.cfg.Filter,
		},
		count: count, last: last, flush: flush,
	})
	l.gather = gathering{}
	return true
}

// gathering is the progress of fill over the front of a queue that is not cut yet.
type gathering struct {
	count, bytes int
	end          record.Millis // of the tumbling window of the first record
}

// fill counts the records that fit one batch. flush is 0 if more could join. It continues where the last call stopped,
// so records that trickle in are looked at only once.
func (s *Shard) fill(l *lane) (count int, flush FlushReason) {
	g := &l.gather
	if g.count == 0 || g.count > s.cfg.BatchSize {
		*g = gathering{bytes: s.base(), end: math.MaxInt64}
		if s.windowed() {
			g.end = s.windowOf(l.queue.at(0).Arrival).End
		}
	}
	bytes, end := g.bytes, g.end
	for _, r := range l.queue.recs[l.queue.head+g.count : l.queue.head+min(l.queue.len(), s.cfg.BatchSize)] {
		if r.Arrival >= end {
			flush = FlushTumbling
			break
		}
		if bytes += int(r.Bytes); bytes > MaxPayload && g.count > 0 {
			bytes -= int(r.Bytes)
			flush = FlushPayload
			break
		}
		g.count++
	}
	if g.bytes = bytes; flush != 0 {
		return g.count, flush
	}
	if g.count == s.cfg.BatchSize {
		return g.count, FlushFull
	}
	return g.count, 0
}

// due decides whether a batch that could still grow goes out now.
func (s *Shard) due(l *lane) (FlushReason, bool) {
	switch {
	case s.shardEnd:
		return FlushEnd, true
	case s.choked:
		return FlushBuffer, true
	case s.cfg.BatchingWindow == 0:
		if !s.tail { // more records are there to be read at once
			l.wait = WaitRecords
			return 0, false
		}
		return FlushNow, true
	case s.windowed() && s.complete(l.gather.end):
		return FlushTumbling, true
	}
	if end := l.opened.Add(s.cfg.BatchingWindow); s.now.Before(end) {
		l.wait = WaitWindow
		s.wakeAt(end)
		return 0, false
	}
	return FlushWindow, true
}

// touch starts a new batching window if a record arrives after the running one has ended. AWS leaves open what happens
// after an idle time.
func (s *Shard) touch(l *lane) {
	if l.queue.len() == 0 && len(l.plan) == 0 && l.phase == ready && !s.now.Before(l.opened.Add(s.cfg.BatchingWindow)) {
		l.opened = s.now
	}
}

// expired counts the records at the front of the batch at hand that are as old as MaxAge or older. Age is measured from
// the largest arrival seen so far, so they form a prefix.
func (s *Shard) expired(l *lane) int {
	if s.cfg.MaxAge == 0 || len(l.plan) == 0 || l.plan[0].restored || l.plan[0].id.Purpose != ForRecords {
		return 0
	}
	limit := record.MillisOf(s.now.Add(-s.cfg.MaxAge))
	if l.plan[0].count == 0 || l.queue.at(0).Arrival > limit {
		return 0
	}
	return sort.Search(l.plan[0].count, func(i int) bool { return l.queue.at(i).Arrival > limit })
}

func (s *Shard) wakeAtExpiry(l *lane) {
	if s.cfg.MaxAge != 0 && len(l.plan) > 0 && l.plan[0].id.Purpose != ForRecords {
		s.wakeAt(s.win.End.Time().Add(s.cfg.MaxAge))
		return
	}
	if s.cfg.MaxAge != 0 && len(l.plan) > 0 && l.plan[0].count > 0 && l.discard == nil {
		s.wakeAt(l.queue.at(0).Arrival.Time().Add(s.cfg.MaxAge))
	}
}

// backoff returns the pause before the n-th retry, n from 1: BackoffBase doubling up to BackoffCap, with jitter.
func (s *Shard) backoff(n int) time.Duration {
	d := s.cfg.BackoffCap
	if shift := n - 1; shift < 62 && s.cfg.BackoffBase <= d>>shift {
		d = s.cfg.BackoffBase << shift
	}
	if j := s.cfg.Jitter; j > 0 && d > 0 {
		d = d * time.Duration(100-j+s.rng.IntN(2*j+1)) / 100
	}
	return min(d, s.cfg.BackoffCap)
}
