package bucket

import (
	"context"
	"fmt"
)

// Object is an object that can be read. It stays what it was when it was opened, until Close.
type Object struct {
	Description
	bs     *Buckets
	title  string
	pieces []piece
}

// Open opens an object for reading. The caller closes it. Faults: NoSuchBucket; NoSuchKey.
func (bs *Buckets) Open(_ context.Context, bucket, key string) (*Object, error) {
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
	defer bs.lock(b, key)() // so that its content is in use before it can be replaced
	s, err := bs.read(b, key)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, noSuchKey()
	}
	bs.uses.begin(names(s.pieces)...)
	return &Object{s.Description, bs, fmt.Sprintf("object %q of bucket %s", key, bucket), s.pieces}, nil
}

// Close ends the use of an object. Twice is harmless.
func (o *Object) Close() {
	o.bs.uses.end(o.bs, false, names(o.pieces)...)
	o.pieces = nil
}

// PartCount returns how many parts an object was uploaded in; 0: it was not.
func (o *Object) PartCount() int {
	if plainETag(o.ETag) {
		return 0
	}
	return len(o.pieces)
}

// PartRange returns where a part begins and how many bytes it has. ok is false if there is no such part. An object that
// was not uploaded in parts is its own first one.
func (o *Object) PartRange(number int) (from, size int64, ok bool) {
	if o.PartCount() == 0 {
		return 0, o.Size, number == 1
	}
	if number < 1 || number > len(o.pieces) {
		return 0, 0, false
	}
	for _, p := range o.pieces[:number-1] {
		from += p.size
	}
	return from, o.pieces[number-1].size, true
}

// Copy passes size bytes from an offset on to send, in parts that fit into buffer. The range lies within the object.
// What send is given is its own until it returns. It ends with the first error.
func (o *Object) Copy(ctx context.Context, from, size int64, buffer []byte, send func([]byte) error) error {
	for _, p := range o.pieces {
		if size == 0 {
			return nil
		}
		if from >= p.size {
			from -= p.size
			continue
		}
		n := min(size, p.size-from)
		if err := o.copyPiece(ctx, p, from, n, buffer, send); err != nil {
			return err
		}
		from, size = 0, size-n
	}
	return nil
}

func (o *Object) copyPiece(
	ctx context.Context, p piece, from, size int64, buffer []byte, send func([]byte) error,
) error {
	r, err := o.bs.content.open(p.name, p.size)
	if err != nil {
		return fmt.Errorf("read %s: %w", o.title, err)
	}
	defer r.Close()
	for size > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buffer
		if size < int64(len(part)) {
			part = part[:size]
		}
		if n, err := r.ReadAt(part, from); n < len(part) {
			return fmt.Errorf("read %s: %w", o.title, err)
		}
		if err := send(part); err != nil {
			return err
		}
		from, size = from+int64(len(part)), size-int64(len(part))
	}
	return nil
}
