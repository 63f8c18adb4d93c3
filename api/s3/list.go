package s3

import (
	"context"
	"encoding/xml"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/bucket"
)

// spelling is how keys are written in an answer: as they are, or percent-encoded.
type spelling bool

func (q *request) spelling() (spelling, string, error) {
	switch v := q.query.Get("encoding-type"); v {
	case "":
		return false, "", nil
	case "url":
		return true, v, nil
	default:
		return false, "", invalid("Invalid Encoding Method specified in Request")
	}
}

// of returns a key. Whatever decodes it turns %20 into a space, whether or not it takes + for one.
func (s spelling) of(key string) text {
	if !s {
		return text(key)
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~/*", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return text(b.String())
}

type group struct{ Prefix text }

func (s spelling) groups(all []string) (out []group) {
	for _, g := range all {
		out = append(out, group{s.of(g)})
	}
	return out
}

type objectEntry struct {
	Key               text
	LastModified      string
	ETag              string
	ChecksumAlgorithm bucket.Algorithm `xml:",omitempty"`
	ChecksumType      string           `xml:",omitempty"`
	Size              int64
	Owner             *owner
	StorageClass      string
}

type listResult struct {
	XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name         string
	Prefix       text
	Marker       *text
	NextMarker   text   `xml:",omitempty"`
	StartAfter   text   `xml:",omitempty"`
	Token        string `xml:"ContinuationToken,omitempty"`
	NextToken    string `xml:"NextContinuationToken,omitempty"`
	KeyCount     *int
	MaxKeys      int
	Delimiter    text   `xml:",omitempty"`
	EncodingType string `xml:",omitempty"`
	IsTruncated  bool
	Contents     []objectEntry
	Groups       []group `xml:"CommonPrefixes"`
}

// list answers both operations that list objects, as far as they are the same.
func (h *Handler) list(ctx context.Context, q *request, after string, owned *owner) (listResult, bucket.Page, error) {
	spell, name, err := q.spelling()
	if err != nil {
		return listResult{}, bucket.Page{}, err
	}
	most, err := q.number("max-keys", maxKeysPerCall)
	if err != nil {
		return listResult{}, bucket.Page{}, err
	}
	query := bucket.Query{
		Prefix: q.query.Get("prefix"), Delimiter: q.query.Get("delimiter"), After: after, Max: most,
	}
	page, err := h.buckets.List(ctx, q.bucket, query)
	if err != nil {
		return listResult{}, page, err
	}
	out := listResult{
		Name: q.bucket, Prefix: spell.of(query.Prefix), Delimiter: spell.of(query.Delimiter), MaxKeys: most,
		EncodingType: name, IsTruncated: page.Last != "", Groups: spell.groups(page.Groups),
	}
	for _, o := range page.Objects {
		out.Contents = append(out.Contents, objectEntry{
			spell.of(o.Key), stamp(o.ModifiedAt()), quoted(o.ETag), o.Algorithm, checksumType(o.Checksum), o.Size,
			owned, "STANDARD",
		})
	}
	return out, page, nil
}

func (h *Handler) listObjectsV2(ctx context.Context, c wire.Caller, q *request) (any, error) {
	after, err := q.token("continuation-token")
	if err != nil {
		return nil, err
	}
	if after == "" {
		after = q.query.Get("start-after")
	}
	var owned *owner
	if q.query.Get("fetch-owner") == "true" {
		owned = &owner{ownerID(c.Account)}
	}
	out, page, err := h.list(ctx, q, after, owned)
	if err != nil {
		return nil, err
	}
	spell, _, _ := q.spelling()
	count := len(page.Objects) + len(page.Groups)
	out.KeyCount, out.StartAfter = &count, spell.of(q.query.Get("start-after"))
	out.Token = q.query.Get("continuation-token")
	if page.Last != "" {
		out.NextToken = newToken(page.Last)
	}
	return reply{body: out}, nil
}

func (h *Handler) listObjects(ctx context.Context, c wire.Caller, q *request) (any, error) {
	after := q.query.Get("marker")
	out, page, err := h.list(ctx, q, after, &owner{ownerID(c.Account)})
	if err != nil {
		return nil, err
	}
	spell, _, _ := q.spelling()
	marker := spell.of(after)
	out.Marker = &marker
	if page.Last != "" && out.Delimiter != "" { // without one, clients go on at the last key
		out.NextMarker = spell.of(page.Last)
	}
	return reply{body: out}, nil
}

type uploadsResult struct {
	XMLName        xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket         string
	KeyMarker      text
	UploadIDMarker text   `xml:"UploadIdMarker"`
	NextKey        text   `xml:"NextKeyMarker,omitempty"`
	NextID         string `xml:"NextUploadIdMarker,omitempty"`
	Prefix         text
	Delimiter      text   `xml:",omitempty"`
	EncodingType   string `xml:",omitempty"`
	MaxUploads     int
	IsTruncated    bool
	Uploads        []uploadEntry `xml:"Upload"`
	Groups         []group       `xml:"CommonPrefixes"`
}

type uploadEntry struct {
	Key               text
	UploadID          string `xml:"UploadId"`
	Initiator, Owner  owner
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm bucket.Algorithm `xml:",omitempty"`
	ChecksumType      string           `xml:",omitempty"`
}

func (h *Handler) listMultipartUploads(ctx context.Context, c wire.Caller, q *request) (any, error) {
	spell, name, err := q.spelling()
	if err != nil {
		return nil, err
	}
	most, err := q.number("max-uploads", maxKeysPerCall)
	if err != nil {
		return nil, err
	}
	query := bucket.Query{
		Prefix: q.query.Get("prefix"), Delimiter: q.query.Get("delimiter"), After: q.query.Get("key-marker"), Max: most,
	}
	page, err := h.buckets.Uploads(ctx, q.bucket, query, q.query.Get("upload-id-marker"))
	if err != nil {
		return nil, err
	}
	out := uploadsResult{
		Bucket: q.bucket, KeyMarker: spell.of(query.After), UploadIDMarker: text(q.query.Get("upload-id-marker")),
		Prefix: spell.of(query.Prefix), Delimiter: spell.of(query.Delimiter), EncodingType: name, MaxUploads: most,
		IsTruncated: page.Last != "", NextKey: spell.of(page.Last), NextID: page.LastID,
		Groups: spell.groups(page.Groups),
	}
	id := owner{ownerID(c.Account)}
	for _, u := range page.Uploads {
		out.Uploads = append(out.Uploads, uploadEntry{
			spell.of(u.Key), u.ID, id, id, "STANDARD", stamp(u.Began()), u.Algorithm,
			checksumType(bucket.Checksum{Algorithm: u.Algorithm, Composite: u.Composite}),
		})
	}
	return reply{body: out}, nil
}
