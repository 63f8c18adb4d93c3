package pebble

import (
	"encoding/binary"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// add stages the records of b for its shard.
func (c *commit) add(sh *shard, b *storage.Batch) {
	if len(sh.batches) == 0 {
		c.touched = append(c.touched, sh)
	}
	sh.batches = append(sh.batches, b)
	sh.group.staged += record.Position(len(b.Records))
}

// seal gives the records staged so far their positions and arrival, shard by shard, and writes their blocks. Operations
// that depend on the end of a shard seal first.
func (c *commit) seal() {
	if len(c.touched) == 0 {
		return
	}
	if c.now == 0 {
		c.now = c.s.clock.Now().UnixMilli()
	}
	for _, sh := range c.touched {
		at := sh.begin(record.Millis(c.now))
		c.encode(sh, at)
		clear(sh.batches)
		sh.batches = sh.batches[:0]
		sh.group.staged = 0
	}
	clear(c.touched)
	c.touched = c.touched[:0]
	c.sync = true
}

// begin returns the arrival of records written now, and keeps Tail from promising anything later until they show.
func (sh *shard) begin(now record.Millis) record.Millis {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	at := max(now, sh.seen.sealed)
	if sh.seen.inflight == 0 {
		sh.seen.inflight = at
	}
	return at
}

// encode cuts the staged records of sh into blocks.
func (c *commit) encode(sh *shard, at record.Millis) {
	pos := sh.group.last + 1
	rest := cursor{batches: sh.batches}
	for {
		count, size := rest.measure()
		if count == 0 {
			break
		}
		w := newBuilder(pos, at, count, size)
		for range count {
			r := rest.next()
			w.add(r)
			r.Pos, r.Arrival = pos, at
			pos++
		}
		c.writeBlock(sh, w.finish())
	}
	sh.group.last = pos - 1
	sh.state.last = pos - 1
}

// cursor walks over the records of several batches.
type cursor struct {
	batches []*storage.Batch
	at      int // index in the first batch
}

func (k *cursor) next() *record.Record {
	for k.at == len(k.batches[0].Records) {
		k.batches, k.at = k.batches[1:], 0
	}
	k.at++
	return &k.batches[0].Records[k.at-1]
}

// measure returns how many of the next records go into one block, and their size in bytes.
func (k *cursor) measure() (count, size int) {
	at := k.at
	for _, b := range k.batches {
		for i := at; i < len(b.Records); i++ {
			n := recordBytes(&b.Records[i])
			if count > 0 && size+n > blockTarget {
				return count, size
			}
			count++
			size += n
		}
		at = 0
	}
	return count, size
}

func (c *commit) writeBlock(sh *shard, b *block) {
	op := c.batch.SetDeferred(placeKeyBytes, len(b.bytes))
	putPlace(op.Key, tableBlocks, sh.id, uint64(b.first))
	copy(op.Value, b.bytes)
	_ = op.Finish() // fails only for indexed batches

	// An entry says that all records before this position arrived earlier. One per second at most keeps the index
	// small.
	if b.firstArrival > sh.state.highest && b.firstArrival >= sh.indexed+1000 {
		op := c.batch.SetDeferred(placeKeyBytes, 8)
		putPlace(op.Key, tableTimes, sh.id, uint64(b.firstArrival))
		binary.LittleEndian.PutUint64(op.Value, uint64(b.first))
		_ = op.Finish()
		sh.indexed = b.firstArrival
	}
	sh.state.highest = max(sh.state.highest, b.lastArrival)
	if len(sh.blocks) == 0 {
		c.written = append(c.written, sh)
	}
	sh.blocks = append(sh.blocks, b)
}

// putPlace writes the same key as placeKey without allocating.
func putPlace(key []byte, table byte, id storage.Shard, place uint64) {
	key[0] = table
	binary.BigEndian.PutUint32(key[1:], id.Stream)
	binary.BigEndian.PutUint32(key[5:], uint32(id.Index))
	binary.BigEndian.PutUint64(key[9:], place)
}

// show lets readers see the blocks of sh that have become durable.
func (sh *shard) show() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	v := &sh.seen
	for _, b := range sh.blocks {
		v.last = b.next() - 1
		v.highest = max(v.highest, b.lastArrival)
		v.tail = append(v.tail, b)
	}
	v.inflight = 0
}
