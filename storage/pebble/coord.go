package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/internal/wake"
)

// coord is the Store seen as a storage.Coord.
type coord Store

func coordKey(key string) []byte { return append([]byte{tableCoord}, key...) }

// A value is kept behind its revision.
const revisionBytes = 8

func decodeValue(key string, b []byte) (storage.Entry, error) {
	if len(b) < revisionBytes {
		return storage.Entry{}, fmt.Errorf("read %q: %w: %d bytes are no value", key, storage.ErrCorrupt, len(b))
	}
	value := make([]byte, len(b)-revisionBytes)
	copy(value, b[revisionBytes:])
	return storage.Entry{Key: key, Value: value, Revision: storage.Revision(binary.LittleEndian.Uint64(b))}, nil
}

// gate keeps readers of small values from returning what is written but not yet durable. Pebble shows a write at once,
// so a reader checks after reading whether its keys are being written, and waits if they are.
type gate struct {
	mu   sync.Mutex
	keys map[string]storage.Revision // being written; nil: none
	done chan struct{}
}

func (g *gate) shut(keys map[string]storage.Revision) {
	g.mu.Lock()
	g.keys, g.done = keys, make(chan struct{})
	g.mu.Unlock()
}

func (g *gate) open() {
	g.mu.Lock()
	close(g.done)
	g.keys, g.done = nil, nil
	g.mu.Unlock()
}

// wait returns once no key that matches is being written.
func (g *gate) wait(ctx context.Context, match func(keys map[string]storage.Revision) bool) error {
	g.mu.Lock()
	done := g.done
	if done != nil && !match(g.keys) {
		done = nil
	}
	g.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *coord) Get(ctx context.Context, key string) (storage.Entry, error) {
	s := (*Store)(c)
	if err := s.enter(ctx); err != nil {
		return storage.Entry{}, err
	}
	defer s.leave()
	e, err := s.value(key)
	if err != nil {
		return storage.Entry{}, err
	}
	err = s.gate.wait(ctx, func(keys map[string]storage.Revision) bool {
		_, ok := keys[key]
		return ok
	})
	if err := firstError(err, s.failure()); err != nil {
		return storage.Entry{}, err
	}
	return e, nil
}

// value reads what is there, durable or not.
func (s *Store) value(key string) (storage.Entry, error) {
	b, closer, err := s.get(coordKey(key))
	if errors.Is(err, crdb.ErrNotFound) {
		return storage.Entry{}, nil
	}
	if err != nil {
		return storage.Entry{}, s.valueError(key, err)
	}
	defer closer.Close()
	return decodeValue(key, b)
}

// valueError wraps an error with the key of the small value whose reading failed.
func (s *Store) valueError(key string, err error) error {
	if isDamage(err) {
		return fmt.Errorf(
			"read %q: %w: %w; check the disk, then restore %s from a backup", key, storage.ErrCorrupt, firstLine{err},
			s.dir,
		)
	}
	return fmt.Errorf("read %q: %w", key, err)
}

func (c *coord) List(ctx context.Context, prefix, from string, n int) ([]storage.Entry, error) {
	s := (*Store)(c)
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	entries, err := s.values(prefix, from, n)
	if err != nil {
		return nil, s.valueError(prefix, err)
	}
	err = s.gate.wait(ctx, func(keys map[string]storage.Revision) bool {
		for key := range keys {
			if strings.HasPrefix(key, prefix) {
				return true
			}
		}
		return false
	})
	if err := firstError(err, s.failure()); err != nil {
		return nil, err
	}
	return entries, nil
}

func (s *Store) values(prefix, from string, n int) ([]storage.Entry, error) {
	lo := coordKey(prefix)
	it, err := s.rows(&crdb.IterOptions{LowerBound: lo, UpperBound: after(lo)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var entries []storage.Entry
	for ok := it.SeekGE(append(coordKey(from), 0)); ok; ok = it.Next() {
		b, err := it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		e, err := decodeValue(string(it.Key()[1:]), b)
		if err != nil {
			return nil, err
		}
		if entries = append(entries, e); n > 0 && len(entries) == n {
			break
		}
	}
	return entries, it.Error()
}

// committing is a Commit on its way through the committer.
type committing struct {
	ops      []storage.Op
	revision storage.Revision
	err      error
}

func (c *coord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	s := (*Store)(c)
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	for _, op := range ops {
		if !strings.HasPrefix(op.Key, group) {
			return 0, fmt.Errorf("storage: commit to group %q: key %q lies outside it", group, op.Key)
		}
	}
	if len(ops) == 0 {
		return 0, nil
	}
	op := &committing{ops: ops}
	if err := s.submit(ctx, op, 0); err != nil {
		return 0, err
	}
	return op.revision, op.err
}

func (op *committing) stage(c *commit) {
	next, err := c.s.nextRevision()
	if err != nil {
		op.err = err
		return
	}
	left := make(map[string]storage.Revision, len(op.ops)) // what this commit leaves of its keys
	for _, o := range op.ops {
		now, known := left[o.Key]
		if !known {
			if now, known = c.coord[o.Key]; !known {
				e, err := c.s.value(o.Key)
				if err != nil {
					op.err = err
					return
				}
				now = e.Revision
			}
		}
		if o.Expect != storage.Any && o.Expect != now {
			op.err = fmt.Errorf("%w: %s is at %d, not %d", storage.ErrConflict, o.Key, now, o.Expect)
			return
		}
		left[o.Key] = next
		if o.Value == nil {
			left[o.Key] = 0
		}
	}
	for _, o := range op.ops {
		if o.Value == nil {
			_ = c.batch.Delete(coordKey(o.Key), nil) // fails only for indexed batches
			continue
		}
		d := c.batch.SetDeferred(1+len(o.Key), revisionBytes+len(o.Value))
		d.Key[0] = tableCoord
		copy(d.Key[1:], o.Key)
		binary.LittleEndian.PutUint64(d.Value, uint64(next))
		copy(d.Value[revisionBytes:], o.Value)
		_ = d.Finish()
	}
	for key, revision := range left {
		c.coord[strings.Clone(key)] = revision
	}
	c.s.revision = next
	op.revision = next
	c.sync = true
}

func (op *committing) publish(*Store) {}

// nextRevision returns the revision of the next commit of small values. Only the committer calls it.
func (s *Store) nextRevision() (storage.Revision, error) {
	if s.revision == 0 {
		b, closer, err := s.get(revisionKey)
		switch {
		case errors.Is(err, crdb.ErrNotFound):
			return 1, nil
		case err != nil:
			return 0, s.valueError("revision", err)
		}
		defer closer.Close()
		if len(b) != revisionBytes {
			return 0, fmt.Errorf("read the revision counter: %w: %d bytes", storage.ErrCorrupt, len(b))
		}
		s.revision = storage.Revision(binary.LittleEndian.Uint64(b))
	}
	return s.revision + 1, nil
}

// writeRevision stores the counter with the values that used it, so that no revision is used twice.
func (s *Store) writeRevision(batch *crdb.Batch) error {
	return batch.Set(revisionKey, binary.LittleEndian.AppendUint64(nil, uint64(s.revision)), nil)
}

func (c *coord) Changed(prefix string) <-chan struct{} {
	s := (*Store)(c)
	if s.enter(context.Background()) != nil {
		return wake.Now
	}
	defer s.leave()
	return s.watchers.Wait(prefix)
}
