package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

// source opens the source of a copy. The caller closes it.
func (h *Handler) source(ctx context.Context, q *request) (o *bucket.Object, name, key string, err error) {
	path, version, versioned := strings.Cut(q.r.Header.Get("X-Amz-Copy-Source"), "?versionId=")
	path, err = url.PathUnescape(strings.TrimPrefix(path, "/"))
	name, key, ok := strings.Cut(path, "/")
	switch {
	case strings.HasPrefix(path, "arn:"):
		return nil, "", "", lacks("an access point as the source of a copy")
	case err != nil || !ok || key == "" || !utf8.ValidString(path):
		return nil, "", "", invalid("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	case versioned && version != "null":
		return nil, "", "", invalid("Invalid version id specified")
	}
	// AWS copies between regions, too
	i, err := h.owned(ctx, name, q.r.Header.Get("X-Amz-Source-Expected-Bucket-Owner"))
	if err == nil && i != nil {
		err = i.Authorize(q.caller.Principal(), getObject, key)
	}
	if err != nil {
		return nil, "", "", err
	}
	if o, err = h.buckets.Open(ctx, name, key); err != nil {
		if i != nil && fault.CodeOf(err) == bucket.CodeNoSuchKey && mayNotKnow(q.caller.Principal(), i) {
			return nil, "", "", accessDenied()
		}
		var f *fault.Error
		if errors.As(err, &f) { // it is about the source, not about what the request names first
			f.Reason = map[string]string{bucket.CodeNoSuchBucket: name, bucket.CodeNoSuchKey: key}[f.Code]
		}
		return nil, "", "", err
	}
	if err := checkConditions(q.r.Header, "X-Amz-Copy-Source-", &o.Description); err != nil {
		o.Close()
		return nil, "", "", err
	}
	return o, name, key, nil
}

type copyResult struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
	checksums
}

// checksums are the elements of a checksum.
type checksums struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
}

// of returns the element of an algorithm.
func (c *checksums) of(a bucket.Algorithm) *string {
	switch a {
	case bucket.CRC32:
		return &c.ChecksumCRC32
	case bucket.CRC32C:
		return &c.ChecksumCRC32C
	case bucket.CRC64NVME:
		return &c.ChecksumCRC64NVME
	case bucket.SHA1:
		return &c.ChecksumSHA1
	case bucket.SHA256:
		return &c.ChecksumSHA256
	}
	return new(string)
}

func elements(c bucket.Checksum) (out checksums) {
	*out.of(c.Algorithm) = c.Value
	return out
}

// directive returns whether a header says REPLACE.
func directive(h http.Header, name string) (bool, error) {
	switch v := h.Get(name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, invalid("Unknown %s.", strings.TrimPrefix(name, "X-Amz-"))
	}
}

func (h *Handler) copyObject(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	in := bucket.Copy{Bucket: q.bucket, Key: q.key}
	replace, err := directive(q.r.Header, "X-Amz-Metadata-Directive")
	if err != nil {
		return nil, err
	}
	retag, err := directive(q.r.Header, "X-Amz-Tagging-Directive")
	if err != nil {
		return nil, err
	}
	if in.Algorithm, err = namedAlgorithm(q.r.Header); err != nil {
		return nil, err
	}
	if in.Condition, err = writeCondition(q.r.Header); err != nil {
		return nil, err
	}
	if replace {
		a, err := readAttributes(q.r.Header)
		if err != nil {
			return nil, err
		}
		in.Attributes = &a
	}
	if retag {
		tags, err := readTagging(q.r.Header)
		if err != nil {
			return nil, err
		}
		in.Tags = &tags
	}
	o, name, key, err := h.source(ctx, q)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if name == q.bucket && key == q.key && !replace && (in.Algorithm == "" || in.Algorithm == o.Algorithm) {
		return nil, fault.New(bucket.CodeInvalidRequest, "This copy request is illegal because it is trying to copy an "+
			"object to itself without changing the object's metadata, storage class, website redirect location or "+
			"encryption attributes.")
	}
	in.From = o
	d, err := h.buckets.Copy(ctx, in)
	if err != nil {
		return nil, err
	}
	return reply{body: copyResult{
		xml.Name{Space: namespace, Local: "CopyObjectResult"},
		stamp(d.ModifiedAt()), quoted(d.ETag),
		elements(d.Checksum),
	}}, nil
}
