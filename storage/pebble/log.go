package pebble

import (
	"context"
	"fmt"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/internal/wake"
)

// log is the Store seen as a storage.Log.
type log Store

// appending is an Append on its way through the committer.
type appending struct {
	batches []storage.Batch
	shards  []*shard // of each batch; nil: already refused
	errs    []error
}

func (l *log) Append(ctx context.Context, batches []storage.Batch) []error {
	s := (*Store)(l)
	errs := make([]error, len(batches))
	if err := s.enter(ctx); err != nil {
		return fill(errs, err)
	}
	defer s.leave()
	a, _ := s.appends.Get().(*appending)
	if a == nil {
		a = new(appending)
	}
	a.batches, a.errs, a.shards = batches, errs, a.shards[:0]
	bytes := 0
	full := s.disk.full()
	for i := range batches {
		sh, err := s.find(batches[i].Writer.Shard)
		if err == nil && full && len(batches[i].Records) > 0 {
			sh, err = nil, storage.ErrFull
		}
		a.shards = append(a.shards, sh)
		if errs[i] = err; err != nil {
			continue
		}
		for j := range batches[i].Records {
			bytes += recordBytes(&batches[i].Records[j])
		}
	}
	err := s.submit(ctx, a, bytes)
	if err != nil {
		for i := range errs {
			if errs[i] == nil {
				errs[i] = err
			}
		}
		return errs // a may still be queued
	}
	s.disk.wrote(bytes)
	clear(a.shards)
	a.batches, a.errs = nil, nil
	s.appends.Put(a)
	return errs
}

func fill(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func (a *appending) stage(c *commit) {
	for i := range a.batches {
		b, sh := &a.batches[i], a.shards[i]
		switch n := record.Position(len(b.Records)); {
		case sh == nil:
		case sh.deleted:
			a.errs[i] = storage.ErrNotFound
		case b.Writer.Epoch != sh.state.epoch || b.Writer.Epoch == 0:
			a.errs[i] = storage.ErrFenced
		case sh.state.closed:
			a.errs[i] = storage.ErrShardClosed
		case n == 0:
		case n > record.MaxPosition-sh.group.last-sh.group.staged:
			a.errs[i] = fmt.Errorf(
				"storage: append to %s of stream %d: positions are used up", sh.id.Index, sh.id.Stream,
			)
		default:
			c.add(sh, b)
		}
	}
}

func (a *appending) publish(*Store) {}

// creating is a Create on its way through the committer.
type creating struct {
	id    storage.Shard
	group *group
	first record.Position
	made  *shard
	err   error
}

func (l *log) Create(ctx context.Context, id storage.Shard, first record.Position) error {
	s := (*Store)(l)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if first > record.MaxPosition {
		return fmt.Errorf(
			"storage: create %s of stream %d: first position %d is above %d", id.Index, id.Stream, first,
			record.MaxPosition,
		)
	}
	g, err := s.group(id)
	if err != nil {
		return err
	}
	op := &creating{id: id, group: g, first: max(first, 1)}
	if err := s.submit(ctx, op, 0); err != nil {
		return err
	}
	return op.err
}

func (op *creating) stage(c *commit) {
	slot := &op.group.known[op.id.Index%groupSize]
	switch {
	case op.group.gone: // since this call has found the group
		op.err = storage.ErrNotFound
		return
	case *slot != nil:
		op.err = storage.ErrExists
		return
	}
	c.seal()
	op.group.last = max(op.group.last, op.first-1)
	op.made = newShard(op.id, op.group, shardState{first: op.first}, noTime)
	*slot = op.made
	c.writeState(op.made)
	c.sync = true
}

func (op *creating) publish(*Store) {
	if op.made == nil {
		return
	}
	op.group.mu.Lock()
	op.group.shards[op.id.Index%groupSize] = op.made
	op.group.mu.Unlock()
}

func (c *commit) writeState(sh *shard) {
	_ = c.batch.Set(shardKey(tableShards, sh.id), sh.state.encode(), nil) // fails only for indexed batches
}

// onShard runs op on the shard with that id.
func (l *log) onShard(ctx context.Context, id storage.Shard, op interface {
	change
	about(*shard)
},
) error {
	s := (*Store)(l)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	sh, err := s.find(id)
	if err != nil {
		return err
	}
	op.about(sh)
	return s.submit(ctx, op, 0)
}

// shardChange is what the operations on one shard share.
type shardChange struct {
	shard *shard
	err   error
}

func (op *shardChange) about(sh *shard) { op.shard = sh }

// gone reports whether the shard was deleted, and sets the operation's error if so.
func (op *shardChange) gone() bool {
	if op.shard.deleted {
		op.err = storage.ErrNotFound
	}
	return op.shard.deleted
}

type acquiring struct {
	shardChange
	writer storage.Writer
	end    record.Position
}

func (l *log) Acquire(ctx context.Context, id storage.Shard) (storage.Writer, record.Position, error) {
	op := new(acquiring)
	if err := l.onShard(ctx, id, op); err != nil {
		return storage.Writer{}, 0, err
	}
	return op.writer, op.end, op.err
}

// stage needs no sync of its own: the epoch precedes every record of its writer in the same log.
func (op *acquiring) stage(c *commit) {
	if op.gone() {
		return
	}
	c.seal()
	st := &op.shard.state
	st.epoch++
	c.writeState(op.shard)
	op.writer = storage.Writer{Shard: op.shard.id, Epoch: st.epoch}
	op.end = max(st.first, st.last+1)
}

func (op *acquiring) publish(*Store) {}

type closing struct {
	shardChange
	last record.Position
}

func (l *log) Close(ctx context.Context, id storage.Shard) (record.Position, error) {
	op := new(closing)
	if err := l.onShard(ctx, id, op); err != nil {
		return 0, err
	}
	return op.last, op.err
}

func (op *closing) stage(c *commit) {
	if op.gone() {
		return
	}
	c.seal()
	op.last = op.shard.state.last
	if !op.shard.state.closed {
		op.shard.state.closed = true
		c.writeState(op.shard)
		c.sync = true
	}
}

func (op *closing) publish(*Store) {
	if op.err != nil {
		return
	}
	op.shard.mu.Lock()
	op.shard.seen.closed = true
	op.shard.mu.Unlock()
	op.shard.changed.Fire()
}

func (l *log) Bounds(ctx context.Context, id storage.Shard) (oldest, end record.Position, closed bool, err error) {
	s := (*Store)(l)
	if err := s.enter(ctx); err != nil {
		return 0, 0, false, err
	}
	defer s.leave()
	sh, err := s.find(id)
	if err != nil {
		return 0, 0, false, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.seen.deleted {
		return 0, 0, false, storage.ErrNotFound
	}
	return sh.seen.oldest(), sh.seen.end(), sh.seen.closed, nil
}

func (l *log) Changed(id storage.Shard) <-chan struct{} {
	s := (*Store)(l)
	if s.enter(context.Background()) != nil {
		return wake.Now
	}
	defer s.leave()
	sh, err := s.find(id)
	if err != nil {
		return wake.Now
	}
	c := sh.changed.Wait()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.seen.deleted {
		return wake.Now
	}
	return c
}
