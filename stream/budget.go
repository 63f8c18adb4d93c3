package stream

import (
	"sync"
	"time"
)

// Rates of one shard. Source: Kinesis Developer Guide, "Quotas and limits".
const (
	writeBytes   = 1 << 20 // a second
	writeRecords = 1000    // a second
	readBytes    = 2 << 20 // a second
	readCalls    = 5       // GetRecords a second
	iteratorRate = 5       // GetShardIterator a second
)

// budget is what a shard takes and gives at AWS's rates, on the steered clock. The zero value has everything left, as a
// child of a reshard does.
type budget struct {
	mu             sync.Mutex
	bytes, records bucket // of writes
	read           bucket
	blocked        int64            // no read before; nanoseconds
	reads          [readCalls]int64 // instants of the last GetRecords that were let through, in nanoseconds
	iterators      [iteratorRate]int64
}

// write reports whether a record of so many bytes is taken. most is the largest record of the stream: a larger one than
// a second's worth is taken, too, once enough has been saved up for it.
func (b *budget) write(now time.Time, size, most int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := now.UnixNano()
	bytes := spent(size, writeBytes)
	room := max(spent(most, writeBytes), int64(time.Second))
	if !b.bytes.holds(at, bytes, room) || !b.records.holds(at, int64(time.Second/writeRecords), int64(time.Second)) {
		return false
	}
	b.bytes.take(at, bytes)
	b.records.take(at, int64(time.Second/writeRecords))
	return true
}

// mayRead reports whether a read may begin; what it brings is told by hasRead.
func (b *budget) mayRead(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := now.UnixNano()
	if b.blocked-at > spent(MaxReadBytes, readBytes) {
		b.blocked = 0 // the clock was set back
	}
	return at >= b.blocked && b.read.holds(at, 1, int64(time.Second)) && calling(b.reads[:], at)
}

// hasRead counts what a read has brought. More than a second's worth blocks the shard for as long as that is.
func (b *budget) hasRead(now time.Time, size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, cost := now.UnixNano(), spent(size, readBytes)
	if cost > int64(time.Second) {
		b.blocked = at + cost
		return
	}
	b.read.take(at, cost)
}

// iterator reports whether a shard iterator may be given.
func (b *budget) iterator(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return calling(b.iterators[:], now.UnixNano())
}

// spent returns how long something takes at a rate, in nanoseconds.
func spent(amount, rate int) int64 { return int64(amount) * int64(time.Second) / int64(rate) }

// bucket refills with time. It is the instant, in nanoseconds, at which it is full; costs and its size are times, too.
type bucket int64

// holds reports whether a cost is left in a bucket of a size. A bucket that is emptier than it can become was used
// before the clock was set back; it is full again.
func (b *bucket) holds(at, cost, size int64) bool {
	if int64(*b) > at+size+int64(2*time.Second) {
		*b = 0
	}
	return max(int64(*b), at)+cost <= at+size
}

// take takes a cost out, even if it is not left, a second's worth at most: then the bucket is empty until that has come
// in.
func (b *bucket) take(at, cost int64) { *b = bucket(max(int64(*b), at) + cost) }

// calling reports whether one more call may be let through: not all of the last ones, of which there are as many as a
// second allows, were less than a second ago. It then counts as let through.
func calling(last []int64, at int64) bool {
	oldest := 0
	for i := range last {
		if last[i] > at {
			last[i] = 0 // the clock was set back
		}
		if last[i] < last[oldest] {
			oldest = i
		}
	}
	if at-last[oldest] < int64(time.Second) && last[oldest] != 0 {
		return false
	}
	last[oldest] = at
	return true
}
