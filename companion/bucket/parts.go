package bucket

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// PutPart is what a part is made from; see Put.
type PutPart struct {
	Bucket, Key, Upload string
	Number              int // 1 to MaxParts

	Body      io.Reader
	Buffer    []byte
	Algorithm Algorithm // "": that of the upload
	Check     func(Sums) error
}

// PutPart writes a part of an upload, durably, over one with the same number. Faults: NoSuchBucket; NoSuchUpload;
// InvalidArgument (number); InvalidRequest (another algorithm); EntityTooLarge; InternalError with a hint when no space
// is left; those of Body and Check.
func (bs *Buckets) PutPart(ctx context.Context, p PutPart) (Part, error) {
	if p.Number < 1 || p.Number > MaxParts {
		return Part{}, fault.New(
			CodeInvalidArgument, "Part number must be an integer between 1 and %d, inclusive", MaxParts,
		)
	}
	if err := bs.briefly(func() error { return bs.admitPart(&p) }); err != nil {
		return Part{}, err
	}
	taken, sums, done, err := bs.take(ctx, intake{p.Body, p.Buffer, p.Algorithm, p.Check})
	if err != nil {
		return Part{}, err
	}
	defer done()
	part := Part{
		Number: p.Number, Size: sums.Size, ETag: sums.etag(), Modified: bs.clock.Now().UnixMilli(),
		Checksum: checksumOf(p.Algorithm, sums),
	}
	return part, bs.briefly(func() error { return bs.storePart(ctx, &p, part, taken) })
}

// admitPart refuses what would be refused in the end before its body is read, and settles the algorithm.
func (bs *Buckets) admitPart(p *PutPart) error {
	b, release, err := bs.use(p.Bucket)
	if err != nil {
		return err
	}
	defer release()
	_, u, err := bs.upload(b, p.Key, p.Upload)
	switch {
	case err != nil:
		return err
	case p.Algorithm == "":
		p.Algorithm = u.Algorithm
	case u.Algorithm != "" && u.Algorithm != p.Algorithm:
		return fault.New(CodeInvalidRequest,
			"Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			strings.ToLower(string(u.Algorithm)), strings.ToLower(string(p.Algorithm)))
	}
	return nil
}

// storePart makes an upload refer to a part, and lets go of what it replaces.
func (bs *Buckets) storePart(ctx context.Context, p *PutPart, part Part, content piece) error {
	b, release, err := bs.use(p.Bucket)
	if err != nil {
		return err
	}
	defer release()
	id, _ := parseUploadID(p.Upload)
	defer b.hold(id)()
	if _, _, err := bs.upload(b, p.Key, p.Upload); err != nil {
		return err // it ended meanwhile
	}
	old, err := bs.part(id, part.Number)
	if err != nil {
		return err
	}
	of, pieces := newOwner(), []piece{content}
	ops := refer([]storage.LocalOp{{
		Key: partKey(id, part.Number), Value: encodeHolding(part, of, pieces), Refusable: true,
	}}, of, pieces, true)
	var lost []blob
	if old != nil {
		ops = refer(ops, old.owner, old.pieces, false)
		lost = names(old.pieces)
	}
	if err := bs.replace(ctx, lost, ops...); err != nil {
		return storageFault(fmt.Sprintf("write part %d of an upload to bucket %s", part.Number, p.Bucket), err)
	}
	return nil
}

// storedPart is a part as it was read.
type storedPart struct {
	Part
	owner  owner
	pieces []piece // one
}

func decodePart(value []byte) (p *storedPart, err error) {
	p = new(storedPart)
	p.owner, p.pieces, err = decodeHolding(value, "part", &p.Part)
	if err == nil && len(p.pieces) != 1 {
		err = corrupt("part", errTruncated)
	}
	return p, err
}

// part returns a part of an upload, or nil if there is none.
func (bs *Buckets) part(id uploadID, number int) (*storedPart, error) {
	value, ok, err := bs.local.Get(partKey(id, number))
	if err == nil && !ok {
		return nil, nil
	}
	var p *storedPart
	if err == nil {
		p, err = decodePart(value)
	}
	if err != nil {
		return nil, storageFault(fmt.Sprintf("read part %d of an upload", number), err)
	}
	return p, nil
}

// parts visits the parts of an upload behind a number, in order.
func (bs *Buckets) parts(id uploadID, after int, visit func(*storedPart) bool) error {
	var bad error
	err := bs.local.Scan(partKey(id, after+1), append(partKey(id, math.MaxUint16), 0), false, func(_, v []byte) bool {
		p, err := decodePart(v)
		bad = err
		return err == nil && visit(p)
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return storageFault("read the parts of an upload", err)
	}
	return nil
}

// Parts returns an upload with up to n of its parts behind a number, and whether there are more. Faults: NoSuchBucket;
// NoSuchUpload.
func (bs *Buckets) Parts(_ context.Context, bucket, key, upload string, after, n int) (
	u Upload, parts []Part, more bool, err error,
) {
	leave, err := bs.enter()
	if err != nil {
		return u, nil, false, err
	}
	defer leave()
	b, release, err := bs.use(bucket)
	if err != nil {
		return u, nil, false, err
	}
	defer release()
	id, u, err := bs.upload(b, key, upload)
	if err != nil {
		return u, nil, false, err
	}
	err = bs.parts(id, min(max(after, 0), MaxParts), func(p *storedPart) bool {
		if more = len(parts) == n; more {
			return false
		}
		parts = append(parts, p.Part)
		return true
	})
	return u, parts, more, err
}
