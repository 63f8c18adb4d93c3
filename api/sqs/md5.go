package sqs

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/shardmill/shardmill/companion/queue"
)

// md5Hex returns the check sum of a message body. SDKs compare it with their own.
func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// md5OfAttributes returns the check sum of message attributes, "" for none: over the attributes in the order of their
// names, length and bytes of name and type, one byte for the transport type (1 text, 2 binary), length and bytes of the
// value; lengths have four bytes, big-endian. Source: SQS Developer Guide, "Calculating the MD5 message digest for
// message attributes".
func md5OfAttributes(attributes []queue.Attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	sum := md5.New()
	part := func(b []byte) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(b)))
		sum.Write(n[:])
		sum.Write(b)
	}
	byName := slices.SortedFunc(slices.Values(attributes), func(a, b queue.Attribute) int {
		return cmp.Compare(a.Name, b.Name)
	})
	for _, a := range byName {
		part([]byte(a.Name))
		part([]byte(a.Type))
		if a.Binary() {
			sum.Write([]byte{2})
		} else {
			sum.Write([]byte{1})
		}
		part(a.Value)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
