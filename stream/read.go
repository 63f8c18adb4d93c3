package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// StartKind says where a reader begins.
type StartKind uint8

// Where a reader begins.
const (
	TrimHorizon StartKind = iota + 1 // the oldest readable record
	Latest                           // the first record committed after the call
	AtTimestamp                      // the first record, in order, that arrived at or after Start.At
)

// Start is where a reader begins. At counts only for AtTimestamp.
type Start struct {
	Kind StartKind
	At   record.Millis
}

// Resolve returns the position at which a reader with this start begins, fixed at the call: for Latest, a record
// committed later is read even if the reader comes much later. Fault: ResourceNotFoundException.
func (s *Streams) Resolve(ctx context.Context, id uint32, shard record.ShardID, start Start) (record.Position, error) {
	sn, sh, err := s.live(ctx, id, shard)
	if err != nil {
		return 0, err
	}
	return s.resolve(ctx, sn, sh, start)
}

func (s *Streams) resolve(ctx context.Context, sn *snapshot, sh *shard, start Start) (pos record.Position, err error) {
	switch start.Kind {
	case Latest:
		_, pos, _, err = s.log.Bounds(ctx, sh.key)
	case AtTimestamp:
		pos, err = s.log.Seek(ctx, sh.key, start.At)
	case TrimHorizon:
		pos, _, _, err = s.log.Bounds(ctx, sh.key)
	default:
		return 0, fmt.Errorf("resolve: unknown kind of start %d", start.Kind)
	}
	if err != nil {
		return 0, s.readFault(sn.info.Name, sh.key.Index, err)
	}
	oldest, err := s.horizonOf(ctx, sn, sh, s.now())
	if err != nil {
		return 0, s.readFault(sn.info.Name, sh.key.Index, err)
	}
	return max(pos, oldest, 1), nil
}

// Tip returns the position that the next record of a shard gets, and whether the shard is closed, so that none does.
// Fault: ResourceNotFoundException when the stream is gone or the shard expired.
func (s *Streams) Tip(ctx context.Context, id uint32, shard record.ShardID) (record.Position, bool, error) {
	sn, sh, err := s.live(ctx, id, shard)
	if err != nil {
		return 0, false, err
	}
	_, next, closed, err := s.log.Bounds(ctx, sh.key)
	if err != nil {
		return 0, false, s.readFault(sn.info.Name, shard, err)
	}
	oldest, err := s.horizonOf(ctx, sn, sh, s.now())
	if err != nil {
		return 0, false, s.readFault(sn.info.Name, shard, err)
	}
	return max(next, oldest, 1), closed, nil
}

// live finds a readable shard by its numbers.
func (s *Streams) live(ctx context.Context, id uint32, shard record.ShardID) (*snapshot, *shard, error) {
	sn, ok, err := s.byNumber(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, nil, fault.New(codeNotFound, "Shard %s of the stream with id %d does not exist", shard, id)
	}
	sh, ok := sn.live(shard, s.now())
	if !ok {
		return nil, nil, s.shardMissing(sn.info.Name, shard)
	}
	return sn, sh, nil
}

// Read visits the records of a shard from position from on, in order and without holes, up to limit (a zero field means
// no bound; at least one record is visited if there is one). Only durable records inside the retention period are
// visited; their Key and Data stay valid and must not be changed. end says why it stopped: More, Tail, ShardEnd (by
// then Lookup lists the children), or Trimmed if records at or after from have expired: then nothing was visited, and
// reading continues at end.Oldest. Fault: ResourceNotFoundException when the stream is gone or the shard expired.
func (s *Streams) Read(
	ctx context.Context, id uint32, shard record.ShardID, from record.Position, limit storage.Limit,
	visit func(record.Record),
) (record.Position, storage.End, error) {
	sn, sh, err := s.live(ctx, id, shard)
	if err != nil {
		return from, storage.End{}, err
	}
	next, end, err := s.read(ctx, sn, sh, from, limit, visit)
	if err != nil {
		return from, storage.End{}, s.readFault(sn.info.Name, shard, err)
	}
	if end.Kind == storage.ShardEnd && !s.endKnown(id, shard) {
		// Storage has closed the shard, but the reshard has not committed the children yet: until then the shard looks
		// open. Changed waits for that commit.
		end = storage.End{Kind: storage.Tail}
	}
	return next, end, nil
}

// Poll is Read, and counts in the stream's GetRecords metrics, as the reads of clients do.
func (s *Streams) Poll(
	ctx context.Context, id uint32, shard record.ShardID, from record.Position, limit storage.Limit,
	visit func(record.Record),
) (record.Position, storage.End, error) {
	if s.meters.store == nil {
		return s.Read(ctx, id, shard, from, limit, visit)
	}
	got := reading{began: time.Now()}
	next, end, err := s.Read(ctx, id, shard, from, limit, func(r record.Record) {
		got.saw(&r)
		visit(r)
	})
	if ctx.Err() == nil {
		if sn, ok, found := s.byNumber(ctx, id); ok && found == nil {
			s.measureRead(sn, shard, &got, err)
		}
	}
	return next, end, err
}

// read is Read without the check of a shard's end. If the first record it meets is young enough, nothing before it can
// be hidden, and the trim horizon need not be computed: readers at the tip pay nothing for retention.
func (s *Streams) read(
	ctx context.Context, sn *snapshot, sh *shard, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	now := s.now()
	at := sn.trimHorizon(now)
	first, old := record.Position(0), false
	next, end, err := s.log.Scan(ctx, sh.key, from, limit, func(r record.Record) {
		if first == 0 {
			first, old = r.Pos, r.Arrival < at
		}
		if !old {
			visit(r)
		}
	})
	if err != nil || !old {
		return next, end, err
	}
	oldest, err := s.horizonOf(ctx, sn, sh, now)
	if err != nil {
		return from, storage.End{}, err
	}
	if first < oldest {
		return from, storage.End{Kind: storage.Trimmed, Oldest: oldest}, nil
	}
	// its arrival stepped back: the record before it is readable, and so is this one
	return s.log.Scan(ctx, sh.key, from, limit, visit)
}

// endKnown reports whether the metadata says that a shard is closed, and so names its children.
func (s *Streams) endKnown(id uint32, shard record.ShardID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := s.byID[id]
	return st != nil && st.snap.Load().info.Shards[shard].Closed != 0
}

// Changed returns a channel that is closed at the next append, close or trim of the shard, when its end becomes known,
// or when its stream is deleted. Take it before Read. Spurious wake-ups are allowed, lost ones never.
func (s *Streams) Changed(id uint32, shard record.ShardID) <-chan struct{} {
	s.mu.RLock()
	st := s.byID[id]
	s.mu.RUnlock()
	if st == nil {
		return closedChannel
	}
	sn := st.snap.Load()
	if int64(shard) >= int64(len(sn.shards)) {
		return closedChannel
	}
	key := storage.Shard{Stream: id, Index: shard}
	changed := s.log.Changed(key)
	if sn.info.Shards[shard].Closed == 0 {
		if _, _, closed, err := s.log.Bounds(context.Background(), key); err == nil && closed {
			return sn.changed // a reshard has closed it, and the log will not change again
		}
	}
	return changed
}

// readFault returns the fault for a storage error of a read.
func (s *Streams) readFault(name Name, shard record.ShardID, err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return s.shardMissing(name, shard)
	}
	return fmt.Errorf("read %s of %s: %w", shard, name, err)
}
