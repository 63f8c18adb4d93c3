package s3

import (
	"context"
	"encoding/xml"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

type beginResult struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
	Bucket   string
	Key      text
	UploadID string `xml:"UploadId"`
}

func (h *Handler) createMultipartUpload(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	attributes, err := readAttributes(q.r.Header)
	if err != nil {
		return nil, err
	}
	tags, err := readTagging(q.r.Header)
	if err != nil {
		return nil, err
	}
	u := bucket.Upload{Attributes: attributes, Tags: tags}
	if u.Algorithm, err = namedAlgorithm(q.r.Header); err != nil {
		return nil, err
	}
	switch kind := q.r.Header.Get("X-Amz-Checksum-Type"); {
	case kind == "COMPOSITE" && u.Algorithm == bucket.CRC64NVME,
		kind == "FULL_OBJECT" && (u.Algorithm == bucket.SHA1 || u.Algorithm == bucket.SHA256):
		return nil, fault.New(bucket.CodeInvalidRequest, "The %s checksum type cannot be used with the %s checksum algorithm.",
			kind, strings.ToLower(string(u.Algorithm)))
	case kind != "" && u.Algorithm == "":
		return nil, fault.New(bucket.CodeInvalidRequest,
			"The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case kind == "COMPOSITE", kind == "" && u.Algorithm != "" && u.Algorithm != bucket.CRC64NVME:
		u.Composite = true
	case kind != "" && kind != "FULL_OBJECT":
		return nil, fault.New(bucket.CodeInvalidRequest, "Value for x-amz-checksum-type header is invalid.")
	}
	id, err := h.buckets.Begin(ctx, q.bucket, q.key, u)
	if err != nil {
		return nil, err
	}
	header := map[string]string{}
	if u.Algorithm != "" {
		header["x-amz-checksum-algorithm"] = string(u.Algorithm)
		header["x-amz-checksum-type"] = checksumType(bucket.Checksum{Algorithm: u.Algorithm, Composite: u.Composite})
	}
	return reply{header: header, body: beginResult{Bucket: q.bucket, Key: text(q.key), UploadID: id}}, nil
}

// part returns the part that a request names.
func (q *request) part() (bucket.PutPart, error) {
	n, err := strconv.Atoi(q.query.Get("partNumber"))
	if err != nil {
		return bucket.PutPart{}, invalid("Part number must be an integer between 1 and %d, inclusive", bucket.MaxParts)
	}
	return bucket.PutPart{Bucket: q.bucket, Key: q.key, Upload: q.query.Get("uploadId"), Number: n}, nil
}

func (h *Handler) uploadPart(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	in, err := q.part()
	if err != nil {
		return nil, err
	}
	u, err := openUpload(q)
	if err != nil {
		return nil, err
	}
	in.Body, in.Buffer, in.Algorithm, in.Check = u.body, u.buffer, u.algorithm, u.check
	p, err := h.buckets.PutPart(ctx, in)
	if err != nil {
		return nil, err
	}
	header := map[string]string{"ETag": quoted(p.ETag)}
	if p.Algorithm != "" {
		header[checksumName(p.Algorithm)] = p.Value
	}
	return reply{header: header}, nil
}

func (h *Handler) uploadPartCopy(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	in, err := q.part()
	if err != nil {
		return nil, err
	}
	o, _, _, err := h.source(ctx, q)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	from, size := int64(0), o.Size
	if v := q.r.Header.Get("X-Amz-Copy-Source-Range"); v != "" {
		first, last, _ := strings.Cut(strings.TrimPrefix(v, "bytes="), "-")
		a, errA := strconv.ParseUint(first, 10, 62)
		b, errB := strconv.ParseUint(last, 10, 62)
		switch {
		case !strings.HasPrefix(v, "bytes=") || errA != nil || errB != nil || b < a:
			return nil, invalid("The x-amz-copy-source-range value must be of the form bytes=first-last where first and " +
				"last are the zero-based offsets of the first and last bytes to copy")
		case int64(b) >= o.Size:
			return nil, invalid("Range specified is not valid for source object of size: %d", o.Size)
		}
		from, size = int64(a), int64(b-a+1)
	}
	if size > bucket.MaxPut {
		return nil, fault.New(bucket.CodeInvalidRequest, "The specified copy source is larger than the maximum allowable "+
			"size for a copy source: %d", int64(bucket.MaxPut))
	}
	p, err := h.buckets.CopyPart(ctx, o, from, size, in)
	if err != nil {
		return nil, err
	}
	return reply{body: copyResult{
		xml.Name{Space: namespace, Local: "CopyPartResult"},
		stamp(time.UnixMilli(p.Modified)), quoted(p.ETag),
		elements(p.Checksum),
	}}, nil
}

type completeRequest struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Parts   []struct {
		PartNumber int
		ETag       string
		checksums
	} `xml:"Part"`
}

type completeResult struct {
	XMLName  xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
	Location text
	Bucket   string
	Key      text
	ETag     string
	checksums
	ChecksumType string `xml:",omitempty"`
}

func (h *Handler) completeMultipartUpload(ctx context.Context, c wire.Caller, q *request) (any, error) {
	// A checksum here is that of the object, not of the body.
	in := bucket.Complete{Bucket: q.bucket, Key: q.key, Upload: q.query.Get("uploadId"), Size: -1}
	for _, a := range bucket.Algorithms {
		name := checksumName(a)
		if v := q.r.Header.Get(name); v != "" {
			in.Checksum = bucket.Checksum{Algorithm: a, Value: v}
			q.r.Header.Del(name)
		}
	}
	var err error
	if v := q.r.Header.Get("X-Amz-Mp-Object-Size"); v != "" {
		if in.Size, err = strconv.ParseInt(v, 10, 64); err != nil || in.Size < 0 {
			return nil, fault.New(bucket.CodeInvalidRequest, "Value for x-amz-mp-object-size header is invalid.")
		}
	}
	if in.Condition, err = writeCondition(q.r.Header); err != nil {
		return nil, err
	}
	var body completeRequest
	if err := readXML(q, &body); err != nil {
		return nil, err
	}
	if len(body.Parts) == 0 || len(body.Parts) > bucket.MaxParts {
		return nil, malformedXML()
	}
	for _, p := range body.Parts {
		part := bucket.Part{Number: p.PartNumber, ETag: unquoted(p.ETag)}
		for _, a := range bucket.Algorithms {
			if v := *p.of(a); v != "" {
				part.Checksum = bucket.Checksum{Algorithm: a, Value: v}
			}
		}
		in.Parts = append(in.Parts, part)
	}
	d, err := h.buckets.Complete(ctx, in)
	if err != nil {
		return nil, err
	}
	place := q.key
	if HostBucket(wire.HostPrefix(q.r)) == "" || !strings.HasSuffix(c.Endpoint, q.r.Host) {
		place = q.bucket + "/" + q.key
	}
	return reply{body: completeResult{
		Location: text(c.Endpoint+"/") + spelling(true).of(place), Bucket: q.bucket, Key: text(q.key),
		ETag: quoted(d.ETag), checksums: elements(d.Checksum), ChecksumType: checksumType(d.Checksum),
	}}, nil
}

func (h *Handler) abortMultipartUpload(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	return nil, h.buckets.Abort(ctx, q.bucket, q.key, q.query.Get("uploadId"))
}

type partsResult struct {
	XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
	Bucket               string
	Key                  text
	UploadID             string `xml:"UploadId"`
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	Parts                []partEntry `xml:"Part"`
	Initiator, Owner     owner
	StorageClass         string
	ChecksumAlgorithm    bucket.Algorithm `xml:",omitempty"`
	ChecksumType         string           `xml:",omitempty"`
}

type partEntry struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	checksums
}

func (h *Handler) listParts(ctx context.Context, c wire.Caller, q *request) (any, error) {
	most, err := q.number("max-parts", maxKeysPerCall)
	if err != nil {
		return nil, err
	}
	after := 0
	if q.query.Get("part-number-marker") != "" {
		if after, err = q.number("part-number-marker", bucket.MaxParts); err != nil {
			return nil, err
		}
	}
	upload := q.query.Get("uploadId")
	u, parts, more, err := h.buckets.Parts(ctx, q.bucket, q.key, upload, after, most)
	if err != nil {
		return nil, err
	}
	id := owner{ownerID(c.Account)}
	out := partsResult{
		Bucket: q.bucket, Key: text(q.key), UploadID: upload, PartNumberMarker: after, MaxParts: most,
		IsTruncated: more,
		Initiator:   id, Owner: id, StorageClass: "STANDARD", ChecksumAlgorithm: u.Algorithm,
		ChecksumType: checksumType(bucket.Checksum{Algorithm: u.Algorithm, Composite: u.Composite}),
	}
	for _, p := range parts {
		out.Parts = append(out.Parts, partEntry{
			p.Number, stamp(time.UnixMilli(p.Modified)), quoted(p.ETag), p.Size, elements(p.Checksum),
		})
		out.NextPartNumberMarker = p.Number
	}
	return reply{body: out}, nil
}
