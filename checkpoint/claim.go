package checkpoint

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Resume returns the checkpoint for an owner whose grant stands: no other can have had the shard since. Nothing is
// written. Without one the shard begins at start; Held.Revision is storage.Absent then. storage.ErrConflict: the
// checkpoint was written under a higher epoch, so the shard is another owner's, and this one is fenced.
func (s *Store) Resume(
	ctx context.Context, mapping string, shard record.ShardID, epoch uint64, start record.Position,
) (Held, error) {
	h, found, err := s.Load(ctx, mapping, shard)
	if err != nil {
		return Held{}, err
	}
	if !found {
		h = Held{}
		if start > 0 {
			h.Checkpoint.Low = start - 1
		}
	}
	if h.Epoch > epoch {
		return Held{}, fmt.Errorf(
			"%w: the checkpoint of mapping %s on %s belongs to epoch %d, and this owner has %d", storage.ErrConflict,
			mapping, shard, h.Epoch, epoch,
		)
	}
	return h, nil
}

// Claim takes a shard over: the checkpoint is written under epoch, over the very revision that was read, before
// anything of it is used. From then on every Save of an owner before conflicts, and what it had saved until then is in
// what Claim returns. A missing checkpoint is written as start says. One that has the epoch already is this owner's,
// and stays as it is; one of a higher epoch is storage.ErrConflict: fenced. It is durable on return. After any other
// error it may have been claimed or not, and Claim may be repeated.
func (s *Store) Claim(
	ctx context.Context, mapping string, shard record.ShardID, epoch uint64, start record.Position,
) (Held, error) {
	for race := (storage.Race{}); ; {
		h, err := s.Resume(ctx, mapping, shard, epoch, start)
		if err != nil || h.Epoch == epoch && h.Revision != storage.Absent {
			return h, err
		}
		revision, err := s.Save(ctx, mapping, shard, &h.Checkpoint, epoch, h.Revision)
		if err == nil {
			h.Epoch, h.Revision = epoch, revision
			return h, nil
		}
		if !errors.Is(err, storage.ErrConflict) {
			return Held{}, fmt.Errorf("claim the checkpoint of mapping %s on %s: %w", mapping, shard, err)
		}
		// The owner before has saved once more, or a later one was faster: what is there now says which.
		if lost := race.Lost(h.Revision, err); lost != nil {
			return Held{}, fmt.Errorf(
				"claim the checkpoint of mapping %s on %s: %w: %s", mapping, shard, storage.ErrUnchanged,
				lost.Error(), // in words only: it is no conflict with another owner
			)
		}
	}
}

// Changed is closed at the next change of the checkpoint of a mapping on a shard. Take it before Load.
func (s *Store) Changed(mapping string, shard record.ShardID) <-chan struct{} {
	return s.coord.Changed(key(mapping, shard))
}

// keyEpoch holds the epoch of the data directory; docs/format/checkpoint.md describes the value. It is not there before
// the first hand-over.
const (
	keyEpoch     = "owner/epoch"
	epochVersion = 1
	firstEpoch   = 1
	epochRaiser  = 16 // random bytes that tell one raise from another to the same epoch
)

// Epoch returns the epoch of the data directory: the highest that anything in it can have been claimed under. A process
// that has the directory for itself owns all of it under this epoch, so its start raises nothing and writes nothing.
func (s *Store) Epoch(ctx context.Context) (uint64, error) {
	epoch, _, err := s.epoch(ctx)
	return epoch, err
}

func (s *Store) epoch(ctx context.Context) (uint64, storage.Revision, error) {
	e, err := s.coord.Get(ctx, keyEpoch)
	if err != nil {
		return 0, 0, fmt.Errorf("read the epoch: %w", err)
	}
	if e.Revision == storage.Absent {
		return firstEpoch, storage.Absent, nil
	}
	if len(e.Value) > 0 && e.Value[0] == epochVersion {
		if epoch, n := binary.Uvarint(e.Value[1:]); n > 0 && n+epochRaiser == len(e.Value)-1 && epoch >= firstEpoch {
			return epoch, e.Revision, nil
		}
	}
	return 0, 0, fmt.Errorf("%w: %s is %x, which is no epoch; it may come from a newer shardmill", storage.ErrCorrupt,
		keyEpoch, e.Value)
}

// RaiseEpoch raises the epoch and returns the new one, which was never given out before. It is the first step of a
// hand-over, and durable on return. After an error another one may have been skipped.
func (s *Store) RaiseEpoch(ctx context.Context) (uint64, error) {
	for race := (storage.Race{}); ; {
		epoch, revision, err := s.epoch(ctx)
		if err != nil {
			return 0, err
		}
		next := epoch + 1
		value := binary.AppendUvarint([]byte{epochVersion}, next)
		value = append(value, make([]byte, epochRaiser)...)
		_, _ = rand.Read(value[len(value)-epochRaiser:]) // never fails
		_, err = s.coord.Commit(ctx, keyEpoch, storage.Op{Key: keyEpoch, Value: value, Expect: revision})
		if errors.Is(err, storage.ErrConflict) {
			err = race.Lost(revision, err)
			if err == nil {
				continue
			}
		}
		if err != nil {
			return 0, fmt.Errorf("raise the epoch: %w", err)
		}
		return next, nil
	}
}
