package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// find returns a shard, reading it from the database when it is first used.
func (s *Store) find(id storage.Shard) (*shard, error) {
	g, err := s.group(id)
	if err != nil {
		return nil, err
	}
	g.mu.RLock()
	sh := g.shards[id.Index%groupSize]
	g.mu.RUnlock()
	if sh == nil {
		return nil, storage.ErrNotFound
	}
	return sh, nil
}

// group returns the five shards around id, loaded.
func (s *Store) group(id storage.Shard) (*group, error) {
	s.mu.RLock()
	g := s.groups[idOf(id)]
	_, dying := s.dying[id.Stream]
	s.mu.RUnlock()
	if dying {
		return nil, storage.ErrNotFound
	}
	if g == nil {
		s.mu.Lock()
		if _, dying := s.dying[id.Stream]; dying {
			s.mu.Unlock()
			return nil, storage.ErrNotFound
		}
		if g = s.groups[idOf(id)]; g == nil {
			g = new(group)
			s.groups[idOf(id)] = g
		}
		s.mu.Unlock()
	}
	g.load.Lock()
	defer g.load.Unlock()
	if g.gone {
		return nil, storage.ErrNotFound
	}
	if !g.loaded {
		if err := s.load(g, idOf(id)); err != nil {
			return nil, err
		}
		g.known = g.shards
		g.loaded = true
	}
	return g, nil
}

// load reads the five shards of g. Nothing can be writing them: writers load first.
func (s *Store) load(g *group, id groupID) error {
	first := storage.Shard{Stream: id.stream, Index: id.index * groupSize}
	lo := shardKey(tableShards, first)
	it, err := s.rows(&crdb.IterOptions{LowerBound: lo})
	if err != nil {
		return s.readError(err, first, 0)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) != shardKeyBytes || it.Key()[0] != tableShards ||
			binary.BigEndian.Uint32(it.Key()[1:]) != id.stream {
			break
		}
		index := record.ShardID(binary.BigEndian.Uint32(it.Key()[5:]))
		if index/groupSize != id.index {
			break
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return s.readError(err, first, 0)
		}
		sh, err := s.loadShard(g, storage.Shard{Stream: id.stream, Index: index}, value)
		if err != nil {
			return err
		}
		g.shards[index%groupSize] = sh
		g.last = max(g.last, sh.state.last, sh.state.first-1)
	}
	if err := it.Error(); err != nil {
		return s.readError(err, first, 0)
	}
	return nil
}

func (s *Store) loadShard(g *group, id storage.Shard, value []byte) (*shard, error) {
	st, err := decodeState(value)
	if err != nil {
		return nil, s.readError(fmt.Errorf("%w: %w", storage.ErrCorrupt, err), id, 0)
	}
	st.epoch++ // writers from before this opening are fenced
	b, err := s.lastBlock(id)
	var bad *damaged
	switch {
	case errors.As(err, &bad): // the shard and its four neighbours go on behind all that the block may have held
		s.log.Error("the newest records of a shard cannot be read; it goes on behind them", "err", err)
		st.last = max(st.last, min(bad.first+maxBlockRecords, record.MaxPosition))
		st.highest = max(st.highest, record.MillisOf(s.clock.Now()))
	case err != nil:
		return nil, err
	case b != nil:
		st.last = max(st.last, b.next()-1)
		st.highest = max(st.highest, b.lastArrival)
	}
	indexed, err := s.indexedBy(id, math.MaxInt64-1)
	if err != nil {
		return nil, err
	}
	if indexed != noTime {
		// records between that entry and the last block have no entries
		st.highest = max(st.highest, indexed+999)
	}
	return newShard(id, g, st, indexed), nil
}

func (s *Store) lastBlock(id storage.Shard) (*block, error) {
	lo := shardKey(tableBlocks, id)
	it, err := s.rows(&crdb.IterOptions{LowerBound: lo, UpperBound: after(lo)})
	if err != nil {
		return nil, s.readError(err, id, 0)
	}
	defer it.Close()
	if !it.Last() {
		return nil, s.readError(it.Error(), id, 0)
	}
	return s.blockAt(it, id)
}

// maxBlockRecords bounds the records in one block: each takes more than these four bytes.
const maxBlockRecords = blockTarget / 4

// damaged is the error of a block whose place is known but which cannot be read.
type damaged struct {
	first record.Position
	err   error
}

func (d *damaged) Error() string { return d.err.Error() }
func (d *damaged) Unwrap() error { return d.err }

// blockAt copies the block at which it stands. *damaged: there is one, and it is corrupt.
func (s *Store) blockAt(it *rows, id storage.Shard) (*block, error) {
	first, ok := placeOf(it.Key())
	if !ok {
		return nil, s.readError(fmt.Errorf("%w: key %x", storage.ErrCorrupt, it.Key()), id, 0)
	}
	value, err := it.ValueAndErr()
	if err == nil {
		var b *block
		if b, err = openBlock(record.Position(first), append([]byte(nil), value...)); err == nil {
			return b, nil
		}
		err = fmt.Errorf("%w: %w", storage.ErrCorrupt, err)
	}
	if err = s.readError(err, id, record.Position(first)); errors.Is(err, storage.ErrCorrupt) {
		err = &damaged{record.Position(first), err}
	}
	return nil, err
}

// indexedBy returns the arrival of the newest time index entry at or before at; noTime without one.
func (s *Store) indexedBy(id storage.Shard, at record.Millis) (record.Millis, error) {
	lo := shardKey(tableTimes, id)
	it, err := s.rows(&crdb.IterOptions{LowerBound: lo, UpperBound: after(lo)})
	if err != nil {
		return noTime, s.readError(err, id, 0)
	}
	defer it.Close()
	if !it.SeekLT(timeKey(id, at+1)) {
		return noTime, s.readError(it.Error(), id, 0)
	}
	found, _ := placeOf(it.Key())
	return record.Millis(found), nil
}

// readError adds to err where reading failed and what to do; pos 0: no position is known. nil stays nil.
func (s *Store) readError(err error, id storage.Shard, pos record.Position) error {
	if err == nil {
		return nil
	}
	if isDamage(err) && !errors.Is(err, storage.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", storage.ErrCorrupt, firstLine{err})
	}
	place := fmt.Sprintf("read %s of stream %d", id.Index, id.Stream)
	if pos > 0 {
		place += fmt.Sprintf(" at position %d", pos)
	}
	if errors.Is(err, storage.ErrCorrupt) {
		advice := fmt.Sprintf("check the disk, then restore %s from a backup", s.dir)
		if pos > 0 {
			advice += "; without one, these records are lost: read on behind them with a later AT_TIMESTAMP, until retention removes this place"
		}
		return fmt.Errorf("%s: %w; %s", place, err, advice)
	}
	return fmt.Errorf("%s: %w", place, err)
}
