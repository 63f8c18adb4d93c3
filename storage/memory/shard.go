package memory

import (
	"cmp"
	"slices"
	"sort"
	"sync/atomic"
	"unsafe"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage/internal/wake"
)

const (
	smallestChunk = 4 << 10   // the cost of a shard with a few records
	largestChunk  = 256 << 10 // what Trim frees at a time; a larger record gets a chunk of its own
	fullChunk     = 8 << 10   // records in a chunk, which matters when they are empty
	entryBytes    = int64(unsafe.Sizeof(entry{}))
	hashBytes     = len(record.HashKey{})
)

// shard holds the records of one shard. Its group's lock guards everything but changed.
type shard struct {
	epoch   uint64
	closed  bool
	oldest  record.Position // records below are hidden
	trimmed bool            // there were records below oldest
	end     record.Position // after the last record ever appended
	last    record.Position // the last record ever appended, 0 for none
	sealed  record.Millis   // no later arrival may be smaller: a reader was told so
	chunks  []*chunk
	changed wake.Signal
}

// chunk holds records one after the other. Written bytes never change or move, so readers keep slices of them without a
// lock.
type chunk struct {
	bytes   []byte
	entries []entry
	highest record.Millis // the largest arrival in this chunk and all before it
}

// entry describes one record: its bytes are [explicit hash key] partition key data.
type entry struct {
	pos      record.Position
	arrival  record.Millis
	offset   uint32
	data     uint32
	key      uint32
	explicit bool
}

func (c *chunk) size() int64 { return int64(cap(c.bytes)) + int64(cap(c.entries))*entryBytes }

func (c *chunk) record(i int) record.Record {
	e := &c.entries[i]
	r := record.Record{Pos: e.pos, Arrival: e.arrival, Explicit: e.explicit}
	at := e.offset
	if e.explicit {
		copy(r.Hash[:], c.bytes[at:])
		at += uint32(hashBytes)
	}
	if e.key > 0 {
		r.Key = unsafe.String(&c.bytes[at], e.key)
		at += e.key
	}
	r.Data = c.bytes[at : at+e.data : at+e.data]
	return r
}

func sizeOf(r *record.Record) int {
	n := len(r.Key) + len(r.Data)
	if r.Explicit {
		n += hashBytes
	}
	return n
}

// append adds the records at positions from pos on and fills in Pos and Arrival. total is the sum of their sizes in
// bytes. Bytes allocated are added to used.
func (s *shard) append(records []record.Record, total int, pos record.Position, at record.Millis, used *atomic.Int64) {
	var c *chunk
	if n := len(s.chunks); n > 0 {
		c = s.chunks[n-1]
	}
	for i := range records {
		r := &records[i]
		size := sizeOf(r)
		if c == nil || cap(c.bytes)-len(c.bytes) < size || len(c.entries) == fullChunk {
			c = s.grow(c, size, total, used)
		}
		if len(c.entries) == cap(c.entries) {
			grown := make([]entry, len(c.entries), max(16, 2*cap(c.entries)))
			used.Add(int64(cap(grown)-cap(c.entries)) * entryBytes)
			copy(grown, c.entries)
			c.entries = grown
		}
		c.entries = append(c.entries, entry{
			pos: pos, arrival: at, offset: uint32(len(c.bytes)),
			data: uint32(len(r.Data)), key: uint32(len(r.Key)), explicit: r.Explicit,
		})
		if r.Explicit {
			c.bytes = append(c.bytes, r.Hash[:]...)
		}
		c.bytes = append(c.bytes, r.Key...)
		c.bytes = append(c.bytes, r.Data...)
		c.highest = max(c.highest, at)
		r.Pos, r.Arrival = pos, at
		pos++
		total -= size
	}
	s.last, s.end = pos-1, pos
}

// grow adds a chunk with room for the next record, sized by what the shard holds already and the left bytes that are
// still to come.
func (s *shard) grow(c *chunk, next, left int, used *atomic.Int64) *chunk {
	size, entries, highest := smallestChunk, 16, record.Millis(0)
	if c != nil {
		size = min(2*cap(c.bytes), largestChunk)
		entries = min(len(c.entries)*size/max(len(c.bytes), 1)+1, fullChunk)
		highest = c.highest
	}
	size = max(size, min(left, largestChunk), next)
	c = &chunk{bytes: make([]byte, 0, size), entries: make([]entry, 0, entries), highest: highest}
	used.Add(c.size())
	s.chunks = append(s.chunks, c)
	return c
}

// trim hides the records below before, frees chunks without readable records, and reports whether it hid anything.
func (s *shard) trim(before record.Position, used *atomic.Int64) bool {
	before = min(before, s.end)
	c, e := s.from(s.oldest)
	if c == len(s.chunks) || s.chunks[c].entries[e].pos >= before {
		return false
	}
	s.oldest, s.trimmed = before, true
	gone := 0
	for gone < len(s.chunks) {
		c := s.chunks[gone]
		if c.entries[len(c.entries)-1].pos >= s.oldest {
			break
		}
		used.Add(-c.size())
		gone++
	}
	s.chunks = slices.Delete(s.chunks, 0, gone)
	return true
}

// from returns the chunk and entry of the first record at or after pos; the chunk is len(s.chunks) when there is none.
func (s *shard) from(pos record.Position) (chunk, entry int) {
	chunk = sort.Search(len(s.chunks), func(i int) bool {
		e := s.chunks[i].entries
		return e[len(e)-1].pos >= pos
	})
	if chunk < len(s.chunks) {
		entry, _ = slices.BinarySearchFunc(s.chunks[chunk].entries, pos, byPosition)
	}
	return chunk, entry
}

func byPosition(e entry, pos record.Position) int { return cmp.Compare(e.pos, pos) }

// seek returns the first readable record that arrived at or after at, else the end.
func (s *shard) seek(at record.Millis) record.Position {
	c := sort.Search(len(s.chunks), func(i int) bool { return s.chunks[i].highest >= at })
	// trimmed records may have had the highest arrival, so the record need not be in the first chunk
	for ; c < len(s.chunks); c++ {
		for i := range s.chunks[c].entries {
			if e := &s.chunks[c].entries[i]; e.arrival >= at && e.pos >= s.oldest {
				return e.pos
			}
		}
	}
	return s.end
}
