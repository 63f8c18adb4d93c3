package pebble

import (
	"bytes"
	"context"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// trimming hides records. It comes before purging, in a commit of its own: a reader that still sees the records must
// find them.
type trimming struct {
	shardChange
	before record.Position
}

func (l *log) Trim(ctx context.Context, id storage.Shard, before record.Position) error {
	s := (*Store)(l)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	sh, err := s.find(id)
	if err != nil {
		return err
	}
	sh.mu.Lock()
	oldest, end, deleted := sh.seen.oldest(), sh.seen.end(), sh.seen.deleted
	sh.mu.Unlock()
	if deleted {
		return storage.ErrNotFound
	}
	before = min(before, end)
	if before <= oldest {
		return nil
	}
	hides, err := s.hides(ctx, sh, oldest, before)
	if err != nil || !hides {
		return err
	}
	op := &trimming{shardChange: shardChange{shard: sh}, before: before}
	if err := s.submit(ctx, op, 0); err != nil || op.err != nil {
		return firstError(err, op.err)
	}
	return s.purge(ctx, sh)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// hides reports whether there is a record from oldest up to before.
func (s *Store) hides(ctx context.Context, sh *shard, oldest, before record.Position) (bool, error) {
	it, err := s.rows(&crdb.IterOptions{LowerBound: shardKey(tableBlocks, sh.id), UpperBound: blockKey(sh.id, before)})
	if err != nil {
		return false, s.readError(err, sh.id, oldest)
	}
	defer it.Close()
	// The last block that begins below before either begins at oldest or later, or may reach beyond it. An unreadable
	// block counts as records: trimming is the way to get rid of it.
	if !it.Last() {
		return false, s.readError(it.Error(), sh.id, oldest)
	}
	b, err := s.blockAt(it, sh.id)
	if err != nil {
		return true, nil
	}
	return b.next() > oldest, nil
}

func (op *trimming) stage(c *commit) {
	if op.gone() {
		return
	}
	c.seal() // so that the state records the shard's end if all its blocks go
	if op.shard.state.trim < op.before {
		op.shard.state.trim = op.before
		c.writeState(op.shard)
		c.sync = true
	}
}

func (op *trimming) publish(*Store) {
	if op.err != nil {
		return
	}
	op.shard.mu.Lock()
	op.shard.seen.trim = max(op.shard.seen.trim, op.before)
	op.shard.mu.Unlock()
	op.shard.changed.Fire()
}

// purging deletes hidden blocks and their index entries. After a crash before it, the next trim deletes them.
type purging struct {
	shardChange
	blocks, times [2][]byte // from, to
}

// purge deletes the blocks that lie wholly below the trim.
func (s *Store) purge(ctx context.Context, sh *shard) error {
	sh.mu.Lock()
	trim := sh.seen.trim
	sh.mu.Unlock()
	it, err := s.rows(&crdb.IterOptions{LowerBound: shardKey(tableBlocks, sh.id), UpperBound: blockKey(sh.id, trim)})
	if err != nil {
		return s.readError(err, sh.id, trim)
	}
	defer it.Close()
	if !it.First() {
		return s.readError(it.Error(), sh.id, trim)
	}
	op := &purging{shardChange: shardChange{shard: sh}}
	op.blocks[0] = append([]byte(nil), it.Key()...)
	op.times[0] = timeKey(sh.id, 0)
	until := record.Millis(0)
	if !it.Last() {
		return s.readError(it.Error(), sh.id, trim)
	}
	first, _ := placeOf(it.Key())
	b, err := s.blockAt(it, sh.id)
	switch {
	case err != nil: // it goes once the trim reaches the next block
		op.blocks[1] = blockKey(sh.id, record.Position(first))
	case b.next() <= trim:
		op.blocks[1] = blockKey(sh.id, trim)
		until = b.lastArrival
	default:
		op.blocks[1] = blockKey(sh.id, b.first)
		until = b.firstArrival
	}
	// The newest entry at or before that stays: arrivals behind the very last entry have none of their own, and only
	// that entry bounds them at the next opening.
	if kept, err := s.indexedBy(sh.id, until); err != nil {
		return err
	} else if kept != noTime {
		op.times[1] = timeKey(sh.id, kept)
	}
	if bytes.Equal(op.blocks[0], op.blocks[1]) {
		return nil
	}
	return s.submit(ctx, op, 0)
}

// stage needs no sync: what it deletes is hidden already.
func (op *purging) stage(c *commit) {
	if op.shard.deleted {
		return
	}
	_ = c.batch.DeleteRange(op.blocks[0], op.blocks[1], nil) // fails only for indexed batches
	if bytes.Compare(op.times[0], op.times[1]) < 0 {
		_ = c.batch.DeleteRange(op.times[0], op.times[1], nil)
	}
}

func (op *purging) publish(*Store) {}

// deleting is a Delete on its way through the committer. Readers are told before the commit: they must not take the
// holes for damage.
type deleting struct {
	stream uint32
	groups map[groupID]*group
}

func (l *log) Delete(ctx context.Context, stream uint32) error {
	s := (*Store)(l)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	return s.submit(ctx, &deleting{stream: stream}, 0)
}

func (op *deleting) stage(c *commit) {
	c.seal()
	s := c.s
	op.groups = make(map[groupID]*group)
	s.mu.Lock()
	s.dying[op.stream] = struct{}{}
	for id, g := range s.groups {
		if id.stream == op.stream {
			op.groups[id] = g
		}
	}
	s.mu.Unlock()
	for _, g := range op.groups {
		g.load.Lock()
		g.gone = true
		g.load.Unlock()
		for _, sh := range g.known {
			if sh == nil {
				continue
			}
			sh.deleted = true
			sh.mu.Lock()
			sh.seen.deleted = true
			sh.seen.tail, sh.seen.recent = nil, nil
			sh.mu.Unlock()
		}
	}
	for _, table := range []byte{tableBlocks, tableTimes, tableShards} {
		lo, hi := streamKeys(table, op.stream)
		_ = c.batch.DeleteRange(lo, hi, nil) // fails only for indexed batches
	}
	c.sync, c.cut = true, true
}

func (op *deleting) publish(s *Store) {
	s.mu.Lock()
	delete(s.dying, op.stream)
	for id := range op.groups {
		delete(s.groups, id)
	}
	s.mu.Unlock()
	for _, g := range op.groups {
		for _, sh := range g.known {
			if sh != nil {
				sh.changed.Fire()
			}
		}
	}
}
