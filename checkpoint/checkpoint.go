// Package checkpoint keeps how far each mapping is on each shard: position, lane marks, retry and bisect state and
// lease epoch as one value, so that a crash repeats work but never skips it.
//
// The state of a tumbling window is part of the value. A large one lies beside it, in keys of its own that are written
// in the same commit.
//
// A value is written with a compare-and-set on its revision: a writer that has been replaced gets a conflict and must
// stop.
package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Store reads and writes checkpoints. Safe for concurrent use.
type Store struct {
	coord storage.Coord

	mu    sync.Mutex
	parts map[string]int // by key of the checkpoint: how many keys its state has; none for most
}

// New returns a Store on coord.
func New(coord storage.Coord) *Store {
	return &Store{coord: storage.Sure(coord), parts: map[string]int{}}
}

// Held is a checkpoint with what its owner needs to write the next one.
type Held struct {
	Checkpoint esm.Checkpoint
	Epoch      uint64           // of the owner that wrote it
	Revision   storage.Revision // 0: none was ever written
}

// all is the prefix of every checkpoint.
const all = "checkpoint/"

func group(mapping string) string { return all + mapping + "/" }

func key(mapping string, shard record.ShardID) string {
	return fmt.Sprintf("%s%010d", group(mapping), uint32(shard))
}

// Load returns the checkpoint of a mapping on a shard. found is false when none was ever saved.
func (s *Store) Load(ctx context.Context, mapping string, shard record.ShardID) (h Held, found bool, err error) {
	k := key(mapping, shard)
	for again := true; again; {
		e, err := s.coord.Get(ctx, k)
		if err != nil || e.Revision == 0 {
			return Held{}, false, err
		}
		apart := 0
		if h.Checkpoint, h.Epoch, apart, err = Decode(e.Value); err == nil && apart > 0 {
			h.Checkpoint.Window.State, again, err = s.loadState(ctx, k, e.Revision, apart)
		} else {
			again = false
		}
		if err != nil {
			return Held{}, false, fmt.Errorf("checkpoint of mapping %s on %s: %w", mapping, shard, err)
		}
		h.Revision = e.Revision
		s.remember(k, partsOf(apart))
	}
	return h, true, nil
}

// loadState reads a state that lies beside the checkpoint k. again is true when the checkpoint was written anew in the
// meantime: all keys of one commit have one revision.
func (s *Store) loadState(ctx context.Context, k string, revision storage.Revision, size int) (
	state string, again bool, err error,
) {
	b := make([]byte, 0, size)
	for i := range partsOf(size) {
		e, err := s.coord.Get(ctx, partKey(k, i))
		if err != nil {
			return "", false, err
		}
		if e.Revision != revision {
			now, err := s.coord.Get(ctx, k)
			if err == nil && now.Revision == revision {
				err = fmt.Errorf("%w: part %d of the state of a tumbling window is missing", storage.ErrCorrupt, i)
			}
			return "", err == nil, err
		}
		b = append(b, e.Value...)
	}
	if len(b) != size {
		return "", false, fmt.Errorf(
			"%w: the state of a tumbling window has %d bytes instead of %d", storage.ErrCorrupt, len(b), size,
		)
	}
	return string(b), false, nil
}

// partsOf returns how many keys a state of a size beside its checkpoint has.
func partsOf(size int) int { return (size + maxInline - 1) / maxInline }

func partKey(k string, i int) string { return fmt.Sprintf("%s/state/%02d", k, i) }

// remember notes how many keys the state beside a checkpoint has.
func (s *Store) remember(k string, parts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts[k] = parts; parts == 0 {
		delete(s.parts, k)
	}
}

// Save writes a checkpoint over the revision that its owner knows, and the state beside it, in one commit. It is
// durable on return. storage.ErrConflict: another owner has written it. After any other error it may be saved again
// over the same revision: a save whose answer was lost is no conflict with the next.
func (s *Store) Save(
	ctx context.Context, mapping string, shard record.ShardID, cp *esm.Checkpoint, epoch uint64, over storage.Revision,
) (storage.Revision, error) {
	k := key(mapping, shard)
	ops := []storage.Op{{Key: k, Value: Append(nil, cp, epoch), Expect: over}}
	parts := 0
	if w := cp.Window; w != nil && len(w.State) > maxInline {
		for rest := w.State; rest != ""; parts++ {
			n := min(len(rest), maxInline)
			ops = append(ops, storage.Op{Key: partKey(k, parts), Value: []byte(rest[:n]), Expect: storage.Any})
			rest = rest[n:]
		}
	}
	s.mu.Lock()
	had := s.parts[k]
	s.mu.Unlock()
	for i := parts; i < had; i++ {
		ops = append(ops, storage.Op{Key: partKey(k, i), Expect: storage.Any})
	}
	revision, err := s.coord.Commit(ctx, group(mapping), ops...)
	switch {
	case err == nil:
		s.remember(k, parts)
	case errors.Is(err, storage.ErrUnknown):
		s.remember(k, max(had, parts)) // whichever of the two there are, the next save leaves none behind
	}
	return revision, err
}

// Mappings returns the UUIDs of the mappings that have a checkpoint, in order.
func (s *Store) Mappings(ctx context.Context) (out []string, err error) {
	for after := ""; ; {
		entries, err := s.coord.List(ctx, all, after, 1)
		if err != nil || len(entries) == 0 {
			return out, err
		}
		mapping, _, _ := strings.Cut(strings.TrimPrefix(entries[0].Key, all), "/")
		out = append(out, mapping)
		after = group(mapping) + "\xff" // behind every shard of it
	}
}

// Shards are the shards on which a mapping has a checkpoint, in order.
func (s *Store) Shards(ctx context.Context, mapping string) ([]record.ShardID, error) {
	var out []record.ShardID
	for after := ""; ; {
		entries, err := s.coord.List(ctx, group(mapping), after, 1000)
		if err != nil || len(entries) == 0 {
			return out, err
		}
		for _, e := range entries {
			after = e.Key
			// what lies beside it has a longer name
			name, _, _ := strings.Cut(strings.TrimPrefix(e.Key, group(mapping)), "/")
			id, err := strconv.ParseUint(name, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%w: %s is no checkpoint", storage.ErrCorrupt, e.Key)
			}
			if n := len(out); n == 0 || out[n-1] != record.ShardID(id) {
				out = append(out, record.ShardID(id))
			}
		}
	}
}

// ForgetShards deletes the checkpoints of a mapping on shards, with the state beside them. Idempotent. After an error
// some of them may be gone.
func (s *Store) ForgetShards(ctx context.Context, mapping string, shards []record.ShardID) error {
	for some := range slices.Chunk(shards, 1000) {
		var ops []storage.Op
		for _, shard := range some {
			k := key(mapping, shard)
			beside, err := s.coord.List(ctx, k+"/", "", 0)
			if err != nil {
				return err
			}
			ops = append(ops, storage.Op{Key: k, Expect: storage.Any})
			for _, e := range beside {
				ops = append(ops, storage.Op{Key: e.Key, Expect: storage.Any})
			}
		}
		if _, err := s.coord.Commit(ctx, group(mapping), ops...); err != nil {
			return err
		}
		for _, shard := range some {
			s.remember(key(mapping, shard), 0)
		}
	}
	return nil
}

// Forget deletes every checkpoint of a mapping, and what the Store remembers of those that another has deleted.
func (s *Store) Forget(ctx context.Context, mapping string) error {
	for {
		entries, err := s.coord.List(ctx, group(mapping), "", 1000)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			s.mu.Lock()
			defer s.mu.Unlock()
			maps.DeleteFunc(s.parts, func(k string, _ int) bool { return strings.HasPrefix(k, group(mapping)) })
			return nil
		}
		ops := make([]storage.Op, len(entries))
		for i, e := range entries {
			ops[i] = storage.Op{Key: e.Key, Expect: storage.Any}
		}
		if _, err := s.coord.Commit(ctx, group(mapping), ops...); err != nil {
			return err
		}
	}
}
