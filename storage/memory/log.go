package memory

import (
	"context"
	"fmt"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/internal/wake"
)

// log is the Store seen as a storage.Log.
type log Store

func (l *log) Create(ctx context.Context, id storage.Shard, first record.Position) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if first > record.MaxPosition {
		return fmt.Errorf(
			"storage: create %s of stream %d: first position %d is above %d", id.Index, id.Stream, first,
			record.MaxPosition,
		)
	}
	s := (*Store)(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	g := s.groups[idOf(id)]
	if g == nil {
		g = new(group)
		if s.groups == nil {
			s.groups = make(map[groupID]*group)
		}
		s.groups[idOf(id)] = g
	}
	if g.shards[id.Index%groupSize] != nil {
		return storage.ErrExists
	}
	first = max(first, 1)
	g.last = max(g.last, first-1)
	g.shards[id.Index%groupSize] = &shard{oldest: first, end: first}
	return nil
}

func (l *log) Acquire(ctx context.Context, id storage.Shard) (storage.Writer, record.Position, error) {
	var w storage.Writer
	var end record.Position
	err := l.change(ctx, id, func(_ *Store, sh *shard) bool {
		sh.epoch++
		w, end = storage.Writer{Shard: id, Epoch: sh.epoch}, sh.end
		return false
	})
	return w, end, err
}

// change runs f with exclusive use of the shard; f reports whether waiting readers must look again.
func (l *log) change(ctx context.Context, id storage.Shard, f func(*Store, *shard) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := (*Store)(l)
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, sh, err := s.find(id)
	if err != nil {
		return err
	}
	g.mu.Lock()
	changed := f(s, sh)
	g.mu.Unlock()
	if changed {
		sh.changed.Fire()
	}
	return nil
}

func (l *log) Append(ctx context.Context, batches []storage.Batch) []error {
	errs := make([]error, len(batches))
	s := (*Store)(l)
	s.mu.RLock()
	defer s.mu.RUnlock()
	canceled := ctx.Err()
	for i := range batches {
		if canceled != nil {
			errs[i] = canceled
			continue
		}
		errs[i] = s.append(&batches[i])
	}
	return errs
}

func (s *Store) append(b *storage.Batch) error {
	g, sh, err := s.find(b.Writer.Shard)
	if err != nil {
		return err
	}
	total := 0
	for i := range b.Records {
		total += sizeOf(&b.Records[i])
	}
	need := int64(total) + int64(len(b.Records))*entryBytes

	g.mu.Lock()
	n := record.Position(len(b.Records))
	switch {
	case b.Writer.Epoch != sh.epoch || sh.epoch == 0:
		err = storage.ErrFenced
	case sh.closed:
		err = storage.ErrShardClosed
	case n == 0:
	case s.used.Load()+s.local.bytes.Load()+need > s.limit():
		err = storage.ErrFull
	case n > record.MaxPosition-g.last:
		err = fmt.Errorf(
			"storage: append to %s of stream %d: positions are used up", b.Writer.Shard.Index, b.Writer.Shard.Stream,
		)
	default:
		sh.append(b.Records, total, g.last+1, max(s.now(), sh.sealed), &s.used)
		g.last += n
	}
	g.mu.Unlock()
	if err == nil && n > 0 {
		sh.changed.Fire()
	}
	return err
}

// piece is a run of records that Scan visits without the lock.
type piece struct {
	chunk
	from int
}

func (l *log) Scan(
	ctx context.Context, id storage.Shard, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	var room [8]piece
	from = max(from, 1)
	records, bytes := 0, 0
	for {
		pieces, end, err := l.pieces(ctx, id, from, limit, room[:0])
		if err != nil {
			return from, storage.End{}, err
		}
		if end.Kind == storage.Trimmed && records > 0 {
			return from, storage.End{Kind: storage.More}, nil // trimmed during the read: the next Scan says so
		}
		for p := range pieces {
			c := &pieces[p]
			for i := c.from; i < len(c.entries); i++ {
				r := c.record(i)
				if records > 0 &&
					(limit.Records > 0 && records >= limit.Records || limit.Bytes > 0 && bytes+r.Size() > limit.Bytes) {
					return from, storage.End{Kind: storage.More}, nil
				}
				visit(r)
				records++
				bytes += r.Size()
				from = r.Pos + 1
			}
		}
		if end.Kind != storage.More {
			return from, end, nil
		}
	}
}

// pieces returns about as many records as limit allows, beginning at from. End is More when others follow.
func (l *log) pieces(ctx context.Context, id storage.Shard, from record.Position, limit storage.Limit, pieces []piece) (
	[]piece, storage.End, error,
) {
	if err := ctx.Err(); err != nil {
		return nil, storage.End{}, err
	}
	s := (*Store)(l)
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, sh, err := s.find(id)
	if err != nil {
		return nil, storage.End{}, err
	}
	g.mu.Lock() // exclusive: it may move sealed
	defer g.mu.Unlock()
	if from < sh.oldest && sh.trimmed {
		return nil, storage.End{Kind: storage.Trimmed, Oldest: sh.oldest}, nil
	}
	c, e := sh.from(from)
	records, bytes := 0, 0
	for ; c < len(sh.chunks); c, e = c+1, 0 {
		if limit.Records > 0 && records > limit.Records || limit.Bytes > 0 && bytes > limit.Bytes ||
			len(pieces) == cap(pieces) {
			return pieces, storage.End{Kind: storage.More}, nil
		}
		pieces = append(pieces, piece{*sh.chunks[c], e})
		records += len(sh.chunks[c].entries) - e
		bytes += len(sh.chunks[c].bytes) - int(sh.chunks[c].entries[e].offset)
	}
	if sh.closed {
		return pieces, storage.End{Kind: storage.ShardEnd}, nil
	}
	sh.sealed = max(sh.sealed, s.now())
	return pieces, storage.End{Kind: storage.Tail, Sealed: sh.sealed}, nil
}

func (l *log) Seek(ctx context.Context, id storage.Shard, at record.Millis) (pos record.Position, err error) {
	err = l.look(ctx, id, func(sh *shard) { pos = sh.seek(at) })
	return pos, err
}

func (l *log) Bounds(ctx context.Context, id storage.Shard) (oldest, end record.Position, closed bool, err error) {
	err = l.look(ctx, id, func(sh *shard) { oldest, end, closed = sh.oldest, sh.end, sh.closed })
	return oldest, end, closed, err
}

// look runs f while the shard cannot change.
func (l *log) look(ctx context.Context, id storage.Shard, f func(*shard)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := (*Store)(l)
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, sh, err := s.find(id)
	if err != nil {
		return err
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	f(sh)
	return nil
}

func (l *log) Close(ctx context.Context, id storage.Shard) (last record.Position, err error) {
	err = l.change(ctx, id, func(_ *Store, sh *shard) bool {
		sh.closed = true
		last = sh.last
		return true
	})
	return last, err
}

func (l *log) Trim(ctx context.Context, id storage.Shard, before record.Position) error {
	return l.change(ctx, id, func(s *Store, sh *shard) bool {
		return sh.trim(before, &s.used)
	})
}

func (l *log) Delete(ctx context.Context, stream uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := (*Store)(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	for id, g := range s.groups {
		if id.stream != stream {
			continue
		}
		delete(s.groups, id)
		for _, sh := range g.shards {
			if sh == nil {
				continue
			}
			for _, c := range sh.chunks {
				s.used.Add(-c.size())
			}
			sh.changed.Fire()
		}
	}
	return nil
}

func (l *log) Changed(id storage.Shard) <-chan struct{} {
	s := (*Store)(l)
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, sh, err := s.find(id)
	if err != nil {
		return wake.Now
	}
	return sh.changed.Wait()
}
