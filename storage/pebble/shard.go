package pebble

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/internal/wake"
)

// groupSize is how many shards of a stream share one position counter, as Kinesis clients of old expect.
const groupSize = 5

type groupID struct {
	stream uint32
	index  record.ShardID
}

func idOf(shard storage.Shard) groupID { return groupID{shard.Stream, shard.Index / groupSize} }

// group is five shards of one stream and their counter. It is loaded from the database when one of them is first used.
type group struct {
	load   sync.Mutex // held while loading; guards loaded and gone
	loaded bool
	gone   bool // the stream was deleted; only the committer says so

	// Used by the committer only, once loaded.
	last   record.Position   // highest position assigned
	staged record.Position   // positions that the open commit will assign
	known  [groupSize]*shard // durable or not

	mu     sync.RWMutex // guards shards
	shards [groupSize]*shard
}

// shard is one shard in memory.
type shard struct {
	id      storage.Shard
	group   *group
	changed wake.Signal

	// Used by the committer only: what the next operation in commit order must see, durable or not.
	state   shardState
	deleted bool
	indexed record.Millis    // arrival of the last time index entry; noTime for none
	batches []*storage.Batch // to be written by the open commit
	blocks  []*block         // written by the open commit

	mu   sync.Mutex
	seen seen
}

// seen is what readers may see; all of it is durable. The shard's mu guards it.
type seen struct {
	first, trim record.Position // no record lies below first; records below trim are hidden, 0: none
	last        record.Position // last durable record, 0 for none
	highest     record.Millis   // no durable record arrived later
	closed      bool
	deleted     bool
	sealed      record.Millis // promised to a reader: no later arrival is smaller
	inflight    record.Millis // arrival of records being written, 0 for none
	tail        []*block      // the newest blocks, without a gap up to last
	recent      *block        // the last block read from the database
}

func (v *seen) oldest() record.Position { return max(v.first, v.trim) }

func (v *seen) end() record.Position { return max(v.first, v.last+1) }

const noTime = record.Millis(-1 << 62)

// shardState is what tableShards stores of a shard. Position and arrival of the last record are updated only when the
// block that would tell them might go.
type shardState struct {
	closed      bool
	epoch       uint64
	first, trim record.Position
	last        record.Position
	highest     record.Millis // no record arrived later
}

const (
	stateVersion = 1
	stateBytes   = 48
)

func (s *shardState) encode() []byte {
	b := make([]byte, stateBytes)
	b[0] = stateVersion
	if s.closed {
		b[1] = 1
	}
	binary.LittleEndian.PutUint64(b[8:], s.epoch)
	binary.LittleEndian.PutUint64(b[16:], uint64(s.first))
	binary.LittleEndian.PutUint64(b[24:], uint64(s.trim))
	binary.LittleEndian.PutUint64(b[32:], uint64(s.last))
	binary.LittleEndian.PutUint64(b[40:], uint64(s.highest))
	binary.LittleEndian.PutUint32(b[4:], stateSum(b))
	return b
}

func stateSum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:4], castagnoli), castagnoli, b[8:])
}

func decodeState(b []byte) (s shardState, err error) {
	switch {
	case len(b) != stateBytes:
		return s, fmt.Errorf("bad shard state: %d bytes, not %d", len(b), stateBytes)
	case b[0] != stateVersion:
		return s, fmt.Errorf("bad shard state: version %d, this program knows version %d", b[0], stateVersion)
	case binary.LittleEndian.Uint32(b[4:]) != stateSum(b):
		return s, fmt.Errorf("bad shard state: wrong checksum")
	case b[1] > 1 || b[2] != 0 || b[3] != 0:
		return s, fmt.Errorf("bad shard state: unknown flags %x", b[1:4])
	}
	return shardState{
		closed:  b[1] == 1,
		epoch:   binary.LittleEndian.Uint64(b[8:]),
		first:   record.Position(binary.LittleEndian.Uint64(b[16:])),
		trim:    record.Position(binary.LittleEndian.Uint64(b[24:])),
		last:    record.Position(binary.LittleEndian.Uint64(b[32:])),
		highest: record.Millis(binary.LittleEndian.Uint64(b[40:])),
	}, nil
}

// newShard returns a shard as readers see it after opening or creating it.
func newShard(id storage.Shard, g *group, st shardState, indexed record.Millis) *shard {
	return &shard{
		id: id, group: g, state: st, indexed: indexed,
		seen: seen{first: st.first, trim: st.trim, last: st.last, highest: st.highest, closed: st.closed},
	}
}
