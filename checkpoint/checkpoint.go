// Package checkpoint keeps how far each mapping is on each shard: position, lane marks, retry and bisect state and lease epoch as one value, so that a crash
// repeats work but never skips it.
//
// A value is written with a compare-and-set on its revision: a writer that has been replaced gets a conflict and must stop.
package checkpoint

import (
	"context"
	"fmt"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Store reads and writes checkpoints. Safe for concurrent use.
type Store struct{ coord storage.Coord }

// New is a Store on coord.
func New(coord storage.Coord) *Store { return &Store{coord} }

// Held is a checkpoint with what its owner needs to write the next one.
type Held struct {
	Checkpoint esm.Checkpoint
	Epoch      uint64           // of the owner that wrote it
	Revision   storage.Revision // 0: none was ever written
}

func group(mapping string) string { return "checkpoint/" + mapping + "/" }

func key(mapping string, shard record.ShardID) string {
	return fmt.Sprintf("%s%010d", group(mapping), uint32(shard))
}

// Load is the checkpoint of a mapping on a shard. found is false when none was ever saved.
func (s *Store) Load(ctx context.Context, mapping string, shard record.ShardID) (h Held, found bool, err error) {
	e, err := s.coord.Get(ctx, key(mapping, shard))
	if err != nil || e.Revision == 0 {
		return Held{}, false, err
	}
	if h.Checkpoint, h.Epoch, err = Decode(e.Value); err != nil {
		return Held{}, false, fmt.Errorf("checkpoint of mapping %s on %s: %w", mapping, shard, err)
	}
	h.Revision = e.Revision
	return h, true, nil
}

// Save writes a checkpoint over the revision that its owner knows. It is durable on return. storage.ErrConflict: somebody else has written it.
func (s *Store) Save(ctx context.Context, mapping string, shard record.ShardID, cp *esm.Checkpoint, epoch uint64, over storage.Revision) (storage.Revision, error) {
	return s.coord.Commit(ctx, group(mapping), storage.Op{Key: key(mapping, shard), Value: Append(nil, cp, epoch), Expect: over})
}

// Forget deletes every checkpoint of a mapping.
func (s *Store) Forget(ctx context.Context, mapping string) error {
	for {
		entries, err := s.coord.List(ctx, group(mapping), "", 1000)
		if err != nil || len(entries) == 0 {
			return err
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
