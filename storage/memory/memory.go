// Package memory keeps records and values in memory, for development and tests. It has the contract of the durable
// backend, but everything is gone with the process.
//
// Records lie in pointer-free chunks, so that a large backlog costs the garbage collector nothing. Nothing is allocated
// before it is used.
package memory

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/internal/ram"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Options of New. The zero value works.
type Options struct {
	// bytes that records with their index and Local's values may take; beyond it writes fail with storage.ErrFull. 0: a
	// quarter of the RAM
	Limit int64
	Clock *clock.Clock // gives arrival times; nil: real time
}

// Store is the backend. Safe for concurrent use.
type Store struct {
	clock *clock.Clock
	limit func() int64
	used  atomic.Int64 // bytes of all chunks

	// mu guards the maps and closed. Calls hold it shared while they touch records, so a caller that holds it
	// exclusively is alone. Lock order: mu, then one group at a time.
	mu     sync.RWMutex
	groups map[groupID]*group
	closed bool

	coord coord
	local local
}

var _ storage.Store = (*Store)(nil)

// New makes an empty store. It allocates next to nothing; the size of the RAM is read only at the first append.
func New(o Options) *Store {
	s := &Store{clock: o.Clock}
	if s.clock == nil {
		s.clock = clock.New(0)
	}
	s.limit = sync.OnceValue(func() int64 {
		if o.Limit > 0 {
			return o.Limit
		}
		if n := ram.Bytes(); n > 0 {
			return n / 4
		}
		return math.MaxInt64
	})
	s.local.full = func() bool { return s.used.Load()+s.local.bytes.Load() >= s.limit() }
	return s
}

// Log returns the records.
func (s *Store) Log() storage.Log { return (*log)(s) }

// Coord returns the small values.
func (s *Store) Coord() storage.Coord { return &s.coord }

// Local returns the node's own bytes.
func (s *Store) Local() storage.Local { return &s.local }

// Close makes every later call fail with storage.ErrClosed and wakes all waiters. Twice is harmless.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	groups := s.groups
	s.groups = nil
	s.mu.Unlock()
	for _, g := range groups {
		for _, sh := range g.shards {
			if sh != nil {
				sh.changed.Fire()
			}
		}
	}
	s.coord.close()
	s.local.close()
	return nil
}

func (s *Store) now() record.Millis { return record.MillisOf(s.clock.Now()) }

// groupSize is how many shards of a stream share one position counter, as Kinesis clients of old expect.
const groupSize = 5

type groupID struct {
	stream uint32
	index  record.ShardID
}

// group is five shards of one stream and their counter. Its lock makes commit order position order.
type group struct {
	mu     sync.RWMutex
	last   record.Position
	shards [groupSize]*shard
}

func idOf(shard storage.Shard) groupID { return groupID{shard.Stream, shard.Index / groupSize} }

// find returns the shard and its group. s.mu is held.
func (s *Store) find(shard storage.Shard) (*group, *shard, error) {
	if s.closed {
		return nil, nil, storage.ErrClosed
	}
	g := s.groups[idOf(shard)]
	if g == nil {
		return nil, nil, storage.ErrNotFound
	}
	sh := g.shards[shard.Index%groupSize]
	if sh == nil {
		return nil, nil, storage.ErrNotFound
	}
	return g, sh, nil
}
