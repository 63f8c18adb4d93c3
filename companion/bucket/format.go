package bucket

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage"
)

// formatVersion is the first byte of every stored value. docs/format/bucket.md describes the bytes.
const formatVersion = 1

// policyVersion is the first byte of what is stored about a bucket that has a policy.
const policyVersion = 2

// The key families, all under our prefix.
const (
	prefixNext      = "bucket/n"  // → number of the next bucket
	prefixBucket    = "bucket/b/" // name → meta
	prefixObject    = "bucket/o/" // bucket u64, key → object
	prefixUpload    = "bucket/u/" // bucket u64, escaped key, upload → upload
	prefixPart      = "bucket/p/" // upload, part u16 → part
	prefixReference = "bucket/r/" // name of content, owner → nothing
	prefixContent   = "bucket/c/" // name of content, number u32 → bytes
)

func bucketKey(name string) []byte { return []byte(prefixBucket + name) }

func numbered(prefix string, bucket uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(prefix), bucket)
}

func objectKey(bucket uint64, key string) []byte {
	return append(numbered(prefixObject, bucket), key...)
}

// uploadKey orders uploads by key, then by the time of their beginning. In the key, a zero byte is written as 00 ff, so
// that the end, 00 01, sorts before every longer key.
func uploadKey(bucket uint64, key string, id uploadID) []byte {
	return append(append(appendEscaped(numbered(prefixUpload, bucket), key), 0, 1), id[:]...)
}

func appendEscaped(b []byte, key string) []byte {
	for i := range len(key) {
		if b = append(b, key[i]); key[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return b
}

// splitUploadKey returns what uploadKey has put together.
func splitUploadKey(k []byte) (key string, id uploadID, ok bool) {
	k = k[len(prefixUpload)+8:]
	if len(k) < 2+len(id) {
		return "", id, false
	}
	copy(id[:], k[len(k)-len(id):])
	var plain []byte
	for k = k[:len(k)-2-len(id)]; len(k) > 0; {
		plain = append(plain, k[0])
		if k[0] == 0 && len(k) > 1 {
			k = k[1:]
		}
		k = k[1:]
	}
	return string(plain), id, true
}

func partKey(id uploadID, number int) []byte {
	return binary.BigEndian.AppendUint16(append([]byte(prefixPart), id[:]...), uint16(number))
}

func referenceKey(n blob, of owner) []byte {
	return append(append([]byte(prefixReference), n[:]...), of[:]...)
}

// owner identifies one object or part, as long as it is not overwritten, to what it refers to. The first byte is below
// 128.
type owner [16]byte

// piece is a stretch of an object: a content as a whole. One of size 0 has no content.
type piece struct {
	name blob
	size int64
}

func names(pieces []piece) []blob {
	out := make([]blob, 0, len(pieces))
	for _, p := range pieces {
		if p.size > 0 {
			out = append(out, p.name)
		}
	}
	return out
}

// refer returns the changes that make an owner refer to its pieces, or no longer.
func refer(ops []storage.LocalOp, of owner, pieces []piece, does bool) []storage.LocalOp {
	var value []byte
	if does {
		value = []byte{formatVersion}
	}
	for _, n := range names(pieces) {
		ops = append(ops, storage.LocalOp{Key: referenceKey(n, of), Value: value})
	}
	return ops
}

// meta is what is stored about a bucket itself.
type meta struct {
	Number  uint64
	Account string
	Region  string
	Created int64 // Unix milliseconds
	Tags    []Tag `json:",omitempty"`

	Policy   string           `json:",omitempty"` // as it was put; "": none
	document *policy.Document // Policy, parsed; nil: none
}

// encodeMeta returns the value of a bucket. One with a policy has a version of its own: a program that knows no
// policies must not open the bucket, nor forget its policy.
func encodeMeta(m meta) []byte {
	b := encode(m)
	if m.Policy != "" {
		b[0] = policyVersion
	}
	return b
}

// encode returns a value: the version, and v as JSON.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always marshal
	}
	return append([]byte{formatVersion}, b...)
}

func decode(b []byte, what string, v any) error {
	if len(b) == 0 || b[0] != formatVersion {
		return corrupt(what, errVersion(b))
	}
	if err := json.Unmarshal(b[1:], v); err != nil {
		return corrupt(what, err)
	}
	return nil
}

func decodeMeta(b []byte) (m meta, err error) {
	if len(b) > 0 && b[0] == policyVersion {
		b = append([]byte{formatVersion}, b[1:]...)
	}
	if err = decode(b, "bucket", &m); err != nil {
		return m, err
	}
	if m.document, err = checkPolicy(m.Policy); err != nil {
		return m, corrupt("policy of a bucket", err)
	}
	return m, nil
}

// encodeHolding returns a value that holds pieces: the version, the length of the JSON of v, that JSON, the owner, and
// for each piece its name and its size.
func encodeHolding(v any, of owner, pieces []piece) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always marshal
	}
	b := make([]byte, 0, 32+len(text)+len(pieces)*40)
	b = binary.AppendUvarint(append(b, formatVersion), uint64(len(text)))
	b = append(append(b, text...), of[:]...)
	b = binary.AppendUvarint(b, uint64(len(pieces)))
	for _, p := range pieces {
		b = binary.AppendUvarint(append(b, p.name[:]...), uint64(p.size))
	}
	return b
}

// decodeHead fills v from a value that encodeHolding made, and returns what is behind its JSON.
func decodeHead(b []byte, what string, v any) (rest []byte, err error) {
	if len(b) == 0 || b[0] != formatVersion {
		return nil, corrupt(what, errVersion(b))
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)-1-size) {
		return nil, corrupt(what, errTruncated)
	}
	b = b[1+size:]
	if err := json.Unmarshal(b[:n], v); err != nil {
		return nil, corrupt(what, err)
	}
	return b[n:], nil
}

func decodeHolding(b []byte, what string, v any) (of owner, pieces []piece, err error) {
	if b, err = decodeHead(b, what, v); err != nil {
		return of, nil, err
	}
	if len(b) < len(of) {
		return of, nil, corrupt(what, errTruncated)
	}
	b = b[copy(of[:], b):]
	count, size := binary.Uvarint(b)
	if size <= 0 || count > MaxParts {
		return of, nil, corrupt(what, errTruncated)
	}
	b = b[size:]
	for range count {
		var p piece
		if len(b) < len(p.name) {
			return of, nil, corrupt(what, errTruncated)
		}
		b = b[copy(p.name[:], b):]
		n, size := binary.Uvarint(b)
		if size <= 0 || n > 1<<62 {
			return of, nil, corrupt(what, errTruncated)
		}
		p.size, b = int64(n), b[size:]
		pieces = append(pieces, p)
	}
	if len(b) > 0 {
		return of, nil, corrupt(what, fmt.Errorf("%d bytes too many", len(b)))
	}
	return of, pieces, nil
}

var errTruncated = errors.New("it ends early")

func errVersion(b []byte) error {
	if len(b) == 0 {
		return errTruncated
	}
	return fmt.Errorf("it has format %d, and this program knows up to %d", b[0], formatVersion)
}

func corrupt(what string, err error) error {
	return fmt.Errorf("stored %s cannot be read: %w", what, err)
}

func readNextID(local storage.Local) (uint64, error) {
	b, ok, err := local.Get([]byte(prefixNext))
	if err != nil {
		return 0, storageFault("read number of the next bucket", err)
	}
	if !ok {
		return 1, nil
	}
	if len(b) == 0 || b[0] != formatVersion {
		return 0, corrupt("number of the next bucket", errVersion(b))
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 {
		return 0, corrupt("number of the next bucket", errTruncated)
	}
	return n, nil
}

func encodeNextID(n uint64) []byte { return binary.AppendUvarint([]byte{formatVersion}, n) }
