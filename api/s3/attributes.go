package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
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
