package bucket

import (
	"context"
	"encoding/base64"
	"io"

	"github.com/shardmill/shardmill/fault"
)

// Copy is what a copy is made from.
type Copy struct {
	From        *Object // open
	Bucket, Key string  // of the copy
	Condition   Condition
	Attributes  *Attributes // instead of those of From; nil: those
	Tags        *[]Tag      // as Attributes
	Algorithm   Algorithm   // of the checksum; "": that of From, if it has one
}

// Copy makes an object from another one and returns when it is durable. The bytes are shared where the copy has the
// same ETag and checksum; of an object in parts they are read and written as one. Faults: NoSuchBucket; NoSuchKey;
// InvalidRequest (more than MaxPut bytes); PreconditionFailed; KeyTooLongError; InvalidTag; InternalError with a hint
// when no space is left.
func (bs *Buckets) Copy(ctx context.Context, c Copy) (Description, error) {
	if c.From.Size > MaxPut {
		return Description{}, fault.New(CodeInvalidRequest, "The specified copy source is larger than the maximum "+
			"allowable size for a copy source: %d", int64(MaxPut))
	}
	p := Put{
		Bucket: c.Bucket, Key: c.Key, Condition: c.Condition, Attributes: c.From.Attributes, Tags: c.From.Tags,
		Algorithm: c.Algorithm,
	}
	if c.Attributes != nil {
		p.Attributes = *c.Attributes
	}
	if c.Tags != nil {
		p.Tags = *c.Tags
	}
	if p.Algorithm == "" {
		p.Algorithm = c.From.Algorithm
	}
	if !plainETag(c.From.ETag) || p.Algorithm != c.From.Algorithm {
		body, end := c.From.reader(ctx, 0, c.From.Size)
		defer end()
		p.Body = body
		return bs.Put(ctx, p)
	}
	leave, err := bs.enter()
	if err != nil {
		return Description{}, err
	}
	defer leave()
	if err := checkKey(p.Key); err != nil {
		return Description{}, err
	}
	if err := checkTags(p.Tags, MaxObjectTags); err != nil {
		return Description{}, err
	}
	s := &stored{Description: c.From.Description, pieces: c.From.pieces} // in use for as long as From is open
	s.Attributes, s.Tags = p.Attributes, p.Tags
	if err := bs.commit(ctx, p.Bucket, p.Key, p.Condition, s); err != nil {
		return Description{}, err
	}
	return s.Description, nil
}

// CopyPart makes a part of an upload from a stretch of an object, as PutPart does from a body; p has none. The stretch
// lies within the object.
func (bs *Buckets) CopyPart(ctx context.Context, from *Object, at, size int64, p PutPart) (Part, error) {
	body, end := from.reader(ctx, at, size)
	defer end()
	p.Body = body
	return bs.PutPart(ctx, p)
}

// reader returns a stretch of an object as a reader. The caller calls end.
func (o *Object) reader(ctx context.Context, from, size int64) (r io.Reader, end func()) {
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(o.Copy(ctx, from, size, make([]byte, bufferSize), func(b []byte) error {
			_, err := pw.Write(b)
			return err
		}))
	}()
	return pr, func() {
		_ = pr.Close()
		<-done
	}
}

// checksumOf returns what Sums hold about the checksum that was asked for.
func checksumOf(a Algorithm, s Sums) Checksum {
	if a == "" {
		return Checksum{}
	}
	return Checksum{Algorithm: a, Value: base64.StdEncoding.EncodeToString(s.Checksum)}
}
