package stream

import (
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// snapshot is a stream at one moment: immutable, so that the hot path takes no lock beyond the map's.
type snapshot struct {
	info   Info     // with every shard that ever existed, so that info.Shards[i].ID == i
	shards []*shard // the live state of info.Shards, shared between snapshots
	open   []*shard // the open shards, by the start of their range
	starts []record.HashKey
	tags   map[string]string
	policy *policy.Document // of info.Policy; nil: there is none
	cipher *encryptions     // of info.Encrypted, shared between snapshots
	// by name; also some that are gone, see consumer.needed
	consumers []*consumer
	revision  storage.Revision // of the stream's record in Coord
	changed   chan struct{}    // closed when the shard list is replaced, a shard has expired or the stream is gone
	expired   int              // number of expired shards that the sweeper has reported
}

// shard is this process's state of one shard.
type shard struct {
	key       storage.Shard
	writer    atomic.Pointer[storage.Writer] // nil until the first put
	acquiring chan struct{}                  // capacity 1: concurrent Acquires would fence one another
	gauge     gauge                          // what it takes, if the stream is on-demand
	budget    atomic.Pointer[budget]         // nil until limits need it

	mu      sync.Mutex
	horizon horizon
	trimmed record.Position // the last trim in storage
}

func newShard(stream uint32, id record.ShardID) *shard {
	return &shard{key: storage.Shard{Stream: stream, Index: id}, acquiring: make(chan struct{}, 1)}
}

// newSnapshot builds the routing of info. Shards that old also has keep their live state.
func newSnapshot(info Info, tags map[string]string, revision storage.Revision, old *snapshot) *snapshot {
	sn := &snapshot{info: info, tags: tags, revision: revision, changed: make(chan struct{})}
	if old != nil {
		sn.shards, sn.expired, sn.consumers = slices.Clone(old.shards), old.expired, old.consumers
	}
	sn.policy = policyOf(info.Policy, old)
	if old == nil {
		sn.cipher = newEncryptions(info.Encrypted)
	} else {
		sn.cipher = old.cipher
		sn.cipher.spans.Store(&sn.info.Encrypted)
	}
	for i := len(sn.shards); i < len(info.Shards); i++ {
		sn.shards = append(sn.shards, newShard(info.ID, record.ShardID(i)))
	}
	for i := range info.Shards {
		if info.Shards[i].Closed == 0 {
			sn.open = append(sn.open, sn.shards[i])
		}
	}
	slices.SortFunc(sn.open, func(a, b *shard) int {
		return info.Shards[a.key.Index].Range.Start.Compare(info.Shards[b.key.Index].Range.Start)
	})
	for _, sh := range sn.open {
		sn.starts = append(sn.starts, info.Shards[sh.key.Index].Range.Start)
	}
	return sn
}

// withTags returns sn with other tags; the shard list is the same, so no waiter is woken.
func (sn *snapshot) withTags(tags map[string]string, revision storage.Revision) *snapshot {
	c := *sn
	c.tags, c.revision = maps.Clone(tags), revision
	return &c
}

// route finds the open shard whose range holds r.
func (sn *snapshot) route(r *record.Record) *shard {
	if len(sn.open) == 1 {
		return sn.open[0]
	}
	h := r.HashKeyOf()
	i := sort.Search(len(sn.starts), func(i int) bool { return sn.starts[i].Compare(h) > 0 })
	return sn.open[i-1] // the first open range starts at 0, so i ≥ 1
}

// shardInfo returns the description of sh.
func (sn *snapshot) shardInfo(sh *shard) *ShardInfo { return &sn.info.Shards[sh.key.Index] }

// live finds a shard that is still readable.
func (sn *snapshot) live(id record.ShardID, now record.Millis) (*shard, bool) {
	if sn.info.Status == Creating || sn.info.Status == Deleting || int64(id) >= int64(len(sn.shards)) ||
		sn.info.Shards[id].expired(sn.trimHorizon(now)) {
		return nil, false
	}
	return sn.shards[id], true
}

// expired reports whether a closed shard has outlived its records: then it is no longer listed and cannot be read.
func (s *ShardInfo) expired(horizon record.Millis) bool { return s.Closed != 0 && s.Closed < horizon }

// visible returns what may be shown of sn.
func (sn *snapshot) visible(now record.Millis) *Info {
	horizon := sn.trimHorizon(now)
	hidden := func(s ShardInfo) bool { return s.expired(horizon) }
	switch {
	case sn.info.Status == Creating:
		c := sn.info
		c.Shards = nil
		return &c
	case slices.ContainsFunc(sn.info.Shards, hidden):
		c := sn.info
		c.Shards = slices.DeleteFunc(slices.Clone(c.Shards), hidden)
		return &c
	}
	return &sn.info
}

// trimHorizon returns the instant before which records of the stream have expired.
func (sn *snapshot) trimHorizon(now record.Millis) record.Millis {
	return max(now-record.Millis(sn.info.Retention.Milliseconds()), sn.info.Trimmed)
}
