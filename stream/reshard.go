package stream

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// childDelay is how long after its parent's end a child counts as created, in milliseconds. Clients see the difference
// in the sequence numbers.
const childDelay = 1000

// atOnce bounds how many shards are created or closed in storage concurrently, so that their syncs share commits.
const atOnce = 64

// planVersion is the format of planRecord. Version 1 had the members of its only step in the place of Steps.
const planVersion = 2

// planRecord is the stored intent of a reshard: a process that finds one when it opens the store carries it out.
type planRecord struct {
	Version int          `json:"v"`
	Steps   []stepRecord `json:"steps,omitempty"`
	stepRecord
}

type stepRecord struct {
	Parents []record.ShardID `json:"parents,omitempty"`
	Starts  []string         `json:"starts,omitempty"` // of the children's ranges
	Ends    []string         `json:"ends,omitempty"`
}

func encodePlan(steps []step) []byte {
	plan := planRecord{Version: planVersion, Steps: make([]stepRecord, len(steps))}
	for i, st := range steps {
		r := &plan.Steps[i]
		r.Parents = st.parents
		for _, c := range st.children {
			r.Starts, r.Ends = append(r.Starts, c.Start.String()), append(r.Ends, c.End.String())
		}
	}
	return encode(plan)
}

func decodePlan(e storage.Entry) ([]step, error) {
	var plan planRecord
	if err := decodeUpTo(e, &plan, planVersion); err != nil {
		return nil, err
	}
	if plan.Version == 1 {
		plan.Steps = []stepRecord{plan.stepRecord}
	}
	steps := make([]step, len(plan.Steps))
	for i, r := range plan.Steps {
		st := &steps[i]
		st.parents = r.Parents
		for n := range r.Starts {
			var keys record.HashKeyRange
			var okStart, okEnd bool
			keys.Start, okStart = record.ParseHashKey(r.Starts[n])
			if n < len(r.Ends) {
				keys.End, okEnd = record.ParseHashKey(r.Ends[n])
			}
			if !okStart || !okEnd {
				return nil, fmt.Errorf("read %s: malformed hash key range: %w", e.Key, storage.ErrCorrupt)
			}
			st.children = append(st.children, keys)
		}
	}
	return steps, nil
}

// Reshard closes one open shard and puts two in its place, or two adjacent ones and puts one in their place; children
// are the hash key ranges of the new shards, in order, covering exactly what the parents covered. It is what SplitShard
// and MergeShards do, without their checks and texts. Faults: as reshape, and InvalidArgumentException for shards or
// ranges that do not fit.
func (s *Streams) Reshard(
	ctx context.Context, name Name, parents []record.ShardID, children []record.HashKeyRange,
) error {
	steps := []step{{parents, children}}
	return s.reshape(ctx, name, func(info *Info) ([]step, error) {
		if info.Status != Active {
			return nil, notActive(name, info.Status)
		}
		return steps, checkSteps(info, steps)
	})
}

// reshape carries out the steps that plan returns for the stream as it is. It returns when the last children accept
// records; with a pace, when the intent is durable. Records never move. All steps are one change: it stores the intent,
// creates the new shards, closes the parents, and commits everything at once, so that a crash leaves nothing half done.
// Puts that meet a closed parent wait for that commit; a reader sees a parent's end only together with its children.
// Without a pace it waits for another change of the stream to end. Plan's faults are returned, and no step at all is a
// success. An error of storage leaves the intent, which is then carried out later. Faults: ResourceNotFoundException.
func (s *Streams) reshape(ctx context.Context, name Name, plan func(*Info) ([]step, error)) error {
	return s.reshapeWith(ctx, name, func(info *Info, _ *streamRecord) ([]step, error) { return plan(info) })
}

// reshapeWith is reshape for a plan that also edits the stream's record, which is stored with the intent.
func (s *Streams) reshapeWith(
	ctx context.Context, name Name, plan func(*Info, *streamRecord) ([]step, error),
) error {
	st, err := s.settled(ctx, name)
	if err != nil {
		return err
	}
	var steps []step
	var c *claim
	err = s.update(ctx, st, func(r *streamRecord) (ops []storage.Op, err error) {
		info := r.info()
		info.Shards = st.snap.Load().info.Shards
		if steps, err = plan(&info, r); err != nil {
			return nil, err
		}
		if more := peak(steps); more > 0 && r.Mode == Provisioned {
			if c, err = s.claimQuota(&info, Provisioned, more); err != nil {
				return nil, err
			}
		}
		s.beginUpdate(r)
		if len(steps) == 0 {
			return nil, nil
		}
		r.Status = Updating
		return []storage.Op{{Key: planKey(r.ID), Value: encodePlan(steps), Expect: storage.Absent}}, nil
	}, st.renewed)
	if err != nil {
		s.release(c)
		return err
	}
	if s.schedulePaced(st) || len(steps) == 0 {
		return nil
	}
	st.working <- struct{}{}
	defer func() { <-st.working }()
	err = s.carryOut(context.WithoutCancel(ctx), st, steps)
	if err != nil {
		s.scheduleAgain(st, err)
	}
	return err
}

// intended returns the steps of the stored intent of a stream; nil: there is none.
func (s *Streams) intended(ctx context.Context, st *stream) ([]step, error) {
	e, err := s.coord.Get(ctx, planKey(st.id.Load()))
	if err != nil || e.Revision == 0 {
		return nil, err
	}
	steps, err := decodePlan(e)
	if err != nil {
		return nil, err
	}
	if err := checkSteps(&st.snap.Load().info, steps); err != nil {
		return nil, fmt.Errorf("read %s: %w: %w", e.Key, storage.ErrCorrupt, err)
	}
	return steps, nil
}

// reclaim claims what the stored intent of a stream was let through for, before the process started.
func (s *Streams) reclaim(ctx context.Context, st *stream) error {
	steps, err := s.intended(ctx, st)
	info := &st.snap.Load().info
	if more := peak(steps); err == nil && more > 0 && info.Mode == Provisioned {
		s.mu.Lock()
		st.claim = &claim{st, Provisioned, info.OpenShards() + more}
		s.mu.Unlock()
	}
	return err
}

// resumeReshard carries out the stored intent of a stream, if there is one. st.working is held.
func (s *Streams) resumeReshard(ctx context.Context, st *stream) error {
	steps, err := s.intended(ctx, st)
	if err != nil || len(steps) == 0 {
		return err
	}
	err = s.carryOut(ctx, st, steps)
	if errors.Is(err, storage.ErrConflict) { // another process may have been faster
		if e, unread := s.coord.Get(ctx, planKey(st.id.Load())); unread == nil && e.Revision == 0 {
			return nil
		}
	}
	return err
}

// carryOut performs a reshard whose intent is stored. Each part of it may be repeated. New shards are created first, so
// that puts wait for the parents to close and for one commit, but not for that. st.working is held.
func (s *Streams) carryOut(ctx context.Context, st *stream, steps []step) error {
	info := st.snap.Load().info
	shard := func(id record.ShardID) storage.Shard { return storage.Shard{Stream: info.ID, Index: id} }
	after := perform(info.Shards, steps, s.now())
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := len(info.Shards); i < len(after); i++ {
		g.Go(func() error {
			if err := s.log.Create(gctx, shard(after[i].ID), 0); err != nil && !errors.Is(err, storage.ErrExists) {
				return fmt.Errorf("create %s of %s: %w", after[i].ID, st.name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	g, gctx = errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, step := range steps {
		for _, id := range step.parents {
			g.Go(func() error {
				if _, err := s.log.Close(gctx, shard(id)); err != nil {
					return fmt.Errorf("close %s of %s: %w", id, st.name, err)
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	after = perform(info.Shards, steps, s.now()) // after the last append: no record of a parent is younger
	ops := []storage.Op{{Key: planKey(info.ID), Expect: storage.Any}}
	for i := range after {
		switch {
		case i >= len(info.Shards):
			ops = append(ops, storage.Op{
				Key: shardKey(info.ID, after[i].ID), Value: encodeShard(&after[i]), Expect: storage.Absent,
			})
		case info.Shards[i].Closed != after[i].Closed:
			ops = append(ops, storage.Op{
				Key: shardKey(info.ID, after[i].ID), Value: encodeShard(&after[i]), Expect: storage.Any,
			})
		}
	}
	return s.update(ctx, st, func(r *streamRecord) ([]storage.Op, error) {
		if err := s.unlessDeleting(st)(r.Status); err != nil {
			return nil, err
		}
		r.Status, r.Due = Active, 0
		return ops, nil
	}, func(r streamRecord, revision storage.Revision) *snapshot {
		now := r.info()
		now.Shards = after
		return newSnapshot(now, r.Tags, revision, st.snap.Load())
	})
}

func alreadyResharded(name Name, id record.ShardID) error {
	return fault.New(codeInvalid,
		"Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.",
		id, name.Name, name.Account)
}
