package bucket

import (
	"context"
	"fmt"

	"github.com/shardmill/shardmill/storage"
)

// Remove is what to delete, and under which condition.
type Remove struct {
	Key  string
	ETag string // the ETag that the object must have; "": not asked. "*": any
}

// Remove deletes objects of a bucket and returns when that is durable. Keys that do not exist are harmless. The result
// has an error, or nil, for each of them; the other error is one of all. Faults: NoSuchBucket; for each
// KeyTooLongError, PreconditionFailed.
func (bs *Buckets) Remove(ctx context.Context, bucket string, which ...Remove) ([]error, error) {
	leave, err := bs.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	b, release, err := bs.use(bucket)
	if err != nil {
		return nil, err
	}
	defer release()
	ctx = context.WithoutCancel(ctx)
	out := make([]error, len(which))
	var removed bool
	var lost []blob
	for i, r := range which {
		gone, err := bs.remove(ctx, b, r)
		lost = append(lost, gone...)
		removed = removed || gone != nil
		out[i] = err
	}
	if removed {
		// what was applied before this is durable with it
		op := storage.LocalOp{Key: objectKey(b.meta.Number, "")}
		if err := bs.local.Apply(ctx, storage.Sync, op); err != nil {
			return nil, storageFault("delete objects of bucket "+bucket, err)
		}
	}
	bs.uses.lost(bs, lost...) // only now: an object that a crash brings back has its content
	return out, nil
}

// remove deletes one object, soon, and returns what it referred to; nil: there was none.
func (bs *Buckets) remove(ctx context.Context, b *bucket, r Remove) (lost []blob, err error) {
	if err := checkKey(r.Key); err != nil {
		return nil, err
	}
	defer bs.lock(b, r.Key)()
	old, err := bs.read(b, r.Key)
	if err != nil {
		return nil, err
	}
	if old == nil {
		return nil, nil
	}
	if err := (Condition{ETag: r.ETag}).holds(old); err != nil {
		return nil, err
	}
	ops := refer([]storage.LocalOp{{Key: objectKey(b.meta.Number, r.Key)}}, old.owner, old.pieces, false)
	if err := bs.local.Apply(ctx, storage.Soon, ops...); err != nil {
		return nil, storageFault(fmt.Sprintf("delete object %q of bucket %s", r.Key, b.name), err)
	}
	return append([]blob{}, names(old.pieces)...), nil
}
