// Package ids makes identifiers: random UUIDs for requests, and name-based ones where a repeat must have the same id.
package ids

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/google/uuid"
)

// New returns a random UUID (version 4) in its canonical text. It is unique but not secret: the numbers come from the
// Go runtime and cost a fraction of the operating system's.
func New() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return uuid.UUID(b).String()
}

// space is the name space of every name-based id of this product.
var space = uuid.MustParse("6d3b1c52-54f5-5e0a-9d35-7368617264d1")

// Named returns a UUID (version 5) of the parts: the same parts give the same id in every process, for ever.
func Named(kind string, parts ...string) string {
	b := appendPart(nil, kind)
	for _, p := range parts {
		b = appendPart(b, p)
	}
	return uuid.NewSHA1(space, b).String()
}

func appendPart(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}
