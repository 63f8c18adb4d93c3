package bucket

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Upload is an object that is being uploaded in parts.
type Upload struct {
	Attributes
	Tags []Tag `json:",omitempty"`
	UploadSummary
}

// UploadSummary is the part of an Upload that every list shows.
type UploadSummary struct {
	Algorithm Algorithm `json:",omitempty"` // of the checksums of its parts; "": what each part says
	Composite bool      `json:",omitempty"` // the checksum of the object is one over those of its parts
	Initiated int64     // Unix milliseconds
}

// Began returns when the upload began.
func (u *UploadSummary) Began() time.Time { return time.UnixMilli(u.Initiated).UTC() }

// text returns an upload's id as clients see it.
func (id uploadID) text() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

func parseUploadID(text string) (id uploadID, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	copy(id[:], b)
	return id, true
}

// Begin begins an upload in parts, durably, and returns its id. Faults: NoSuchBucket; KeyTooLongError; InvalidArgument
// (key); InvalidTag.
func (bs *Buckets) Begin(ctx context.Context, bucket, key string, u Upload) (string, error) {
	leave, err := bs.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	if err := checkKey(key); err != nil {
		return "", err
	}
	if err := checkTags(u.Tags, MaxObjectTags); err != nil {
		return "", err
	}
	b, release, err := bs.use(bucket)
	if err != nil {
		return "", err
	}
	defer release()
	u.Initiated = bs.clock.Now().UnixMilli()
	id := newUploadID(u.Initiated)
	op := storage.LocalOp{Key: uploadKey(b.meta.Number, key, id), Value: encode(u), Refusable: true}
	if err := bs.local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return "", storageFault(fmt.Sprintf("begin the upload of %q to bucket %s", key, bucket), err)
	}
	return id.text(), nil
}

// upload finds an upload under way. The bucket is in use.
func (bs *Buckets) upload(b *bucket, key, text string) (id uploadID, u Upload, err error) {
	id, ok := parseUploadID(text)
	if !ok {
		return id, u, noSuchUpload()
	}
	value, ok, err := bs.local.Get(uploadKey(b.meta.Number, key, id))
	switch {
	case err != nil:
	case !ok:
		return id, u, noSuchUpload()
	default:
		err = decode(value, "upload", &u)
	}
	if err != nil {
		return id, u, storageFault("read an upload to bucket "+b.name, err)
	}
	return id, u, nil
}

// hold keeps an upload from changing until release is called. The bucket is in use, and no object of it is locked.
func (b *bucket) hold(id uploadID) (release func()) {
	m := &b.uploads[id[len(id)-1]%stripes]
	m.Lock()
	return m.Unlock
}

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

// forget adds what ends an upload to ops, and what it referred to to lost.
func (bs *Buckets) forget(ops []storage.LocalOp, lost []blob, id uploadID) ([]storage.LocalOp, []blob, error) {
	err := bs.parts(id, 0, func(p *storedPart) bool {
		ops = refer(ops, p.owner, p.pieces, false)
		lost = append(lost, names(p.pieces)...)
		return true
	})
	ops = append(ops, storage.LocalOp{Key: partKey(id, 0), Until: append(partKey(id, math.MaxUint16), 0)})
	return ops, lost, err
}

// Abort ends an upload and deletes its parts; a part that is being written is refused. Faults: NoSuchBucket;
// NoSuchUpload.
func (bs *Buckets) Abort(ctx context.Context, bucket, key, upload string) error {
	leave, err := bs.enter()
	if err != nil {
		return err
	}
	defer leave()
	b, release, err := bs.use(bucket)
	if err != nil {
		return err
	}
	defer release()
	id, _ := parseUploadID(upload)
	defer b.hold(id)()
	if _, _, err = bs.upload(b, key, upload); err != nil {
		return err
	}
	ops, lost, err := bs.forget([]storage.LocalOp{{Key: uploadKey(b.meta.Number, key, id)}}, nil, id)
	if err != nil {
		return err
	}
	if err := bs.replace(ctx, lost, ops...); err != nil {
		return storageFault("abort an upload to bucket "+bucket, err)
	}
	return nil
}

// Complete is what an object is put together from.
type Complete struct {
	Bucket, Key, Upload string
	Condition           Condition
	Parts               []Part // Number, ETag and, if the client says it, Checksum
	Size                int64  // that the object must have; < 0: not asked
	Checksum            Checksum
}

// Complete makes an object from the parts of an upload and returns when it is durable; parts that are not named go. No
// byte is copied. A repeat gives the same answer for as long as the object stands. Faults: NoSuchBucket; NoSuchUpload;
// InvalidPart; InvalidPartOrder; EntityTooSmall; EntityTooLarge; InvalidRequest; BadDigest; PreconditionFailed.
func (bs *Buckets) Complete(ctx context.Context, c Complete) (Description, error) {
	leave, err := bs.enter()
	if err != nil {
		return Description{}, err
	}
	defer leave()
	b, release, err := bs.use(c.Bucket)
	if err != nil {
		return Description{}, err
	}
	defer release()
	id, _ := parseUploadID(c.Upload)
	defer b.hold(id)()
	_, u, err := bs.upload(b, c.Key, c.Upload)
	if fault.CodeOf(err) == CodeNoSuchUpload {
		if s, e := bs.read(b, c.Key); e == nil && s != nil && s.Upload == c.Upload && c.Upload != "" {
			return s.Description, nil
		}
	}
	if err != nil {
		return Description{}, err
	}
	s, err := bs.assemble(id, &u, &c)
	if err != nil {
		return Description{}, err
	}
	end, lost, err := bs.forget([]storage.LocalOp{{Key: uploadKey(b.meta.Number, c.Key, id)}}, nil, id)
	if err != nil {
		return Description{}, err
	}
	if err := bs.commitIn(ctx, b, c.Key, c.Condition, s, lost, end); err != nil {
		return Description{}, err
	}
	return s.Description, nil
}

// assemble returns the object that parts make.
func (bs *Buckets) assemble(id uploadID, u *Upload, c *Complete) (*stored, error) {
	s := &stored{Description: Description{Attributes: u.Attributes, Tags: u.Tags, Upload: c.Upload}}
	parts := make([]Part, 0, len(c.Parts))
	for i := range c.Parts {
		if i > 0 && c.Parts[i].Number <= c.Parts[i-1].Number {
			return nil, fault.New(CodeInvalidPartOrder, "The list of parts was not in ascending order. "+
				"The parts list must be specified in order by part number.")
		}
	}
	for i, want := range c.Parts {
		var p *storedPart
		var err error
		if want.Number >= 1 && want.Number <= MaxParts {
			p, err = bs.part(id, want.Number)
		}
		if err != nil {
			return nil, err
		}
		if p == nil || p.ETag != want.ETag ||
			want.Algorithm != "" && (want.Algorithm != p.Algorithm || want.Value != p.Value) {
			return nil, fault.New(CodeInvalidPart, "One or more of the specified parts could not be found.  "+
				"The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		}
		if i < len(c.Parts)-1 && p.Size < MinPart {
			return nil, fault.New(CodeEntityTooSmall, "Your proposed upload is smaller than the minimum allowed size")
		}
		s.Size += p.Size
		s.pieces = append(s.pieces, p.pieces[0])
		parts = append(parts, p.Part)
	}
	switch {
	case s.Size > MaxObject:
		return nil, fault.New(CodeEntityTooLarge, "Your proposed upload exceeds the maximum allowed object size.")
	case c.Size >= 0 && c.Size != s.Size:
		return nil, fault.New(CodeInvalidRequest,
			"The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	s.ETag = compositeETag(parts)
	if u.Algorithm != "" {
		s.Checksum = Checksum{Algorithm: u.Algorithm, Composite: u.Composite}
		if u.Composite {
			s.Value = compositeChecksum(u.Algorithm, parts)
		} else {
			s.Value = wholeChecksum(u.Algorithm, parts)
		}
	}
	if want := c.Checksum; want.Algorithm != "" && (want.Algorithm != s.Algorithm || want.Value != s.Value) {
		return nil, BadDigest(want.Algorithm)
	}
	return s, nil
}

// BadDigest returns the fault of a checksum that is not that of the bytes.
func BadDigest(a Algorithm) *fault.Error {
	return fault.New(CodeBadDigest, "The %s you specified did not match the calculated checksum.", a).
		WithStatus(http.StatusBadRequest)
}

// Uploading is an upload in a list: without what may be large, its metadata and tags.
type Uploading struct {
	Key, ID string
	UploadSummary
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

// UploadPage is a part of a list of uploads, in the order of keys, then of their beginning.
type UploadPage struct {
	Uploads []Uploading
	Groups  []string
	// where a further page goes on: behind an upload of a key, or behind a group; "" if there is none
	Last, LastID string
}

// Uploads returns a page of a bucket's uploads. With afterID, only uploads behind that one of the key q.After and those
// of later keys. Faults: NoSuchBucket; InvalidArgument.
func (bs *Buckets) Uploads(_ context.Context, bucket string, q Query, afterID string) (page UploadPage, err error) {
	leave, err := bs.enter()
	if err != nil {
		return page, err
	}
	defer leave()
	b, release, err := bs.use(bucket)
	if err != nil {
		return page, err
	}
	defer release()
	base := numbered(prefixUpload, b.meta.Number)
	from := appendEscaped(append([]byte{}, base...), q.start())
	if id, ok := parseUploadID(afterID); afterID != "" && q.After != "" {
		if !ok {
			return page, fault.New(CodeInvalidArgument, "Invalid uploadId marker")
		}
		from = append(uploadKey(b.meta.Number, q.After, id), 0)
	}
	var bad error
	group, key, id := "", "", ""
	more := false
	err = bs.local.Scan(from, numbered(prefixUpload, b.meta.Number+1), false, func(k, v []byte) bool {
		next, upload, _ := splitUploadKey(k)
		g := q.groupOf(next)
		switch {
		case next < q.Prefix || g != "" && g == group:
			return true
		case !strings.HasPrefix(next, q.Prefix):
			return false
		}
		if more = len(page.Uploads)+len(page.Groups) == q.Max; more {
			return false
		}
		if group = g; g != "" {
			page.Groups = append(page.Groups, g)
			key, id = g, ""
			return true
		}
		var u Upload
		if bad = decode(v, "upload", &u); bad != nil {
			return false
		}
		key, id = next, upload.text()
		page.Uploads = append(page.Uploads, Uploading{key, id, u.UploadSummary})
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return page, storageFault("list the uploads to bucket "+bucket, err)
	}
	if more {
		page.Last, page.LastID = key, id
	}
	return page, nil
}
