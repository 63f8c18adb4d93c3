package bucket

import (
	"context"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

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
