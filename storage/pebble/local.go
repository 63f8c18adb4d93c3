package pebble

import (
	"bytes"
	"context"
	"errors"
	"slices"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shardmill/shardmill/storage"
)

// local is the Store seen as a storage.Local.
type local Store

func localKey(key []byte) []byte { return append([]byte{tableLocal}, key...) }

func (l *local) Get(key []byte) ([]byte, bool, error) {
	s := (*Store)(l)
	if err := s.enter(context.Background()); err != nil {
		return nil, false, err
	}
	defer s.leave()
	b, closer, err := s.get(localKey(key))
	if errors.Is(err, crdb.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, s.valueError(string(key), err)
	}
	defer closer.Close()
	return append([]byte{}, b...), true, nil
}

func (l *local) Scan(lo, hi []byte, reverse bool, visit func(k, v []byte) bool) error {
	s := (*Store)(l)
	if err := s.enter(context.Background()); err != nil {
		return err
	}
	defer s.leave()
	o := crdb.IterOptions{LowerBound: localKey(lo), UpperBound: []byte{tableLocal + 1}}
	if hi != nil {
		if bytes.Compare(lo, hi) >= 0 {
			return nil
		}
		o.UpperBound = localKey(hi)
	}
	it, err := s.rows(&o)
	if err != nil {
		return s.valueError(string(lo), err)
	}
	defer it.Close()
	begin, step := it.First, it.Next
	if reverse {
		begin, step = it.Last, it.Prev
	}
	for ok := begin(); ok; ok = step() {
		v, err := it.ValueAndErr()
		if err != nil {
			return s.valueError(string(it.Key()[1:]), err)
		}
		if !visit(it.Key()[1:], v) {
			break
		}
	}
	if err := it.Error(); err != nil {
		return s.valueError(string(lo), err)
	}
	return nil
}

// applying is an Apply on its way through the committer.
type applying struct {
	ops  []storage.LocalOp
	sync bool
}

func (l *local) Apply(ctx context.Context, d storage.Durability, ops ...storage.LocalOp) error {
	s := (*Store)(l)
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if slices.ContainsFunc(ops, func(op storage.LocalOp) bool { return op.Refusable }) && s.disk.full() {
		return storage.ErrFull
	}
	return s.submit(ctx, &applying{ops: ops, sync: d == storage.Sync}, 0)
}

func (op *applying) stage(c *commit) {
	for _, o := range op.ops {
		switch { // a batch without an index refuses nothing
		case o.Until != nil && bytes.Compare(o.Key, o.Until) >= 0: // an empty range
		case o.Until != nil:
			_ = c.batch.DeleteRange(localKey(o.Key), localKey(o.Until), nil)
		case o.Value == nil:
			_ = c.batch.Delete(localKey(o.Key), nil)
		default:
			d := c.batch.SetDeferred(1+len(o.Key), len(o.Value))
			d.Key[0] = tableLocal
			copy(d.Key[1:], o.Key)
			copy(d.Value, o.Value)
			_ = d.Finish()
		}
	}
	c.sync = c.sync || op.sync && len(op.ops) > 0
}

func (op *applying) publish(*Store) {}
