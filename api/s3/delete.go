package s3

import (
	"context"
	"encoding/xml"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

func (h *Handler) deleteObject(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	errs, err := h.buckets.Remove(ctx, q.bucket, bucket.Remove{Key: q.key, ETag: wanted(q.r.Header.Get("If-Match"))})
	if err != nil {
		return nil, err
	}
	return nil, errs[0]
}

type deleteRequest struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Objects []struct {
		Key       string
		ETag      string
		VersionID string `xml:"VersionId"`
		Size      *int64
		Modified  string `xml:"LastModifiedTime"`
	} `xml:"Object"`
}

type deleteResult struct {
	XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
	Deleted []deletedKey
	Error   []deleteError
}

type deletedKey struct{ Key text }

type deleteError struct {
	Key     text
	Code    string
	Message string
}

func (h *Handler) deleteObjects(ctx context.Context, c wire.Caller, q *request) (any, error) {
	if q.r.Header.Get("Content-Md5") == "" {
		if cl, err := readClaims(q.r.Header); err == nil && cl.algorithm == "" {
			return nil, fault.New(bucket.CodeInvalidRequest, "Missing required header for this request: Content-MD5")
		}
	}
	var in deleteRequest
	if err := readXML(q, &in); err != nil {
		return nil, err
	}
	if len(in.Objects) == 0 || len(in.Objects) > maxKeysPerCall {
		return nil, malformedXML()
	}
	i, err := h.buckets.Look(ctx, q.bucket)
	if err != nil {
		return nil, err
	}
	var out deleteResult
	var which []bucket.Remove
	for _, o := range in.Objects {
		switch {
		case o.Size != nil || o.Modified != "":
			return nil, lacks("Size and LastModifiedTime of DeleteObjects")
		case o.VersionID != "" && o.VersionID != "null":
			out.Error = append(out.Error, deleteError{
				text(o.Key), "NoSuchVersion", "The specified version does not exist.",
			})
			continue
		}
		if err := i.Authorize(c.Principal(), deleteObject, o.Key); err != nil {
			f := h.faults.Of(ctx, c, err)
			out.Error = append(out.Error, deleteError{text(o.Key), f.Code, f.Message})
			continue
		}
		which = append(which, bucket.Remove{Key: o.Key, ETag: wanted(o.ETag)})
	}
	errs, err := h.buckets.Remove(ctx, q.bucket, which...)
	if err != nil {
		return nil, err
	}
	for i, err := range errs {
		key := text(which[i].Key)
		if err != nil {
			f := h.faults.Of(ctx, c, err)
			out.Error = append(out.Error, deleteError{key, f.Code, f.Message})
		} else if !in.Quiet {
			out.Deleted = append(out.Deleted, deletedKey{key})
		}
	}
	return reply{body: out}, nil
}
