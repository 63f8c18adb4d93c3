package bucket

import (
	"context"
	"fmt"
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// BucketTags returns a bucket's tags. Faults: NoSuchBucket; NoSuchTagSet if it has none.
func (bs *Buckets) BucketTags(_ context.Context, name string) ([]Tag, error) {
	leave, err := bs.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	b, release, err := bs.use(name)
	if err != nil {
		return nil, err
	}
	defer release()
	if len(b.meta.Tags) == 0 {
		return nil, fault.New(CodeNoSuchTagSet, "The TagSet does not exist").WithStatus(http.StatusNotFound)
	}
	return b.meta.Tags, nil
}

// TagBucket replaces all tags of a bucket, durably; it keeps the slice. Faults: NoSuchBucket; InvalidTag; BadRequest
// (too many).
func (bs *Buckets) TagBucket(ctx context.Context, name string, tags []Tag) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := checkTags(tags, MaxBucketTags); err != nil {
		return err
	}
	return bs.change(ctx, name, "tag", func(_ *bucket, m *meta) (refusable bool, err error) {
		m.Tags = tags
		return len(tags) > 0, nil
	})
}

// Tags returns an object's tags. Faults: NoSuchBucket; NoSuchKey.
func (bs *Buckets) Tags(ctx context.Context, bucket, key string) ([]Tag, error) {
	o, err := bs.Open(ctx, bucket, key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return o.Description.Tags, nil
}

// Tag replaces all tags of an object, durably; it stays otherwise what it was. Faults: NoSuchBucket; NoSuchKey;
// InvalidTag; BadRequest (too many).
func (bs *Buckets) Tag(ctx context.Context, bucket, key string, tags []Tag) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := checkTags(tags, MaxObjectTags); err != nil {
		return err
	}
	b, release, err := bs.use(bucket)
	if err != nil {
		return err
	}
	defer release()
	defer bs.lock(b, key)()
	s, err := bs.read(b, key)
	if err != nil {
		return err
	}
	if s == nil {
		return noSuchKey()
	}
	s.Description.Tags = tags
	op := storage.LocalOp{
		Key: objectKey(b.meta.Number, key), Value: encodeHolding(&s.Description, s.owner, s.pieces),
		Refusable: len(tags) > 0,
	}
	if err := bs.local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return storageFault(fmt.Sprintf("tag object %q of bucket %s", key, bucket), err)
	}
	return nil
}
