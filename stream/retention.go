package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Bounds of the pause between two sweeps. Reads always see the exact horizon; the sweep only frees space.
const (
	sweepLeast = time.Minute
	sweepMost  = time.Hour
)

// never is later than anything expires, with room to add a retention period.
const never record.Millis = math.MaxInt64 / 2

// horizon is the first readable position of a shard. It is valid until the trim horizon passes until, the arrival of
// the record there, so that most reads need not ask storage.
type horizon struct {
	pos   record.Position
	until record.Millis
}

// horizonOf returns the first position of sh inside the retention period. It never moves back.
func (s *Streams) horizonOf(ctx context.Context, sn *snapshot, sh *shard, now record.Millis) (record.Position, error) {
	at := sn.trimHorizon(now)
	sh.mu.Lock()
	h := sh.horizon
	sh.mu.Unlock()
	// A shard may count as begun some seconds after its first record, if reshards follow each other quickly.
	if at <= record.MillisOf(sn.info.Created) || at <= h.until {
		return h.pos, nil
	}
	pos, err := s.log.Seek(ctx, sh.key, at)
	if err != nil {
		return 0, fmt.Errorf("seek the trim horizon: %w", err)
	}
	next, found := horizon{pos: pos, until: at}, false
	_, end, err := s.log.Scan(ctx, sh.key, pos, storage.Limit{Records: 1}, func(r record.Record) {
		next.until, found = r.Arrival, true
	})
	if err != nil {
		return 0, fmt.Errorf("read the trim horizon: %w", err)
	}
	switch {
	case found:
	case end.Kind == storage.Tail:
		next.until = max(at, end.Sealed) // there is no record, and none older than Sealed will come
	case end.Kind == storage.ShardEnd:
		next.until = never // there is no record, and none will come
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if next.pos >= sh.horizon.pos && next.until > sh.horizon.until {
		sh.horizon = next
	}
	return max(next.pos, sh.horizon.pos), nil
}

// sweeper trims expired records, by the steered clock, until ctx ends.
func (s *Streams) sweeper(ctx context.Context) {
	for {
		next, any := s.sweep(ctx)
		due := make(chan struct{})
		if any {
			timer := s.clock.At(next, func() { close(due) }) // at once if the clock was moved past it during the sweep
			select {
			case <-due:
			case <-s.shrunk:
				timer.Stop()
			case <-ctx.Done():
				timer.Stop()
				return
			}
			continue
		}
		select {
		case <-s.first:
		case <-ctx.Done():
			return
		}
	}
}

// sweep trims every shard once and returns when to look again, on the steered clock: when the next record expires, as
// seen from the moment at which the sweep began. any is false if there is no stream.
func (s *Streams) sweep(ctx context.Context) (next time.Time, any bool) {
	s.mu.RLock()
	snaps := make([]*snapshot, 0, len(s.byName))
	for _, st := range s.byName {
		snaps = append(snaps, st.snap.Load())
	}
	s.mu.RUnlock()
	now := s.now()
	due := now + record.Millis(sweepMost.Milliseconds())
	for _, sn := range snaps {
		if !sn.writable() {
			continue
		}
		due = min(due, s.expire(ctx, sn, now))
		for _, sh := range sn.shards {
			if ctx.Err() != nil {
				return time.Time{}, false
			}
			expires, err := s.trim(ctx, sn, sh, now)
			if err != nil && ctx.Err() == nil && !errors.Is(err, storage.ErrNotFound) {
				s.slog.Error(
					"retention sweep failed", "stream", sn.info.Name.ARN(), "shard", sh.key.Index.String(), "error",
					err,
				)
			}
			due = min(due, expires)
		}
	}
	return max(due, now+record.Millis(sweepLeast.Milliseconds())).Time(), len(snaps) > 0
}

// expire wakes those that wait for a new shard list when closed shards have outlived their records, and returns when
// the next one will.
func (s *Streams) expire(ctx context.Context, sn *snapshot, now record.Millis) (next record.Millis) {
	next = now + record.Millis(sweepMost.Milliseconds())
	expired := 0
	for i := range sn.info.Shards {
		sh := &sn.info.Shards[i]
		switch {
		case sh.expired(sn.trimHorizon(now)):
			expired++
		case sh.Closed != 0:
			next = min(next, sh.Closed+record.Millis(sn.info.Retention.Milliseconds())+1)
		}
	}
	if expired <= sn.expired {
		return next
	}
	s.mu.RLock()
	st := s.byID[sn.info.ID]
	s.mu.RUnlock()
	if st == nil {
		return next
	}
	select {
	case st.changing <- struct{}{}:
	case <-ctx.Done():
		return next
	}
	defer func() { <-st.changing }()
	if st.snap.Load() == sn { // else the list has changed anyway, and the next sweep looks again
		c := *sn
		c.expired, c.changed = expired, make(chan struct{})
		s.install(st, &c)
	}
	return next
}

// trim moves the trim of storage to the horizon of sh, and returns the earliest time at which the next record can
// expire.
func (s *Streams) trim(ctx context.Context, sn *snapshot, sh *shard, now record.Millis) (
	expires record.Millis, err error,
) {
	keep := record.Millis(sn.info.Retention.Milliseconds())
	pos, err := s.horizonOf(ctx, sn, sh, now)
	if err != nil {
		return now, err
	}
	sh.mu.Lock()
	until, trimmed := sh.horizon.until, sh.trimmed
	sh.mu.Unlock()
	if pos > trimmed {
		if err := s.log.Trim(ctx, sh.key, pos); err != nil {
			return now, fmt.Errorf("trim before %d: %w", pos, err)
		}
		sh.mu.Lock()
		sh.trimmed = max(sh.trimmed, pos)
		sh.mu.Unlock()
	}
	return max(until, sn.shardInfo(sh).Began()) + keep + 1, nil
}
