package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Condition says when a write may happen; see RFC 9110, section 13.1.
type Condition struct {
	Absent bool   // If-None-Match: *, the key must not exist
	ETag   string // If-Match: the ETag that the object must have; "": not asked. "*": any
}

// holds returns the fault of a write that may not happen; old is nil if there is no object.
func (c Condition) holds(old *stored) error {
	switch {
	case c.Absent && old != nil:
		return Precondition("If-None-Match")
	case c.ETag != "" && old == nil:
		return noSuchKey()
	case c.ETag != "" && c.ETag != "*" && c.ETag != old.ETag:
		return Precondition("If-Match")
	}
	return nil
}

// Put is what an object is made from.
type Put struct {
	Bucket, Key string
	Attributes  Attributes
	Tags        []Tag
	Condition   Condition

	// Body is read to its end, which comes within MaxPut bytes, into Buffer or a buffer that is made.
	Body   io.Reader
	Buffer []byte
	// Algorithm is that of the checksum to compute; "": none. The object gets it.
	Algorithm Algorithm
	// Check is called when all has been read and before anything is stored. Its error is returned. nil: nothing to
	// check.
	Check func(Sums) error
}

// Put writes an object and returns when it is durable. What was there under its key is replaced in one step: after a
// crash it is the old object or the new one. Cancelling ctx ends reading; after that it undoes nothing. Faults:
// NoSuchBucket; EntityTooLarge; PreconditionFailed; KeyTooLongError; InvalidArgument (key); InvalidTag; InternalError
// with a hint when no space is left; those of Body and Check.
func (bs *Buckets) Put(ctx context.Context, p Put) (Description, error) {
	if err := checkTags(p.Tags, MaxObjectTags); err != nil {
		return Description{}, err
	}
	admit := func() error { return bs.admit(p.Bucket, p.Key, p.Condition) }
	if err := bs.briefly(admit); err != nil {
		return Description{}, err
	}
	taken, sums, done, err := bs.take(ctx, intake{p.Body, p.Buffer, p.Algorithm, p.Check})
	if err != nil {
		return Description{}, err
	}
	defer done()
	s := &stored{Description: Description{
		Summary: Summary{Size: sums.Size, ETag: sums.etag()}, Attributes: p.Attributes, Tags: p.Tags,
		Checksum: checksumOf(p.Algorithm, sums),
	}, pieces: []piece{taken}}
	commit := func() error { return bs.commit(ctx, p.Bucket, p.Key, p.Condition, s) }
	if err := bs.briefly(commit); err != nil {
		return Description{}, err
	}
	return s.Description, nil
}

// briefly counts do as an operation that Stop waits for. A body may take as long as its client likes, so what waits for
// one is not counted as a whole.
func (bs *Buckets) briefly(do func() error) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	return do()
}

// PutObject writes an object of which the caller has all bytes; see Put. Bucket names belong to all accounts and
// regions together, so that account and region are those of the caller and decide nothing.
func (bs *Buckets) PutObject(ctx context.Context, _, _, bucket, key string, body []byte, contentType string) error {
	_, err := bs.Put(ctx, Put{
		Bucket: bucket, Key: key, Body: bytes.NewReader(body), Attributes: Attributes{ContentType: contentType},
		Buffer: make([]byte, min(len(body)+1, bufferSize)),
	})
	return err
}

// admit refuses what would be refused in the end before its body is read.
func (bs *Buckets) admit(bucket, key string, c Condition) error {
	if err := checkKey(key); err != nil {
		return err
	}
	b, release, err := bs.use(bucket)
	if err != nil {
		return err
	}
	defer release()
	if c == (Condition{}) {
		return nil
	}
	old, err := bs.read(b, key)
	if err != nil {
		return err
	}
	return c.holds(old)
}

// bufferSize is how much of a body is read at once where the caller gives no buffer.
const bufferSize = 128 << 10

// intake is a body with what to look for in it.
type intake struct {
	body      io.Reader
	buffer    []byte
	algorithm Algorithm
	check     func(Sums) error
}

// take makes a body durable. The caller calls done once something refers to it, or nothing ever will.
func (bs *Buckets) take(ctx context.Context, in intake) (p piece, sums Sums, done func(), err error) {
	if err := bs.briefly(bs.prepare); err != nil {
		return p, sums, nil, err
	}
	if in.buffer == nil {
		in.buffer = make([]byte, bufferSize)
	}
	d := newDigester(in.algorithm)
	var out draft
	defer func() {
		if out != nil {
			out.drop()
		}
	}()
	for {
		n, rerr := fill(in.body, in.buffer)
		if d.size+int64(n) > MaxPut {
			return p, sums, nil, fault.New(CodeEntityTooLarge,
				"Your proposed upload exceeds the maximum allowed size").WithStatus(http.StatusBadRequest)
		}
		if n > 0 {
			d.add(in.buffer[:n])
			write := func() (err error) {
				if out == nil {
					out, err = bs.content.create()
				}
				if err == nil {
					_, err = out.Write(in.buffer[:n])
				}
				return err
			}
			if err := bs.briefly(write); err != nil {
				return p, sums, nil, storageFault("write an object", err)
			}
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr == nil {
			rerr = ctx.Err()
		}
		if rerr != nil {
			return p, sums, nil, rerr
		}
	}
	sums = d.sums()
	if in.check != nil {
		if err := in.check(sums); err != nil {
			return p, sums, nil, err
		}
	}
	p.size = sums.Size
	if p.size == 0 {
		return p, sums, func() {}, nil
	}
	used := false
	err = bs.briefly(func() error {
		return out.keep(sums.SHA256, func(n blob) {
			p.name, used = n, true
			bs.uses.begin(n)
		})
	})
	done = func() { bs.uses.end(bs, true, p.name) }
	if err != nil {
		if used {
			done()
		}
		return p, sums, nil, storageFault("write an object", err)
	}
	return p, sums, done, nil
}

// fill reads until a buffer is full or there is an error: io.EOF at the end. io.ReadFull will not do: its error is the
// same for an end in the middle of the buffer and for a body that was cut off.
func fill(r io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var got int
		got, err = r.Read(buffer[n:])
		n += got
	}
	return n, err
}

// commit stores an object of which the content is in use.
func (bs *Buckets) commit(ctx context.Context, bucket, key string, c Condition, s *stored) error {
	b, release, err := bs.use(bucket)
	if err != nil {
		return err
	}
	defer release()
	return bs.commitIn(ctx, b, key, c, s, nil, nil)
}

// commitIn stores an object under its key, with further changes by which names may be lost, and lets go of what it
// replaces. The bucket is in use, and so is the content of the object unless something refers to it until then.
func (bs *Buckets) commitIn(
	ctx context.Context, b *bucket, key string, c Condition, s *stored, lost []blob, more []storage.LocalOp,
) error {
	defer bs.lock(b, key)()
	old, err := bs.read(b, key)
	if err != nil {
		return err
	}
	if err := c.holds(old); err != nil {
		return err
	}
	s.owner, s.Modified = newOwner(), bs.clock.Now().UnixMilli()
	ops := append(more, storage.LocalOp{
		Key: objectKey(b.meta.Number, key), Value: encodeHolding(&s.Description, s.owner, s.pieces), Refusable: true,
	})
	ops = refer(ops, s.owner, s.pieces, true)
	if old != nil {
		ops = refer(ops, old.owner, old.pieces, false)
		lost = append(lost, names(old.pieces)...)
	}
	if err := bs.replace(ctx, lost, ops...); err != nil {
		return storageFault(fmt.Sprintf("write object %q of bucket %s", key, b.name), err)
	}
	return nil
}
