package stream

import (
	"context"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// MostShards is how many shards UpdateShardCount may leave open.
const MostShards = 10000

// Split divides an open shard in two at a hash key, which is decimal text: the right half begins with it. It returns
// when both accept records; with a pace, when that is certain to happen. Faults, in this order:
// ResourceNotFoundException for a malformed shard id and then for an unknown stream, ValidationException for an
// on-demand stream, ResourceInUseException unless ACTIVE, ResourceNotFoundException for an unknown shard,
// InvalidArgumentException for a closed one, LimitExceededException over the shard quota, InvalidArgumentException for
// a hash key that leaves one of the halves less than two keys, or is none. Source: Kinesis API Reference, SplitShard.
func (s *Streams) Split(ctx context.Context, name Name, shard, start string) error {
	id, ok := ParseShardID(shard)
	if !ok {
		return malformedShard(name, shard)
	}
	return s.reshape(ctx, name, func(info *Info) ([]step, error) {
		if err := s.checkChange(info); err != nil {
			return nil, err
		}
		if err := s.checkOpen(info, id); err != nil {
			return nil, err
		}
		if err := s.checkRoom(info, 1); err != nil {
			return nil, err
		}
		keys := info.Shards[id].Range
		at, ok := record.ParseHashKey(start)
		least := successor(keys.Start)
		if !ok || keys.Start == record.MaxHashKey || at.Compare(least) <= 0 || at.Compare(keys.End) >= 0 {
			return nil, fault.New(codeInvalid,
				"NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one "+
					"plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				start, id, name.Name, name.Account, keys.Start, keys.End)
		}
		left, right := cut(keys, at)
		return []step{split(id, left, right)}, nil
	})
}

// Merge puts one shard in the place of two open ones, of which adjacent begins where shard ends. It returns when the
// new one accepts records; with a pace, when that is certain to happen. Faults: as Split without the last two, each
// check for shard and then for adjacent, and InvalidArgumentException for shards that are not such a pair. Source:
// Kinesis API Reference, MergeShards.
func (s *Streams) Merge(ctx context.Context, name Name, shard, adjacent string) error {
	var ids [2]record.ShardID
	for i, text := range []string{shard, adjacent} {
		var ok bool
		if ids[i], ok = ParseShardID(text); !ok {
			return malformedShard(name, text)
		}
	}
	return s.reshape(ctx, name, func(info *Info) ([]step, error) {
		if err := s.checkChange(info); err != nil {
			return nil, err
		}
		for _, id := range ids {
			if err := s.checkKnown(info, id); err != nil {
				return nil, err
			}
		}
		for _, id := range ids {
			if err := s.checkOpen(info, id); err != nil {
				return nil, err
			}
		}
		low, high := info.Shards[ids[0]].Range, info.Shards[ids[1]].Range
		if low.End == record.MaxHashKey || successor(low.End) != high.Start {
			return nil, fault.New(codeInvalid,
				"Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging",
				ids[0], ids[1], name.Name, name.Account)
		}
		return []step{merge(ids[0], ids[1], record.HashKeyRange{Start: low.Start, End: high.End})}, nil
	})
}

// UpdateShardCount turns the open shards of a stream into target shards of equal size by splits and merges, which are
// one change; before is how many were open. It returns when all accept records; with a pace, when that is certain to
// happen. A target that is the present number changes nothing. Faults, in this order: ResourceNotFoundException;
// ValidationException for an on-demand stream; ResourceInUseException unless ACTIVE; LimitExceededException above twice
// or below half the present number, above 10,000, and over the shard quota, which counts short-lived shards. Source:
// Kinesis API Reference, UpdateShardCount.
func (s *Streams) UpdateShardCount(ctx context.Context, name Name, target int) (before int, err error) {
	err = s.reshapeWith(ctx, name, func(info *Info, r *streamRecord) ([]step, error) {
		if err := s.checkChange(info); err != nil {
			return nil, err
		}
		before = info.OpenShards()
		if err := checkTarget(name, before, target); err != nil {
			return nil, err
		}
		steps := sweep(info.Shards, target)
		if err := s.checkRoom(info, peak(steps)); err != nil {
			return nil, err
		}
		return steps, s.countChange(r, changesOfShards)
	})
	return before, err
}

// checkTarget refuses a number of shards that one call cannot lead to.
func checkTarget(name Name, before, target int) error {
	why := ""
	switch {
	case target > 2*before:
		why = "at most double the current shard count is possible in one call"
	case 2*target < before:
		why = "at least half the current shard count must remain in one call"
	case target > MostShards:
		why = "at most 10000 shards are possible"
	case before > MostShards && target == MostShards:
		why = "a stream of more than 10000 shards can only be scaled to fewer than 10000"
	default:
		return nil
	}
	return fault.New(codeLimit, "UpdateShardCount cannot change the open shards of stream %s under account %s from %d to %d: %s.",
		name.Name, name.Account, before, target, why)
}

// checkChange refuses changes of shards by a caller unless the stream is provisioned and ACTIVE.
func (s *Streams) checkChange(info *Info) error {
	if info.Mode == OnDemand {
		return fault.New(fault.CodeValidation, "Request is invalid. Stream %s under account %s is in On-Demand mode.",
			info.Name.Name, info.Name.Account)
	}
	if info.Status != Active {
		return notActive(info.Name, info.Status)
	}
	return nil
}

// checkKnown refuses a shard that never was, or has expired.
func (s *Streams) checkKnown(info *Info, id record.ShardID) error {
	sn := snapshot{info: *info}
	if int64(id) >= int64(len(info.Shards)) || info.Shards[id].expired(sn.trimHorizon(s.now())) {
		return malformedShard(info.Name, id.String())
	}
	return nil
}

// checkOpen refuses a shard that is unknown or closed.
func (s *Streams) checkOpen(info *Info, id record.ShardID) error {
	if err := s.checkKnown(info, id); err != nil {
		return err
	}
	if info.Shards[id].Closed != 0 {
		return alreadyResharded(info.Name, id)
	}
	return nil
}

// checkRoom refuses more additional open shards than the account's quota leaves now. That they still fit is certain
// only when they are claimed.
func (s *Streams) checkRoom(info *Info, more int) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.checkMore(info, Provisioned, more)
}
