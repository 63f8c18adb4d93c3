package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Contents is what was found in a store.
type Contents struct {
	Shards  int64           `json:"shards"`
	Kept    []storage.Shard `json:"-"` // those that have a state
	Blocks  int64           `json:"blocks"`
	Records int64           `json:"records"` // also those that a trim has hidden, if they are still there
	Bytes   int64           `json:"bytes"`   // of blocks
	Values  int64           `json:"values"`  // of Coord and Local
}

// inspector reads everything, and tells what is wrong.
type inspector struct {
	s        *Store
	ctx      context.Context
	tell     func(Finding)
	contents Contents
	revision storage.Revision // the last that was given out
}

// Check reads every table, block, index entry and value, verifies all checksums, and compares what must agree:
// positions have no holes and belong to one shard, the index fits the blocks, shard states fit their records. tell is
// called for each finding. An error means that the check did not come to its end.
func (i *Inspection) Check(ctx context.Context, tell func(Finding)) (Contents, error) {
	for _, f := range i.lost {
		tell(f)
	}
	if i.Empty() {
		return Contents{}, nil
	}
	s := i.s
	if err := s.enter(ctx); err != nil {
		return Contents{}, err
	}
	defer s.leave()
	c := &inspector{s: s, ctx: ctx, tell: tell}
	for _, step := range []func() error{c.levels, c.store, c.shards, c.values, c.strays} {
		if err := step(); err != nil {
			return c.contents, err
		}
	}
	return c.contents, nil
}

// levels has the database check the order of its own tables.
func (c *inspector) levels() error {
	err := func() (err error) {
		defer contain(&err)
		return c.s.db.CheckLevels(nil)
	}()
	if err != nil {
		c.found("the tables of the database", "%v", firstLine{err})
	}
	return c.ctx.Err()
}

func (c *inspector) found(where, format string, args ...any) {
	c.tell(Finding{where, fmt.Sprintf(format, args...)})
}

// store checks the format and reads the revision counter.
func (c *inspector) store() error {
	_, closer, err := c.s.get(formatKey)
	switch {
	case err == nil:
		_ = closer.Close()
	case errors.Is(err, crdb.ErrNotFound):
		if found, err := anything(c.s.db); err != nil || found { // else a crash came before the first change
			c.found("the format version", "it is missing: a log of the store was deleted or lost")
		}
	default:
		c.found("the format version", "%v", firstLine{err})
	}
	b, closer, err := c.s.get(revisionKey)
	switch {
	case errors.Is(err, crdb.ErrNotFound):
	case err != nil:
		c.found("the revision counter", "%v", firstLine{err})
	default:
		if len(b) == revisionBytes {
			c.revision = storage.Revision(binary.LittleEndian.Uint64(b))
		} else {
			c.found("the revision counter", "it has %d bytes, not %d", len(b), revisionBytes)
		}
		_ = closer.Close()
	}
	return nil
}

// values checks the revisions of small values and reads what companions keep.
func (c *inspector) values() error {
	err := c.each([]byte{tableCoord}, []byte{tableCoord + 1}, func(key, value []byte) {
		c.contents.Values++
		e, err := decodeValue(string(key[1:]), value)
		switch {
		case err != nil:
			c.found(fmt.Sprintf("the value %q", key[1:]), "%d bytes are no value", len(value))
		case e.Revision == 0 || e.Revision > c.revision:
			c.found(
				fmt.Sprintf("the value %q", key[1:]), "its revision is %d, and the last one given out was %d", e.Revision,
				c.revision,
			)
		}
	})
	if err != nil {
		return err
	}
	return c.each([]byte{tableLocal}, []byte{tableLocal + 1}, func([]byte, []byte) { c.contents.Values++ })
}

// strays finds keys in tables that nobody reads. A newer program would have raised the format.
func (c *inspector) strays() error {
	at := byte(0)
	for _, table := range []byte{tableStore, tableBlocks, tableTimes, tableShards, tableCoord, tableLocal} {
		stray := 0
		if err := c.each([]byte{at}, []byte{table}, func([]byte, []byte) { stray++ }); err != nil {
			return err
		}
		if stray > 0 {
			c.found(fmt.Sprintf("tables %02x to %02x", at, table-1), "%d keys lie there that nothing refers to", stray)
		}
		at = table + 1
	}
	return nil
}

// each visits the rows of [lo, hi). Rows that cannot be read are findings; what follows an unreadable table is not
// visited.
func (c *inspector) each(lo, hi []byte, visit func(key, value []byte)) error {
	it, err := c.s.rows(&crdb.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return err
	}
	defer it.Close()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%1024 == 0 && c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		value, err := it.ValueAndErr()
		if err != nil {
			c.found(fmt.Sprintf("the key %x", it.Key()), "its value cannot be read: %v", firstLine{err})
			continue
		}
		visit(it.Key(), value)
	}
	if err := it.Error(); err != nil {
		c.found(fmt.Sprintf("the keys %x to %x", lo, hi), "they cannot be read to their end: %v", firstLine{err})
	}
	return c.ctx.Err()
}

// shards checks shard states with their records, five by five.
func (c *inspector) shards() error {
	known := map[storage.Shard]bool{}
	var at groupID
	var five []*inspected
	flush := func() error {
		if len(five) == 0 {
			return nil
		}
		err := c.group(five)
		five = five[:0]
		return err
	}
	var states []*inspected
	err := c.each([]byte{tableShards}, []byte{tableShards + 1}, func(key, value []byte) {
		if len(key) != shardKeyBytes {
			c.found(fmt.Sprintf("the key %x", key), "it names no shard")
			return
		}
		id := storage.Shard{
			Stream: binary.BigEndian.Uint32(key[1:]), Index: record.ShardID(binary.BigEndian.Uint32(key[5:])),
		}
		known[id] = true
		st, err := decodeState(value)
		if err != nil {
			c.found(shardName(id), "%v", err)
			return
		}
		states = append(states, &inspected{id: id, state: st})
	})
	if err != nil {
		return err
	}
	for _, sh := range states {
		if g := idOf(sh.id); g != at {
			if err := flush(); err != nil {
				return err
			}
			at = g
		}
		five = append(five, sh)
	}
	if err := flush(); err != nil {
		return err
	}
	c.contents.Shards, c.contents.Kept = int64(len(known)), slices.Collect(maps.Keys(known))
	return c.orphans(known)
}

// orphans finds records and index entries of shards that have no state.
func (c *inspector) orphans(known map[storage.Shard]bool) error {
	for _, table := range []struct {
		id   byte
		what string
	}{{tableBlocks, "records"}, {tableTimes, "index entries"}} {
		it, err := c.s.rows(&crdb.IterOptions{LowerBound: []byte{table.id}, UpperBound: []byte{table.id + 1}})
		if err != nil {
			return err
		}
		for ok := it.First(); ok && c.ctx.Err() == nil; {
			key := append([]byte(nil), it.Key()...)
			if len(key) != placeKeyBytes {
				c.found(fmt.Sprintf("the key %x", key), "it names no place in a shard")
				ok = it.Next()
				continue
			}
			id := storage.Shard{
				Stream: binary.BigEndian.Uint32(key[1:]), Index: record.ShardID(binary.BigEndian.Uint32(key[5:])),
			}
			if !known[id] {
				c.found(shardName(id), "there are %s of it, and no state", table.what)
			}
			ok = it.SeekGE(after(shardKey(table.id, id)))
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			c.found(fmt.Sprintf("table %02x", table.id), "it cannot be read to its end: %v", firstLine{err})
		}
	}
	return c.ctx.Err()
}

func shardName(id storage.Shard) string { return fmt.Sprintf("%s of stream %d", id.Index, id.Stream) }
