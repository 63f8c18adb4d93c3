package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// childDelay is how long after its parent's end a child counts as created, in milliseconds. Clients see the difference
// in the sequence numbers.
const childDelay = 1000

// planRecord is the stored intent of a reshard: a process that finds one when it opens the store carries it out.
type planRecord struct {
	Version int              `json:"v"`
	Parents []record.ShardID `json:"parents"`
	Starts  []string         `json:"starts"` // of the children's ranges
	Ends    []string         `json:"ends"`
}

// Reshard closes one open shard and puts two in its place, or two adjacent ones and puts one in their place; children
// are the hash key ranges of the new shards, in order, covering exactly what the parents covered. It returns when the
// children accept records. Records never move. It stores the intent, closes the parents, and commits the children, so
// that a crash leaves nothing half done. Puts that meet a closed parent wait for the children; a reader sees the
// parent's end only together with its children. It waits for another reshard of the stream to end. Faults:
// ResourceInUseException unless ACTIVE, InvalidArgumentException for shards or ranges that do not fit.
//
// SplitShard, MergeShards and UpdateShardCount are built on it, with their own checks and texts.
func (s *Streams) Reshard(
	ctx context.Context, name Name, parents []record.ShardID, children []record.HashKeyRange,
) error {
	st, err := s.settled(ctx, name)
	if err != nil {
		return err
	}
	if err := checkReshard(&st.snap.Load().info, parents, children); err != nil {
		return err
	}
	plan := planRecord{Version: metaVersion, Parents: parents}
	for _, c := range children {
		plan.Starts, plan.Ends = append(plan.Starts, c.Start.String()), append(plan.Ends, c.End.String())
	}
	err = s.update(ctx, st, func(r *streamRecord) error {
		if r.Status != Active {
			return notActive(name, r.Status)
		}
		r.Status = Updating
		return checkReshard(&st.snap.Load().info, parents, children)
	}, []storage.Op{{Key: planKey(st.id.Load()), Value: encode(plan), Expect: storage.Absent}},
		func(r streamRecord, revision storage.Revision) *snapshot {
			old := st.snap.Load()
			info := old.info
			info.Status = Updating
			return newSnapshot(info, r.Tags, revision, old)
		})
	if err != nil {
		return err
	}
	return s.carryOut(context.WithoutCancel(ctx), st, parents, children)
}

// checkReshard reports shards that are not open and ranges that do not cover the same keys.
func checkReshard(info *Info, parents []record.ShardID, children []record.HashKeyRange) error {
	if len(parents)+len(children) != 3 || len(parents) == 0 || len(children) == 0 {
		return fault.New(codeInvalid, "A reshard turns one shard into two or two into one.")
	}
	before := make([]record.HashKeyRange, 0, 2)
	for _, id := range parents {
		if int64(id) >= int64(len(info.Shards)) {
			return malformedShard(info.Name, id.String())
		}
		if info.Shards[id].Closed != 0 {
			return fault.New(codeInvalid,
				"Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.",
				id, info.Name.Name, info.Name.Account)
		}
		before = append(before, info.Shards[id].Range)
	}
	if !contiguous(before) || !contiguous(children) || before[0].Start != children[0].Start ||
		before[len(before)-1].End != children[len(children)-1].End {
		return fault.New(codeInvalid, "The hash key ranges of the children do not cover those of their parents.")
	}
	return nil
}

// contiguous reports whether each range is in order and begins where the previous one ends.
func contiguous(ranges []record.HashKeyRange) bool {
	for i, r := range ranges {
		if r.Start.Compare(r.End) > 0 || i > 0 && successor(ranges[i-1].End) != r.Start {
			return false
		}
	}
	return true
}

func successor(h record.HashKey) record.HashKey {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i]++; h[i] != 0 {
			break
		}
	}
	return h
}

// resumeReshard carries out the intent that a crash left, if there is one.
func (s *Streams) resumeReshard(ctx context.Context, st *stream) error {
	e, err := s.coord.Get(ctx, planKey(st.id.Load()))
	if err != nil || e.Revision == 0 {
		return err
	}
	var plan planRecord
	if err := decode(e, &plan); err != nil {
		return err
	}
	children := make([]record.HashKeyRange, len(plan.Starts))
	for i := range children {
		var okStart, okEnd bool
		children[i].Start, okStart = record.ParseHashKey(plan.Starts[i])
		if i < len(plan.Ends) {
			children[i].End, okEnd = record.ParseHashKey(plan.Ends[i])
		}
		if !okStart || !okEnd {
			return fmt.Errorf("read %s: malformed hash key range: %w", e.Key, storage.ErrCorrupt)
		}
	}
	if err := checkReshard(&st.snap.Load().info, plan.Parents, children); err != nil {
		return fmt.Errorf("read %s: %w", e.Key, err)
	}
	err = s.carryOut(ctx, st, plan.Parents, children)
	if errors.Is(err, storage.ErrConflict) { // another process may have been faster
		if e, unread := s.coord.Get(ctx, planKey(st.id.Load())); unread == nil && e.Revision == 0 {
			return nil
		}
	}
	return err
}

// carryOut performs a reshard whose intent is stored. Every step may be repeated.
func (s *Streams) carryOut(
	ctx context.Context, st *stream, parents []record.ShardID, children []record.HashKeyRange,
) error {
	sn := st.snap.Load()
	for _, id := range parents {
		sn.shards[id].closing.Store(true)
	}
	for _, id := range parents {
		if _, err := s.log.Close(ctx, sn.shards[id].key); err != nil {
			return fmt.Errorf("close %s of %s: %w", id, st.name, err)
		}
	}
	closed := s.now() // after the last append: no record of a parent is younger
	info := sn.info
	info.Status = Active
	info.Shards, parents = slices.Clone(info.Shards), slices.Clone(parents) // the children keep pointing at parents
	for _, id := range parents {
		info.Shards[id].Closed = closed
	}
	for _, r := range children {
		child := ShardInfo{
			ID: record.ShardID(len(info.Shards)), Range: r, Created: closed + childDelay, Parent: &parents[0],
		}
		if len(parents) == 2 {
			child.AdjacentParent = &parents[1]
		}
		info.Shards = append(info.Shards, child)
	}
	ops := []storage.Op{{Key: planKey(sn.info.ID), Expect: storage.Any}}
	for _, id := range parents {
		ops = append(ops, storage.Op{
			Key: shardKey(sn.info.ID, id), Value: encodeShard(&info.Shards[id]), Expect: storage.Any,
		})
	}
	for i := len(sn.info.Shards); i < len(info.Shards); i++ {
		child := &info.Shards[i]
		key := storage.Shard{Stream: sn.info.ID, Index: child.ID}
		if err := s.log.Create(ctx, key, 0); err != nil && !errors.Is(err, storage.ErrExists) {
			return fmt.Errorf("create %s of %s: %w", child.ID, st.name, err)
		}
		ops = append(ops, storage.Op{
			Key: shardKey(sn.info.ID, child.ID), Value: encodeShard(child), Expect: storage.Absent,
		})
	}
	return s.update(ctx, st, func(r *streamRecord) error {
		if r.Status == Deleting {
			return s.notFound(st.name)
		}
		r.Status = Active
		return nil
	}, ops, func(r streamRecord, revision storage.Revision) *snapshot {
		now := r.info()
		now.Shards = info.Shards
		return newSnapshot(now, r.Tags, revision, st.snap.Load())
	})
}
