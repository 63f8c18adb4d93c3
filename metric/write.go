package metric

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/shardmill/shardmill/storage"
)

// writePause is how long, in real time, values are gathered before they are written.
const writePause = time.Second

// enqueue has a series written a second from now, or by the write that is already due.
func (st *Store) enqueue(s *Series) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.stopped {
		return
	}
	st.waiting = append(st.waiting, s)
	if st.alarm == nil {
		// write logs its error, and what failed waits again
		st.alarm = time.AfterFunc(writePause, func() { _ = st.write() })
	}
}

// place says where the points of a series are stored.
type place struct {
	number uint64 // of its points; never reused
	active int64  // the last minute in which something was recorded, by the clock
}

// portion is how many series are written as one batch.
const portion = 500

// write stores everything that waits.
func (st *Store) write() error {
	st.writing.Lock()
	defer st.writing.Unlock()
	return st.writeLocked()
}

// writeLocked is write for a caller that holds st.writing.
func (st *Store) writeLocked() error {
	st.mu.Lock()
	list := st.waiting
	st.waiting, st.spare = st.spare[:0], nil
	if st.alarm != nil {
		st.alarm.Stop()
		st.alarm = nil
	}
	st.mu.Unlock()
	var err error
	for rest := list; len(rest) > 0; {
		n := min(portion, len(rest))
		if perr := st.writePortion(rest[:n]); perr != nil {
			err = perr
		}
		rest = rest[n:]
	}
	clear(list)
	st.mu.Lock()
	st.spare = list[:0]
	st.mu.Unlock()
	if err != nil && !st.failing {
		st.log.Warn("writing metrics; it is tried again", "error", err)
	}
	st.failing = err != nil
	if err == nil && len(list) > 0 {
		st.sweep()
	}
	return err
}

// taken is a bucket on its way to the store.
type taken struct {
	s *Series
	b *bucket
}

// writePortion stores the buckets of some series, or puts them back.
func (st *Store) writePortion(list []*Series) error {
	var out []taken
	var scratch []*bucket
	for _, s := range list {
		scratch = s.take(scratch[:0])
		for _, b := range scratch {
			out = append(out, taken{s, b})
		}
	}
	next := st.next
	ops, fresh, err := st.prepare(out)
	if err == nil {
		err = st.local.Apply(context.Background(), storage.Soon, ops...)
	}
	if err != nil {
		st.next = next
		for _, t := range out {
			t.s.restore(t.b)
		}
		return err
	}
	for key, p := range fresh {
		st.places[key] = p
	}
	for _, t := range out {
		t.s.giveBack(t.b)
	}
	return nil
}

// prepare merges buckets with what is stored.
func (st *Store) prepare(out []taken) (ops []storage.LocalOp, fresh map[string]place, err error) {
	now := minuteOf(st.clock.Now())
	fresh = map[string]place{}
	merged := map[string]*bucket{} // by key: a series may occur twice
	first := st.next
	for _, t := range out {
		p, ok := fresh[t.s.key]
		if !ok {
			if p, err = st.place(t.s.key); err != nil {
				return nil, nil, err
			}
			if p.active < now {
				p.active = now
				ops = append(ops, storage.LocalOp{Key: seriesKey(t.s.key), Value: appendPlace(nil, p)})
			}
			fresh[t.s.key] = p
		}
		key := string(pointKey(p.number, t.b.minute))
		sum := merged[key]
		if sum == nil {
			sum = &bucket{}
			old, found, err := st.local.Get([]byte(key))
			if err != nil {
				return nil, nil, err
			}
			if found {
				if err := decodeBucket(old, sum); err != nil { // one minute is lost, not all that comes after it
					st.log.Error("a stored minute is unreadable and begins anew", "metric", t.s.id.Name, "error", err)
					sum.reset()
				}
			}
			merged[key] = sum
		}
		sum.Join(&t.b.Summary)
	}
	for key, sum := range merged {
		ops = append(ops, storage.LocalOp{Key: []byte(key), Value: appendBucket(nil, sum)})
	}
	if st.next != first {
		ops = append(ops, storage.LocalOp{
			Key: []byte(numberKey), Value: binary.AppendUvarint([]byte{placeVersion}, st.next),
		})
	}
	return ops, fresh, nil
}

// place finds the series in the store, or gives it a number.
func (st *Store) place(key string) (place, error) {
	if p, ok := st.places[key]; ok {
		return p, nil
	}
	if len(st.places) >= 2*maxKnown {
		clear(st.places)
	}
	v, found, err := st.local.Get(seriesKey(key))
	if err != nil {
		return place{}, err
	}
	if found {
		return decodePlace(v)
	}
	if st.next == 0 {
		if st.next, err = st.readNumber(); err != nil {
			return place{}, err
		}
	}
	p := place{number: st.next}
	st.next++
	return p, nil
}

func (st *Store) readNumber() (uint64, error) {
	v, found, err := st.local.Get([]byte(numberKey))
	if err != nil || !found {
		return 1, err
	}
	if len(v) > 0 && v[0] == placeVersion {
		if n, k := binary.Uvarint(v[1:]); k > 0 && n > 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("the number of the next metric: %w: % x", storage.ErrCorrupt, v)
}

// sweepEvery is how often expired buckets are deleted, by the steered clock.
const sweepEvery = time.Hour

// sweep deletes what is past retention. Reads no longer show it, so a failure only costs space until the next sweep.
func (st *Store) sweep() {
	now := st.clock.Now()
	if now.Sub(st.swept) < sweepEvery {
		return
	}
	st.swept = now
	cutoff := minuteOf(now.Add(-Retention))
	var ops []storage.LocalOp
	apply := func() error {
		defer func() { ops = ops[:0] }()
		return st.local.Apply(context.Background(), storage.Soon, ops...)
	}
	var failed error
	err := st.local.Scan([]byte(seriesPrefix), []byte(seriesEnd), false, func(k, v []byte) bool {
		p, err := decodePlace(v)
		if err != nil {
			failed = err
			return false
		}
		until := cutoff
		if p.active < cutoff {
			until = math.MaxInt64
			ops = append(ops, storage.LocalOp{Key: append([]byte(nil), k...)})
		}
		lo, hi := pointKey(p.number, math.MinInt64), pointKey(p.number, until)
		old := false
		failed = st.local.Scan(lo, hi, false, func(_, _ []byte) bool {
			old = true
			return false
		})
		if old {
			ops = append(ops, storage.LocalOp{Key: lo, Until: hi})
		}
		if failed == nil && len(ops) >= portion {
			failed = apply()
		}
		return failed == nil
	})
	if failed == nil {
		failed = err
	}
	if failed == nil && len(ops) > 0 {
		failed = apply()
	}
	clear(st.places) // places of deleted series must not come back
	if failed != nil {
		st.log.Warn("deleting metrics that are past retention; it is tried again in an hour", "error", failed)
	}
}
