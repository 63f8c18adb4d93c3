package bucket

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/fault"
)

// Limits of objects. Source: S3 User Guide, "Amazon S3 multipart upload limits" and "Creating object key names".
const (
	MaxKey        = 1024 // bytes
	MaxPut        = 5 << 30
	MaxObject     = 5 << 40
	MaxParts      = 10_000
	MinPart       = 5 << 20 // bytes of every part but the last
	MaxObjectTags = 10
	MaxBucketTags = 50
)

// Attributes are what a client says about an object, and gets back with it.
type Attributes struct {
	ContentType        string            `json:",omitempty"`
	ContentEncoding    string            `json:",omitempty"`
	ContentLanguage    string            `json:",omitempty"`
	ContentDisposition string            `json:",omitempty"`
	CacheControl       string            `json:",omitempty"`
	Expires            string            `json:",omitempty"`
	User               map[string]string `json:",omitempty"` // x-amz-meta-, with names in lower case
}

// Tag is a key and a value that a client gives to a bucket or an object.
type Tag struct{ Key, Value string }

// checkTags refuses tags that S3 would.
func checkTags(tags []Tag, most int) error {
	if len(tags) > most {
		return fault.New(CodeBadRequest, "Object tags cannot be greater than %d", most)
	}
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || utf8.RuneCountInString(t.Key) > 128:
			return fault.New(CodeInvalidTag, "The TagKey you have provided is invalid")
		case utf8.RuneCountInString(t.Value) > 256:
			return fault.New(CodeInvalidTag, "The TagValue you have provided is invalid")
		case seen[t.Key]:
			return fault.New(CodeInvalidTag, "Cannot provide multiple Tags with the same key")
		}
		seen[t.Key] = true
	}
	return nil
}

// Checksum is what a client said about the bytes of an object, and what was found to be true.
type Checksum struct {
	Algorithm Algorithm `json:",omitempty"` // "": none
	Value     string    `json:",omitempty"` // base64; of a composite one with -N behind it
	Composite bool      `json:",omitempty"` // over the checksums of N parts
}

// Description is what is known of an object.
type Description struct {
	Summary
	Attributes
	Checksum
	Tags   []Tag  `json:",omitempty"`
	Upload string `json:",omitempty"` // that made it from parts; ""
}

// Summary is the part of a Description that every list shows.
type Summary struct {
	Size     int64 // bytes
	ETag     string
	Modified int64 // Unix milliseconds
}

// ModifiedAt returns when the object was written.
func (s *Summary) ModifiedAt() time.Time { return time.UnixMilli(s.Modified).UTC() }

// Part is a part of an object, or of one that is being uploaded.
type Part struct {
	Number   int
	Size     int64
	ETag     string
	Modified int64 // Unix milliseconds
	Checksum
}

// checkKey refuses keys that S3 would.
func checkKey(key string) error {
	switch {
	case len(key) > MaxKey:
		return fault.New(CodeKeyTooLong, "Your key is too long")
	case key == "" || !utf8.ValidString(key):
		return fault.New(CodeInvalidArgument, "Object key must be UTF-8 and not be empty.")
	}
	return nil
}

// newOwner returns an owner that nothing has been.
func newOwner() (o owner) {
	_, _ = rand.Read(o[:]) // it never fails
	o[0] &= 0x7f
	return o
}

// uploadID identifies an upload in parts: when it began, in Unix milliseconds, and eight random bytes.
type uploadID [16]byte

func newUploadID(now int64) (id uploadID) {
	binary.BigEndian.PutUint64(id[:], uint64(now))
	_, _ = rand.Read(id[8:]) // it never fails
	return id
}

// stored is an object as it was read: its description, what it consists of, who it is to what it refers to.
type stored struct {
	Description
	owner  owner
	pieces []piece
}

// read returns an object, or nil if there is none.
func (bs *Buckets) read(b *bucket, key string) (*stored, error) {
	value, ok, err := bs.local.Get(objectKey(b.meta.Number, key))
	if err == nil && !ok {
		return nil, nil
	}
	s := new(stored)
	if err == nil {
		s.owner, s.pieces, err = decodeHolding(value, "object", &s.Description)
	}
	if err != nil {
		return nil, storageFault(fmt.Sprintf("read object %q of bucket %s", key, b.name), err)
	}
	return s, nil
}
