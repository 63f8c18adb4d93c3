package pebble

import (
	"encoding/binary"
	"fmt"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// inspected is a shard whose blocks and index entries are read side by side.
type inspected struct {
	id     storage.Shard
	state  shardState
	blocks *rows
	times  *rows
	block  *block          // where the shard stands; nil: at its end
	next   record.Position // behind the last readable block
	newest record.Millis   // the latest arrival so far
	broken bool            // a block could not be read: what lies near it says nothing
}

// group checks shards that share a counter. Their blocks are visited in the order of their positions: each follows
// the one before, in whichever shard that is.
func (c *inspector) group(five []*inspected) (err error) {
	for _, sh := range five {
		sh.newest = noTime
		lo := shardKey(tableBlocks, sh.id)
		if sh.blocks, err = c.s.rows(&crdb.IterOptions{LowerBound: lo, UpperBound: after(lo)}); err != nil {
			return err
		}
		defer sh.blocks.Close()
		lo = shardKey(tableTimes, sh.id)
		if sh.times, err = c.s.rows(&crdb.IterOptions{LowerBound: lo, UpperBound: after(lo)}); err != nil {
			return err
		}
		defer sh.times.Close()
		sh.times.First()
		c.advance(sh, sh.blocks.First())
	}
	counter := five[0].state.first // the next position, as far as the blocks tell
	for _, sh := range five {
		counter = min(counter, sh.state.first)
	}
	for c.ctx.Err() == nil {
		var sh *inspected
		for _, other := range five {
			if other.block != nil && (sh == nil || other.block.first < sh.block.first) {
				sh = other
			}
		}
		if sh == nil {
			break
		}
		b := sh.block
		switch {
		case b.first < counter:
			c.found(
				shardName(sh.id), "its records %d to %d have positions that were given to others before", b.first,
				min(counter, b.next())-1,
			)
		case b.first > counter && !explained(five, counter, b.first):
			c.found(
				shardName(sh.id), "records are missing before position %d: none of the five shards that share its counter has %d to %d",
				b.first, counter, b.first-1,
			)
		}
		counter = max(counter, b.next())
		c.inspect(sh, b)
		c.advance(sh, sh.blocks.Next())
	}
	for _, sh := range five {
		c.ended(sh)
	}
	return c.ctx.Err()
}

// explained reports whether positions from from up to to may belong to no block that is left: a shard that begins
// behind them, records that a trim has hidden, a block that cannot be read.
func explained(five []*inspected, from, to record.Position) bool {
	for _, sh := range five {
		if sh.broken || sh.state.trim >= to || sh.state.first > from && sh.state.first <= to {
			return true
		}
	}
	return false
}

// advance decodes the block at which the rows of sh stand; what is unreadable is a finding.
func (c *inspector) advance(sh *inspected, ok bool) {
	for sh.block = nil; ok; ok = sh.blocks.Next() {
		first, whole := placeOf(sh.blocks.Key())
		if !whole {
			continue // orphans names it
		}
		b, err := sh.readBlock(record.Position(first))
		if err == nil {
			sh.block = b
			return
		}
		sh.broken = true
		c.found(shardName(sh.id), "the block at position %d cannot be read: %v", first, err)
	}
	if err := sh.blocks.Error(); err != nil {
		sh.broken = true
		c.found(shardName(sh.id), "its records cannot be read to their end: %v", firstLine{err})
	}
}

func (sh *inspected) readBlock(first record.Position) (*block, error) {
	value, err := sh.blocks.ValueAndErr()
	if err != nil {
		return nil, firstLine{err}
	}
	b, err := openBlock(first, append([]byte(nil), value...))
	if err != nil {
		return nil, err
	}
	last := b.firstArrival
	for i := range b.count {
		r, err := b.record(i)
		if err != nil {
			return nil, err
		}
		if r.Arrival < last || r.Arrival > b.lastArrival {
			return nil, fmt.Errorf("%w: the arrival of record %d lies outside of its place", errBlock, i)
		}
		last = r.Arrival
	}
	return b, nil
}

// inspect compares a block with the state of its shard and with the index.
func (c *inspector) inspect(sh *inspected, b *block) {
	c.contents.Blocks++
	c.contents.Records += int64(b.count)
	c.contents.Bytes += int64(len(b.bytes))
	if b.first < sh.state.first {
		c.found(shardName(sh.id), "it begins at %d, and has a record at %d", sh.state.first, b.first)
	}
	if b.next()-1 <= sh.state.last && b.lastArrival > sh.state.highest {
		c.found(
			shardName(sh.id), "its state says that nothing up to %d arrived after %d, and the record at %d arrived at %d",
			sh.state.last, sh.state.highest, b.next()-1, b.lastArrival,
		)
	}
	c.entries(sh, b.first, b)
	sh.next = b.next()
	sh.newest = max(sh.newest, b.lastArrival)
}

// entries checks the index entries of sh up to position upTo, where b begins; nil: behind the last block.
func (c *inspector) entries(sh *inspected, upTo record.Position, b *block) {
	for ; sh.times.Valid(); sh.times.Next() {
		arrival, whole := placeOf(sh.times.Key())
		value, err := sh.times.ValueAndErr()
		if !whole {
			continue // orphans names it
		}
		if err != nil || len(value) != 8 {
			c.found(shardName(sh.id), "the index entry for %d cannot be read", arrival)
			continue
		}
		at, pos := record.Millis(arrival), record.Position(binary.LittleEndian.Uint64(value))
		if pos > upTo {
			return
		}
		switch {
		case b != nil && pos == upTo && b.firstArrival == at && sh.newest < at:
		case b != nil && pos == upTo && b.firstArrival == at:
			c.found(
				shardName(sh.id), "the index says that all records below %d arrived before %d, and one arrived at %d", pos, at,
				sh.newest,
			)
		case pos < max(sh.state.trim, sh.state.first) || sh.broken: // its block is gone
		default:
			c.found(shardName(sh.id), "the index has an entry for %d at position %d, where no such block begins", at, pos)
		}
	}
}

// ended checks what is left of a shard behind its last block.
func (c *inspector) ended(sh *inspected) {
	c.entries(sh, record.MaxPosition, nil)
	if err := sh.times.Error(); err != nil {
		c.found(shardName(sh.id), "its index cannot be read to its end: %v", firstLine{err})
	}
	if end := max(sh.next, sh.state.trim, sh.state.first); sh.state.last >= end && !sh.broken {
		c.found(
			shardName(sh.id), "its newest records are missing: its state says that it ends at %d, and the last one is at %d",
			sh.state.last, end-1,
		)
	}
}
