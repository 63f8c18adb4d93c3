package kinesis

import (
	"encoding/binary"
	"iter"
	"math"
	"unicode/utf8"

	"github.com/shardmill/shardmill/record"
)

// asCBOR is CBOR 1.1: RFC 8949 with timestamps in milliseconds under tag 1. Other tags say nothing here. Source: what
// the SDKs for Java send; aws-sdk-java-v2 issue 4661.
type asCBOR struct{}

func (asCBOR) contentType() string { return typeCBOR }

// The major types of CBOR. Source: RFC 8949, 3.1.
const (
	majorUnsigned = iota
	majorNegative
	majorBytes
	majorText
	majorList
	majorMap
	majorTag
	majorSimple
)

// Tags that change what their content is. Source: RFC 8949, 3.4.
const (
	tagTimestamp   = 1
	tagBig         = 2
	tagBigNegative = 3
)

// Second parts of the first byte of an item, and bytes made of both.
const (
	infoFalse = 20
	infoTrue  = 21
	infoNull  = 22
	infoUndef = 23
	infoHalf  = 25
	infoFloat = 26
	infoFull  = 27
	infoOpen  = 31 // its end is a break, not a count

	cborOpenList = majorList<<5 | infoOpen
	cborOpenMap  = majorMap<<5 | infoOpen
	cborBreak    = majorSimple<<5 | infoOpen
)

// nestingCBOR is how deep items may lie within each other, as Jackson has it, AWS's reader in Java.
const nestingCBOR = 1000

// head is the beginning of an item.
type head struct {
	major, info byte
	argument    uint64 // a count, a length, a tag, or the bits of a number
	size        int    // in bytes, before the content
}

// headOf reads the head that b begins with; ok is false if it is none, or cut.
func headOf(b []byte) (h head, ok bool) {
	if len(b) == 0 {
		return h, false
	}
	h = head{major: b[0] >> 5, info: b[0] & 0x1f, size: 1}
	switch {
	case h.info < 24:
		h.argument = uint64(h.info)
		return h, true
	case h.info == infoOpen:
		return h, h.major >= majorBytes && h.major != majorTag
	case h.info > 27:
		return h, false
	}
	h.size += 1 << (h.info - 24)
	if len(b) < h.size {
		return h, false
	}
	switch h.size {
	case 2:
		h.argument = uint64(b[1])
	case 3:
		h.argument = uint64(binary.BigEndian.Uint16(b[1:]))
	case 5:
		h.argument = uint64(binary.BigEndian.Uint32(b[1:]))
	default:
		h.argument = binary.BigEndian.Uint64(b[1:])
	}
	return h, true
}

func (h head) open() bool { return h.info == infoOpen }

// itemSize returns the size in bytes of the item that b begins with; -1: it is not well formed, has a text that is no
// UTF-8 or a name that is no text, or contains items nested deeper than depth.
func itemSize(b []byte, depth int) int {
	h, ok := headOf(b)
	if !ok || depth == 0 {
		return -1
	}
	switch h.major {
	case majorUnsigned, majorNegative:
		return h.size
	case majorBytes, majorText:
		return stringSize(b, h)
	case majorList, majorMap:
		return itemsSize(b, h, depth)
	case majorTag:
		if n := itemSize(b[h.size:], depth-1); n >= 0 {
			return h.size + n
		}
		return -1
	}
	if h.info < infoFalse || h.info == 24 || h.open() { // values that nobody has assigned, and a break
		return -1
	}
	return h.size
}

// stringSize is itemSize for bytes and text.
func stringSize(b []byte, h head) int {
	if !h.open() {
		if h.argument > uint64(len(b)-h.size) {
			return -1
		}
		end := h.size + int(h.argument)
		if h.major == majorText && !utf8.Valid(b[h.size:end]) {
			return -1
		}
		return end
	}
	at := h.size
	for at < len(b) && b[at] != cborBreak {
		chunk, ok := headOf(b[at:])
		if !ok || chunk.major != h.major || chunk.open() {
			return -1
		}
		n := stringSize(b[at:], chunk)
		if n < 0 {
			return -1
		}
		at += n
	}
	if at == len(b) {
		return -1
	}
	return at + 1
}

// itemsSize is itemSize for lists and maps.
func itemsSize(b []byte, h head, depth int) int {
	at := h.size
	for n := uint64(0); h.open() || n < h.argument; n++ {
		if h.open() && at < len(b) && b[at] == cborBreak {
			return at + 1
		}
		if h.major == majorMap {
			if at >= len(b) || b[at]>>5 != majorText {
				return -1
			}
			size := itemSize(b[at:], depth-1)
			if size < 0 {
				return -1
			}
			at += size
		}
		size := itemSize(b[at:], depth-1)
		if size < 0 {
			return -1
		}
		at += size
	}
	return at
}

func (asCBOR) object(body []byte) bool {
	return len(body) > 0 && itemSize(body, nestingCBOR) == len(body) && asCBOR{}.kind(body) == kindMap
}

// untag returns what is behind the tags of an item, with its innermost tag.
func untag(raw []byte) (h head, content []byte, tag uint64) {
	for {
		h, _ = headOf(raw)
		if h.major != majorTag {
			return h, raw, tag
		}
		tag, raw = h.argument, raw[h.size:]
	}
}

func (asCBOR) kind(raw []byte) kind {
	h, _, tag := untag(raw)
	switch h.major {
	case majorUnsigned, majorNegative:
		return kindNumber
	case majorBytes:
		if tag == tagBig || tag == tagBigNegative {
			return kindNumber
		}
		return kindBytes
	case majorText:
		return kindText
	case majorList:
		return kindList
	case majorMap:
		return kindMap
	}
	switch h.info {
	case infoFalse, infoTrue:
		return kindBool
	case infoNull, infoUndef:
		return kindNull
	}
	return kindNumber
}

func (asCBOR) truth(raw []byte) bool {
	h, _, _ := untag(raw)
	return h.info == infoTrue
}

func (asCBOR) integer(raw []byte) int64 { return wholeNumber(raw, math.MinInt32, math.MaxInt32) }

func (asCBOR) millis(raw []byte) record.Millis {
	return record.Millis(wholeNumber(raw, -latest, latest))
}

// wholeNumber returns a number floored, lo or hi when it lies beyond them, and 0 for what is not a number.
func wholeNumber(raw []byte, lo, hi int64) int64 {
	h, content, tag := untag(raw)
	magnitude, negative := h.argument, h.major == majorNegative
	switch h.major {
	case majorSimple:
		switch x := math.Floor(floatOf(h)); {
		case math.IsNaN(x):
			return 0
		case x <= float64(lo):
			return lo
		case x >= float64(hi):
			return hi
		default:
			return int64(x)
		}
	case majorBytes:
		negative = tag == tagBigNegative
		magnitude = 0
		for _, digit := range (asCBOR{}).blob(content) {
			if magnitude>>56 != 0 {
				magnitude = math.MaxUint64
				break
			}
			magnitude = magnitude<<8 | uint64(digit)
		}
	}
	switch {
	case negative && magnitude >= uint64(-(lo+1)): // it stands for -1-magnitude
		return lo
	case negative:
		return -1 - int64(magnitude)
	case magnitude >= uint64(hi):
		return hi
	}
	return int64(magnitude)
}

func floatOf(h head) float64 {
	switch h.info {
	case infoHalf:
		return halfFloat(uint16(h.argument))
	case infoFloat:
		return float64(math.Float32frombits(uint32(h.argument)))
	}
	return math.Float64frombits(h.argument)
}

// halfFloat returns a number of 16 bits. Source: RFC 8949, appendix D.
func halfFloat(bits uint16) float64 {
	exponent, fraction := int(bits>>10&0x1f), float64(bits&0x3ff)
	x := 0.0
	switch exponent {
	case 0:
		x = math.Ldexp(fraction, -24)
	case 31:
		x = math.Inf(1)
		if fraction != 0 {
			x = math.NaN()
		}
	default:
		x = math.Ldexp(fraction+1024, exponent-25)
	}
	if bits&0x8000 != 0 {
		return -x
	}
	return x
}

func (asCBOR) text(raw []byte) string { return string(asCBOR{}.blob(raw)) }

// blob returns the content of bytes or of a text: a part of raw unless it came in chunks.
func (asCBOR) blob(raw []byte) []byte {
	h, raw, _ := untag(raw)
	if !h.open() {
		return raw[h.size : h.size+int(h.argument)]
	}
	all := []byte{}
	for raw = raw[h.size:]; raw[0] != cborBreak; {
		chunk, _ := headOf(raw)
		end := chunk.size + int(chunk.argument)
		all = append(all, raw[chunk.size:end]...)
		raw = raw[end:]
	}
	return all
}

func (asCBOR) members(raw []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		name := ""
		for item, isName := range items(raw) {
			if isName {
				name = asCBOR{}.text(item)
			} else if !yield(name, item) {
				return
			}
		}
	}
}

func (asCBOR) elements(raw []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for item := range items(raw) {
			if !yield(item) {
				return
			}
		}
	}
}

// items yields what a list or map consists of; every other item of a map is a name.
func items(raw []byte) iter.Seq2[[]byte, bool] {
	return func(yield func(item []byte, isName bool) bool) {
		h, raw, _ := untag(raw)
		left := h.argument
		if h.major == majorMap {
			left *= 2
		}
		isName := h.major == majorMap
		for raw = raw[h.size:]; h.open() && raw[0] != cborBreak || !h.open() && left > 0; left-- {
			n := itemSize(raw, nestingCBOR)
			if !yield(raw[:n], isName) {
				return
			}
			raw, isName = raw[n:], h.major == majorMap && !isName
		}
	}
}
