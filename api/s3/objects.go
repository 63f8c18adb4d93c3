package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/fault"
)

// readAttributes returns what a request says about an object.
func readAttributes(h http.Header) (bucket.Attributes, error) {
	a := bucket.Attributes{
		ContentType: h.Get("Content-Type"), ContentLanguage: h.Get("Content-Language"),
		ContentDisposition: h.Get("Content-Disposition"), CacheControl: h.Get("Cache-Control"),
		Expires: h.Get("Expires"),
	}
	other := slices.DeleteFunc(encodings(h), func(e string) bool { return e == awsChunked })
	a.ContentEncoding = strings.Join(other, ",")
	size := 0
	for name, values := range h {
		rest, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-")
		if !ok {
			continue
		}
		if a.User == nil {
			a.User = map[string]string{}
		}
		value := strings.Join(values, ",")
		a.User[rest] = value
		size += len(rest) + len(value)
		if !utf8.ValidString(value) {
			return a, invalid("Header value cannot be represented using UTF-8.")
		}
	}
	if size > maxMetadata {
		return a, fault.New(codeMetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size")
	}
	for _, v := range []string{
		a.ContentType, a.ContentLanguage, a.ContentDisposition, a.CacheControl, a.Expires, a.ContentEncoding,
	} {
		if !utf8.ValidString(v) {
			return a, invalid("Header value cannot be represented using UTF-8.")
		}
	}
	return a, nil
}

// readTagging returns the tags of a header.
func readTagging(h http.Header) ([]bucket.Tag, error) {
	v := h.Get("X-Amz-Tagging")
	if v == "" {
		return nil, nil
	}
	var tags []bucket.Tag
	for pair := range strings.SplitSeq(v, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(key)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || !utf8.ValidString(key+value) {
			return nil, invalid("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query " +
				"parameters without tag name duplicates.")
		}
		tags = append(tags, bucket.Tag{Key: key, Value: value})
	}
	return tags, nil
}

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
	if err := h.owns(ctx, name, q.r.Header.Get("X-Amz-Source-Expected-Bucket-Owner")); err != nil {
		return nil, "", "", err
	}
	if o, err = h.buckets.Open(ctx, name, key); err != nil {
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

// namedAlgorithm returns the algorithm that a header names; "": none.
func namedAlgorithm(h http.Header) (bucket.Algorithm, error) {
	v := h.Get("X-Amz-Checksum-Algorithm")
	if v == "" {
		return "", nil
	}
	a := bucket.Algorithm(strings.ToUpper(v))
	if !slices.Contains(bucket.Algorithms, a) {
		return "", fault.New(bucket.CodeInvalidRequest, "Checksum algorithm provided is unsupported. "+
			"Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	return a, nil
}

type attributesResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ GetObjectAttributesResponse"`
	ETag         string   `xml:",omitempty"`
	Checksum     *attributesChecksum
	ObjectParts  *attributesParts
	StorageClass string `xml:",omitempty"`
	ObjectSize   *int64
}

type attributesChecksum struct {
	checksums
	ChecksumType string
}

type attributesParts struct {
	TotalPartsCount int `xml:"PartsCount"`
}

func (h *Handler) getObjectAttributes(ctx context.Context, _ wire.Caller, q *request) (any, error) {
	o, err := h.buckets.Open(ctx, q.bucket, q.key)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var out attributesResult
	for _, line := range q.r.Header["X-Amz-Object-Attributes"] {
		for name := range strings.SplitSeq(line, ",") {
			switch strings.TrimSpace(name) {
			case "ETag":
				out.ETag = o.ETag
			case "Checksum":
				if o.Algorithm != "" {
					out.Checksum = &attributesChecksum{elements(o.Checksum), checksumType(o.Checksum)}
				}
			case "ObjectParts":
				if n := o.PartCount(); n > 0 {
					out.ObjectParts = &attributesParts{n}
				}
			case "StorageClass":
				out.StorageClass = "STANDARD"
			case "ObjectSize":
				out.ObjectSize = &o.Size
			default:
				return nil, invalid("Invalid attribute name specified.")
			}
		}
	}
	if out == (attributesResult{}) && len(q.r.Header["X-Amz-Object-Attributes"]) == 0 {
		return nil, invalid("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return reply{header: map[string]string{"Last-Modified": o.ModifiedAt().Format(http.TimeFormat)}, body: out}, nil
}
