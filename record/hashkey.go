package record

import (
	"bytes"
	"crypto/md5"
	"math/big"
)

// HashKey is a point of the hash key space 0 … 2^128−1, big-endian.
type HashKey [16]byte

// MaxHashKey is 2^128−1.
var MaxHashKey = HashKey{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// MD5Of returns the hash key of a partition key: the MD5 of its UTF-8 bytes read as a big-endian integer.
func MD5Of(key string) HashKey { return md5.Sum([]byte(key)) }

// ParseHashKey reads decimal text. ok is false when s is not a plain decimal number or is 2^128 or more.
func ParseHashKey(s string) (h HashKey, ok bool) {
	if s == "" {
		return h, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return h, false
		}
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok || n.BitLen() > 128 {
		return h, false
	}
	n.FillBytes(h[:])
	return h, true
}

// Big returns h as an integer.
func (h HashKey) Big() *big.Int { return new(big.Int).SetBytes(h[:]) }

// String returns h in decimal, as the Kinesis API prints it.
func (h HashKey) String() string { return h.Big().String() }

// Compare orders hash keys as integers.
func (h HashKey) Compare(o HashKey) int { return bytes.Compare(h[:], o[:]) }

// HashKeyRange is a shard's part of the hash key space, both ends inclusive.
type HashKeyRange struct{ Start, End HashKey }

// Contains reports whether h lies in r.
func (r HashKeyRange) Contains(h HashKey) bool {
	return bytes.Compare(r.Start[:], h[:]) <= 0 && bytes.Compare(h[:], r.End[:]) <= 0
}
