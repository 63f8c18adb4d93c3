package pebble

import (
	"context"
	"encoding/binary"
	"fmt"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// look returns the state of a shard for a reader at from, and in into the blocks from there on, if the first is in
// memory.
func (sh *shard) look(s *Store, from record.Position, into []*block) (blocks []*block, end storage.End, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	v := &sh.seen
	switch {
	case v.deleted:
		return nil, end, storage.ErrNotFound
	case from < v.trim:
		return nil, storage.End{Kind: storage.Trimmed, Oldest: v.trim}, nil
	case from > v.last && v.closed:
		return nil, storage.End{Kind: storage.ShardEnd}, nil
	case from > v.last:
		if v.inflight != 0 {
			return nil, storage.End{Kind: storage.Tail, Sealed: v.inflight}, nil
		}
		v.sealed = max(v.sealed, record.MillisOf(s.clock.Now()))
		return nil, storage.End{Kind: storage.Tail, Sealed: v.sealed}, nil
	}
	if len(v.tail) > 0 && from >= v.tail[0].first {
		lo, hi := 0, len(v.tail) // the first block that ends behind from
		for lo < hi {
			if mid := (lo + hi) / 2; v.tail[mid].next() > from {
				hi = mid
			} else {
				lo = mid + 1
			}
		}
		n := min(len(v.tail)-lo, cap(into))
		return append(into, v.tail[lo:lo+n]...), storage.End{Kind: storage.More}, nil
	}
	if b := v.recent; b != nil && from >= b.first && from < b.next() {
		return append(into, b), storage.End{Kind: storage.More}, nil
	}
	return nil, storage.End{Kind: storage.More}, nil
}

// walk visits the durable blocks with records at or after from, in order, until visit returns false (End{More}) or no
// block is left.
func (s *Store) walk(
	ctx context.Context, sh *shard, from record.Position, visit func(*block) (bool, error),
) (storage.End, error) {
	var room [16]*block
	for {
		if err := ctx.Err(); err != nil {
			return storage.End{}, err
		}
		blocks, end, err := sh.look(s, from, room[:0])
		if err != nil || end.Kind != storage.More {
			return end, err
		}
		more := true
		if len(blocks) == 0 {
			from, more, err = s.walkDatabase(ctx, sh, from, visit)
		}
		for _, b := range blocks {
			if more, err = visit(b); err != nil || !more {
				break
			}
			from = b.next()
		}
		if err != nil || !more {
			return storage.End{Kind: storage.More}, err
		}
	}
}

// walkDatabase visits blocks from the database up to those that are also in memory, and returns where to continue.
func (s *Store) walkDatabase(ctx context.Context, sh *shard, from record.Position, visit func(*block) (bool, error)) (
	record.Position, bool, error,
) {
	// Read the watermark before making the iterator, which shows one moment: it must find all that is durable by now.
	sh.mu.Lock()
	last := sh.seen.last
	sh.mu.Unlock()
	it, err := s.rows(&crdb.IterOptions{
		LowerBound: shardKey(tableBlocks, sh.id), UpperBound: after(shardKey(tableBlocks, sh.id)),
	})
	if err != nil {
		return from, false, s.readError(err, sh.id, from)
	}
	defer it.Close()
	// Check for trim and deletion after reading: they are published before blocks go, so they show here if they explain
	// a missing block.
	sh.mu.Lock()
	gone := sh.seen.deleted || from < sh.seen.trim
	sh.mu.Unlock()
	if gone {
		return from, true, nil // look again
	}
	ok := it.SeekLT(blockKey(sh.id, from+1))
	if !ok {
		ok = it.First()
	}
	for ; ok && from <= last; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return from, false, err
		}
		if first, _ := placeOf(it.Key()); record.Position(first) > last {
			break // applied but not yet durable
		}
		b, err := s.blockAt(it, sh.id)
		if err != nil {
			return from, false, err
		}
		if b.next() <= from {
			continue
		}
		s.recents.keep(sh, b)
		if more, err := visit(b); err != nil || !more {
			return from, false, err
		}
		from = b.next()
	}
	if err := it.Error(); err != nil {
		return from, false, s.readError(err, sh.id, from)
	}
	if from <= last {
		return from, false, s.readError(
			fmt.Errorf("%w: records up to position %d are missing", storage.ErrCorrupt, last), sh.id, from,
		)
	}
	return from, true, nil
}

func (l *log) Scan(
	ctx context.Context, id storage.Shard, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	s := (*Store)(l)
	from = max(from, 1)
	if err := s.enter(ctx); err != nil {
		return from, storage.End{}, err
	}
	defer s.leave()
	sh, err := s.find(id)
	if err != nil {
		return from, storage.End{}, err
	}
	records, bytes := 0, 0
	end, err := s.walk(ctx, sh, from, func(b *block) (bool, error) {
		for i := b.index(from); i < b.count; i++ {
			r, err := b.record(i)
			if err != nil {
				return false, s.readError(fmt.Errorf("%w: %w", storage.ErrCorrupt, err), id, r.Pos)
			}
			if records > 0 && limit.Bytes > 0 && bytes+r.Size() > limit.Bytes {
				return false, nil
			}
			visit(r)
			records++
			bytes += r.Size()
			from = r.Pos + 1
			if limit.Records > 0 && records >= limit.Records {
				return false, nil
			}
		}
		return true, nil
	})
	switch {
	case err != nil:
	case records > 0 && end.Kind == storage.Trimmed: // trimmed during the read: the next Scan says so
		end = storage.End{Kind: storage.More}
	case end.Kind == storage.More: // the limit was reached, perhaps at the last record
		if _, end, err = sh.look(s, from, nil); end.Kind == storage.Trimmed {
			end = storage.End{Kind: storage.More}
		}
	}
	if err != nil {
		return from, storage.End{}, err
	}
	return from, end, nil
}

func (l *log) Seek(ctx context.Context, id storage.Shard, at record.Millis) (record.Position, error) {
	s := (*Store)(l)
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	sh, err := s.find(id)
	if err != nil {
		return 0, err
	}
	for {
		sh.mu.Lock()
		oldest, end, highest := sh.seen.oldest(), sh.seen.end(), sh.seen.highest
		deleted := sh.seen.deleted
		sh.mu.Unlock()
		if deleted {
			return 0, storage.ErrNotFound
		}
		if at > highest || oldest >= end {
			return end, nil
		}
		from, err := s.lastBefore(sh.id, at)
		if err != nil {
			return 0, err
		}
		from = max(from, oldest)
		found := end
		stop, err := s.walk(ctx, sh, from, func(b *block) (bool, error) {
			if b.first >= end {
				return false, nil // arrived after look
			}
			pos, ok, err := b.seek(from, at)
			if err != nil {
				return false, s.readError(fmt.Errorf("%w: %w", storage.ErrCorrupt, err), id, b.first)
			}
			if ok {
				found = pos
			}
			return !ok, nil
		})
		if err != nil {
			return 0, err
		}
		if stop.Kind != storage.Trimmed { // else trimmed meanwhile: look again
			return found, nil
		}
	}
}

// lastBefore returns a position from the time index such that every record before it arrived before at.
func (s *Store) lastBefore(id storage.Shard, at record.Millis) (record.Position, error) {
	it, err := s.rows(&crdb.IterOptions{
		LowerBound: shardKey(tableTimes, id), UpperBound: after(shardKey(tableTimes, id)),
	})
	if err != nil {
		return 0, s.readError(err, id, 0)
	}
	defer it.Close()
	if !it.SeekLT(timeKey(id, at+1)) {
		return 0, s.readError(it.Error(), id, 0)
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return 0, s.readError(err, id, 0)
	}
	if len(value) != 8 {
		return 0, s.readError(fmt.Errorf("%w: time index entry of %d bytes", storage.ErrCorrupt, len(value)), id, 0)
	}
	return record.Position(binary.LittleEndian.Uint64(value)), nil
}
