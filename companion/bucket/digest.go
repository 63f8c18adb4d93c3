package bucket

import (
	"crypto/md5"  //nolint:gosec // what ETags are
	"crypto/sha1" //nolint:gosec // one of S3's checksums
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"math/bits"
	"strconv"
	"strings"
	"sync"
)

// Algorithm is one of S3's checksums.
type Algorithm string

const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
)

// Algorithms are all of them.
var Algorithms = []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256}

// reflected polynomials
const polynomialNVME = 0x9a6c9329ac4bc9b5

var tableNVME = sync.OnceValue(func() *crc64.Table { return crc64.MakeTable(polynomialNVME) })

func (a Algorithm) new() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64.New(tableNVME())
	case SHA1:
		return sha1.New() //nolint:gosec // as above
	case SHA256:
		return sha256.New()
	}
	return nil
}

// Size returns the bytes of a checksum; 0: there is no such algorithm.
func (a Algorithm) Size() int {
	if h := a.new(); h != nil {
		return h.Size()
	}
	return 0
}

// linear returns the polynomial of a checksum that can be put together from those of parts.
func (a Algorithm) linear() (polynomial uint64, width int, ok bool) {
	switch a {
	case CRC32:
		return crc32.IEEE, 32, true
	case CRC32C:
		return crc32.Castagnoli, 32, true
	case CRC64NVME:
		return polynomialNVME, 64, true
	case SHA1, SHA256:
	}
	return 0, 0, false
}

// Sums are the digests of what was read.
type Sums struct {
	Size     int64
	MD5      [16]byte
	SHA256   [32]byte
	Checksum []byte // nil: none was asked for
}

// digester computes Sums as bytes pass.
type digester struct {
	size        int64
	md5, sha256 hash.Hash
	checksum    hash.Hash // nil: none
}

func newDigester(a Algorithm) *digester {
	d := &digester{md5: md5.New(), sha256: sha256.New()} //nolint:gosec // as above
	if a != SHA256 {
		d.checksum = a.new()
	} else {
		d.checksum = d.sha256
	}
	return d
}

func (d *digester) add(p []byte) {
	d.size += int64(len(p))
	d.md5.Write(p)
	d.sha256.Write(p)
	if d.checksum != nil && d.checksum != d.sha256 {
		d.checksum.Write(p)
	}
}

func (d *digester) sums() Sums {
	s := Sums{Size: d.size}
	d.md5.Sum(s.MD5[:0])
	d.sha256.Sum(s.SHA256[:0])
	if d.checksum != nil {
		s.Checksum = d.checksum.Sum(nil)
	}
	return s
}

// SumsOf returns the digests of bytes.
func SumsOf(b []byte, a Algorithm) Sums {
	d := newDigester(a)
	d.add(b)
	return d.sums()
}

func (s *Sums) etag() string { return hex.EncodeToString(s.MD5[:]) }

// compositeETag returns the ETag of an object in parts: the MD5 of their MD5s, and how many there are.
func compositeETag(parts []Part) string {
	h := md5.New() //nolint:gosec // as above
	for _, p := range parts {
		b, _ := hex.DecodeString(p.ETag) // we made it
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// compositeChecksum returns the checksum over the checksums of parts, which all have one of this algorithm.
func compositeChecksum(a Algorithm, parts []Part) string {
	h := a.new()
	for _, p := range parts {
		b, _ := base64.StdEncoding.DecodeString(p.Value) // we made it
		h.Write(b)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// wholeChecksum returns the checksum over the bytes of parts, from those of each. The algorithm is linear.
func wholeChecksum(a Algorithm, parts []Part) string {
	polynomial, width, _ := a.linear()
	var sum uint64
	for _, p := range parts {
		b, _ := base64.StdEncoding.DecodeString(p.Value) // we made it
		sum = combine(sum, number(b), p.Size, polynomial, width)
	}
	b := binary.BigEndian.AppendUint64(nil, sum)
	return base64.StdEncoding.EncodeToString(b[8-width/8:])
}

func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// combine returns the CRC of two stretches of bytes from the CRC of each; the second one has size bytes. Appending size
// bytes multiplies the first by x^(8·size) modulo the polynomial, which is reflected: the highest bit is x^0.
func combine(first, second uint64, size int64, polynomial uint64, width int) uint64 {
	one := uint64(1) << (width - 1)
	power, square := one, one>>8 // x^0, x^8
	for ; size > 0; size >>= 1 {
		if size&1 == 1 {
			power = multiply(power, square, polynomial, width)
		}
		square = multiply(square, square, polynomial, width)
	}
	return multiply(first, power, polynomial, width) ^ second
}

func multiply(a, b, polynomial uint64, width int) (product uint64) {
	for ; a != 0; a &^= 1 << (bits.Len64(a) - 1) {
		// the term x^k of a, where k is how far its bit is from the highest
		term := b
		for range width - bits.Len64(a) {
			low := term & 1
			if term >>= 1; low == 1 {
				term ^= polynomial
			}
		}
		product ^= term
	}
	return product
}

// plainETag reports whether an ETag is the MD5 of an object's bytes.
func plainETag(etag string) bool { return !strings.Contains(etag, "-") }
