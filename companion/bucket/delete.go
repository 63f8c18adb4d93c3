package bucket

import (
	"context"
	"errors"
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
	var done bool
	var lost []blob
	for i, r := range which {
		gone, err := bs.remove(ctx, b, r)
		lost = append(lost, gone...)
		done = done || err == nil
		out[i] = err
	}
	if done {
		// What was applied before this is durable with it: what we deleted, and what somebody else did, where there was
		// nothing left for us.
		op := storage.LocalOp{Key: objectKey(b.meta.Number, "")}
		if err := bs.local.Apply(ctx, storage.Sync, op); err != nil {
			return nil, storageFault("delete objects of bucket "+bucket, err)
		}
	}
	bs.uses.end(bs, true, lost...) // only now: an object that a crash brings back has its content
	return out, nil
}

// remove deletes one object, soon, if there is one, and returns what it referred to, which is in use then.
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
	lost = names(old.pieces)
	bs.uses.begin(lost...) // as in replace
	ops := refer([]storage.LocalOp{{Key: objectKey(b.meta.Number, r.Key)}}, old.owner, old.pieces, false)
	if err := bs.local.Apply(ctx, storage.Soon, ops...); err != nil {
		if !errors.Is(err, storage.ErrUnknown) {
			bs.uses.end(bs, false, lost...)
		}
		return nil, storageFault(fmt.Sprintf("delete object %q of bucket %s", r.Key, b.name), err)
	}
	return lost, nil
}
