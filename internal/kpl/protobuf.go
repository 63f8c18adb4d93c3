package kpl

import "encoding/binary"

// Wire types of protobuf.
const (
	wireVarint = 0
	wire64     = 1
	wireBytes  = 2
	wireGroup  = 3
	wireEnd    = 4
	wire32     = 5
)

// deepest is how far groups may be nested, as in protobuf's own parser for Java.
const deepest = 100

// field is one field of a message: a number with wireVarint, bytes with wireBytes. Others are only passed over.
type field struct {
	number int
	wire   int
	value  uint64 // with wireVarint
	bytes  []byte // with wireBytes; a part of the message
}

// is reports whether f is the field of that number; one of another wire type is a field that nobody knows.
func (f *field) is(number, wire int) bool { return f.number == number && f.wire == wire }

// next reads the first field of m; ok is false if m does not begin with one. Groups are passed over whole.
func next(m []byte) (f field, rest []byte, ok bool) { return nextWithin(m, 0) }

func nextWithin(m []byte, depth int) (f field, rest []byte, ok bool) {
	tag, m, ok := varint(m)
	if !ok {
		return f, nil, false
	}
	// a tag has 32 bits, and a parser cuts longer ones
	f.number, f.wire = int(uint32(tag)>>3), int(tag&7)
	if f.number == 0 {
		return f, nil, false
	}
	switch f.wire {
	case wireVarint:
		f.value, m, ok = varint(m)
		return f, m, ok
	case wireBytes:
		n, m, ok := varint(m)
		if !ok || n > uint64(len(m)) {
			return f, nil, false
		}
		f.bytes = m[:n:n]
		return f, m[n:], true
	case wire64, wire32:
		n := 8
		if f.wire == wire32 {
			n = 4
		}
		if len(m) < n {
			return f, nil, false
		}
		return f, m[n:], true
	case wireGroup:
		if depth == deepest {
			return f, nil, false
		}
		for {
			inner, after, ok := nextWithin(m, depth+1)
			switch {
			case !ok:
				return f, nil, false
			case inner.wire == wireEnd:
				return f, after, inner.number == f.number
			}
			m = after
		}
	case wireEnd:
		return f, m, depth > 0 // the end of nothing is an error
	}
	return f, nil, false
}

// varint reads a number of at most ten bytes.
func varint(m []byte) (v uint64, rest []byte, ok bool) {
	for i := 0; i < len(m) && i < binary.MaxVarintLen64; i++ {
		v |= uint64(m[i]&0x7f) << (7 * i)
		if m[i] < 0x80 {
			return v, m[i+1:], true
		}
	}
	return 0, nil, false
}

func appendTag(m []byte, number, wire int) []byte {
	return binary.AppendUvarint(m, uint64(number)<<3|uint64(wire))
}

func appendNumber(m []byte, number int, v uint64) []byte {
	return binary.AppendUvarint(appendTag(m, number, wireVarint), v)
}

func appendBytes[T []byte | string](m []byte, number int, b T) []byte {
	return append(binary.AppendUvarint(appendTag(m, number, wireBytes), uint64(len(b))), b...)
}

// bytesSize is how long a field of n bytes is: the numbers of all our fields fit into one byte of tag.
func bytesSize(n int) int { return 1 + varintSize(uint64(n)) + n }

func varintSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
