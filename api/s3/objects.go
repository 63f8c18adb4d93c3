package s3

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

func (h *Handler) putObject(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	attributes, err := readAttributes(q.r.Header)
	if err != nil {
		return nil, err
	}
	tags, err := readTagging(q.r.Header)
	if err != nil {
		return nil, err
	}
	condition, err := writeCondition(q.r.Header)
	if err != nil {
		return nil, err
	}
	u, err := openUpload(q)
	if err != nil {
		return nil, err
	}
	d, err := h.buckets.Put(ctx, bucket.Put{
		Bucket: q.bucket, Key: q.key, Attributes: attributes, Tags: tags, Condition: condition,
		Body: u.body, Buffer: u.buffer, Algorithm: u.algorithm, Check: u.check,
	})
	if err != nil {
		return nil, err
	}
	header := map[string]string{"ETag": quoted(d.ETag)}
	addChecksum(header, d.Checksum)
	return reply{header: header}, nil
}

// addChecksum puts a checksum on an answer.
func addChecksum(header map[string]string, c bucket.Checksum) {
	if c.Algorithm == "" {
		return
	}
	header[checksumName(c.Algorithm)] = c.Value
	header["x-amz-checksum-type"] = checksumType(c)
}

func checksumType(c bucket.Checksum) string {
	switch {
	case c.Algorithm == "":
		return ""
	case c.Composite:
		return "COMPOSITE"
	}
	return "FULL_OBJECT"
}

// selection is what a read returns: the head of its answer, and a stretch of the object.
type selection struct {
	status     int
	header     map[string]string
	from, size int64
}

// selectBytes returns what a read of an object answers.
func selectBytes(q *request, o *bucket.Object) (selection, error) {
	switch err := checkConditions(q.r.Header, "", &o.Description); {
	case errors.Is(err, errNotModified):
		s := selection{status: http.StatusNotModified, header: map[string]string{}}
		describe(q, &o.Description, s.header)
		delete(s.header, "Content-Type")
		return s, nil
	case err != nil:
		return selection{}, err
	}
	s := selection{status: http.StatusOK, header: map[string]string{}, size: o.Size}
	part := false
	if v := q.query.Get("partNumber"); v != "" {
		if q.r.Header.Get("Range") != "" {
			return s, fault.New(bucket.CodeInvalidRequest, "Cannot specify both Range header and partNumber query parameter")
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > bucket.MaxParts {
			return s, invalid("Part number must be an integer between 1 and %d, inclusive", bucket.MaxParts)
		}
		var ok bool
		if s.from, s.size, ok = o.PartRange(n); !ok {
			return s, fault.New(codeInvalidPartNumber, "The requested partnumber is not satisfiable").
				WithStatus(http.StatusRequestedRangeNotSatisfiable)
		}
		if count := o.PartCount(); count > 0 {
			s.header["x-amz-mp-parts-count"] = strconv.Itoa(count)
		}
		part = s.size > 0
	} else {
		var err error
		if s.from, s.size, part, err = readRange(q.r.Header.Get("Range"), o.Size); err != nil {
			return s, err
		}
	}
	if part {
		s.status = http.StatusPartialContent
		s.header["Content-Range"] = "bytes " + strconv.FormatInt(s.from, 10) + "-" +
			strconv.FormatInt(s.from+s.size-1, 10) + "/" + strconv.FormatInt(o.Size, 10)
	}
	describe(q, &o.Description, s.header)
	s.header["Content-Length"] = strconv.FormatInt(s.size, 10)
	if q.r.Header.Get("X-Amz-Checksum-Mode") == "ENABLED" && s.size == o.Size {
		addChecksum(s.header, o.Checksum)
	}
	return s, nil
}

// describe puts what is known of an object on an answer.
func describe(q *request, d *bucket.Description, header map[string]string) {
	header["ETag"] = quoted(d.ETag)
	header["Last-Modified"] = d.ModifiedAt().Format(http.TimeFormat)
	header["Accept-Ranges"] = "bytes"
	contentType := d.ContentType
	if contentType == "" {
		contentType = "binary/octet-stream"
	}
	for name, value := range map[string]string{
		"Content-Type": contentType, "Content-Encoding": d.ContentEncoding, "Content-Language": d.ContentLanguage,
		"Content-Disposition": d.ContentDisposition, "Cache-Control": d.CacheControl, "Expires": d.Expires,
	} {
		if v := q.query.Get("response-" + strings.ToLower(name)); v != "" {
			value = strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
		}
		if value != "" {
			header[name] = value
		}
	}
	for name, value := range d.User {
		header["x-amz-meta-"+name] = value
	}
	if len(d.Tags) > 0 {
		header["x-amz-tagging-count"] = strconv.Itoa(len(d.Tags))
	}
}

func (h *Handler) getObject(ctx context.Context, _ wire.Caller, q *request, out *wire.Stream) error {
	o, err := h.buckets.Open(ctx, q.bucket, q.key)
	if err != nil {
		return err
	}
	defer o.Close()
	s, err := selectBytes(q, o)
	if err != nil {
		return err
	}
	if err := wire.Charge(ctx, bufferBytes); err != nil {
		return err
	}
	out.Status, out.Header = s.status, s.header
	return o.Copy(ctx, s.from, s.size, make([]byte, min(bufferBytes, s.size)), out.Send)
}

func (h *Handler) headObject(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	o, err := h.buckets.Open(ctx, q.bucket, q.key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	s, err := selectBytes(q, o)
	if err != nil {
		return nil, err
	}
	return reply{status: s.status, header: s.header}, nil
}
