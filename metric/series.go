package metric

import (
	"sync"
	"time"
)

// Series collects the values of one metric in one unit. A nil Series drops them, so that a room without metrics needs
// no other path.
type Series struct {
	store  *Store
	id     ID
	unit   string
	key    string
	pinned bool // guarded by store.mu

	mu      sync.Mutex
	open    []*bucket // not written yet, one a minute, in no order
	spare   *bucket   // for reuse
	waiting bool      // in store.waiting
	total   Total
}

// Total is what a series has recorded since the process started.
type Total struct {
	Count, Sum float64
	Last       float64   // the latest value
	At         time.Time // when that was measured
}

// Add records v, measured once at an instant. It neither allocates nor writes to the store. A NaN, or a magnitude above
// MaxValue, is dropped.
func (s *Series) Add(at time.Time, v float64) {
	if s != nil {
		s.add(at, v, 1)
	}
}

// Total returns what was recorded since the process started.
func (s *Series) Total() Total {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

func (s *Series) add(at time.Time, v, n float64) {
	if !usable(v) || !usable(n) || n <= 0 {
		return
	}
	s.mu.Lock()
	s.bucketOf(minuteOf(at)).add(v, n)
	s.took(at, n, v*n, v)
}

// record changes the bucket of an instant when Add does not fit.
func (s *Series) record(at time.Time, change func(*bucket), count, sum, last float64) {
	s.mu.Lock()
	change(s.bucketOf(minuteOf(at)))
	s.took(at, count, sum, last)
}

// took updates the total and has the series written. s.mu is held, and released.
func (s *Series) took(at time.Time, count, sum, last float64) {
	s.total.Count += count
	s.total.Sum += sum
	if !at.Before(s.total.At) { // what comes late is not the latest
		s.total.Last, s.total.At = last, at
	}
	first := !s.waiting
	s.waiting = true
	s.mu.Unlock()
	if first {
		s.store.enqueue(s)
	}
}

// maxOpen bounds the minutes that wait while writes fail.
const maxOpen = 1440

// bucketOf returns the open bucket of a minute. s.mu is held.
func (s *Series) bucketOf(minute int64) *bucket {
	for i := len(s.open) - 1; i >= 0; i-- {
		if s.open[i].minute == minute {
			return s.open[i]
		}
	}
	if len(s.open) >= maxOpen {
		s.dropOldest()
	}
	b := s.spare
	if s.spare = nil; b == nil {
		b = &bucket{}
	}
	b.minute = minute
	s.open = append(s.open, b)
	s.store.backlog.Add(1)
	return b
}

func (s *Series) dropOldest() {
	oldest := 0
	for i, b := range s.open {
		if b.minute < s.open[oldest].minute {
			oldest = i
		}
	}
	last := len(s.open) - 1
	s.open[oldest] = s.open[last]
	s.open = s.open[:last]
	s.store.backlog.Add(-1)
}

// take appends the waiting buckets to dst and returns it.
func (s *Series) take(dst []*bucket) []*bucket {
	s.mu.Lock()
	defer s.mu.Unlock()
	dst = append(dst, s.open...)
	s.store.backlog.Add(-int64(len(s.open)))
	clear(s.open)
	s.open, s.waiting = s.open[:0], false
	return dst
}

// giveBack takes a stored bucket for reuse.
func (s *Series) giveBack(b *bucket) {
	b.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = b
}

// restore puts back a bucket that could not be stored.
func (s *Series) restore(b *bucket) {
	s.mu.Lock()
	s.bucketOf(b.minute).Join(&b.Summary)
	first := !s.waiting
	s.waiting = true
	s.mu.Unlock()
	if first {
		s.store.enqueue(s)
	}
}

func minuteOf(at time.Time) int64 {
	s := at.Unix()
	if s < 0 {
		s -= 59 // round down
	}
	return s / 60
}
