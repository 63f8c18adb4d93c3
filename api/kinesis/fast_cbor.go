package kinesis

import (
	"encoding/binary"
	"sync"
	"unicode/utf8"
)

// cborDecoder reads well-formed PutRecord and PutRecords bodies in CBOR in one pass: each known member at most once,
// texts and bytes in one piece, which stay in the body. It gives up at anything else, even an error, and the full
// decoder starts over; whatever it accepts, the full decoder reads in the same way
// (FuzzCBORDecoderAgreesWithTheFullOne).
type cborDecoder struct {
	b       []byte
	i       int
	entries []entry
}

var cborDecoders = sync.Pool{New: func() any { return new(cborDecoder) }}

func (asCBOR) decoder() decoder { return cborDecoders.Get().(*cborDecoder) }

func (d *cborDecoder) release() {
	d.b = nil
	clear(d.entries)
	cborDecoders.Put(d)
}

func (d *cborDecoder) start(body []byte) { d.b, d.i, d.entries = body, 0, d.entries[:0] }

func (d *cborDecoder) putRecord(body []byte) (in putRecordInput, ok bool) {
	d.start(body)
	ok = d.object(func(name []byte) bool {
		switch string(name) {
		case "StreamName":
			return d.text(&in.name)
		case "StreamARN":
			return d.text(&in.arn)
		case "SequenceNumberForOrdering":
			return d.text(&in.ordering)
		}
		return d.entryMember(&in.entry, name)
	})
	return in, ok && d.i == len(d.b)
}

func (d *cborDecoder) putRecords(body []byte) (in putRecordsInput, ok bool) {
	d.start(body)
	ok = d.object(func(name []byte) bool {
		switch string(name) {
		case "StreamName":
			return d.text(&in.name)
		case "StreamARN":
			return d.text(&in.arn)
		case "Records":
			if in.present {
				return false
			}
			in.present = true
			return d.records()
		}
		return false
	})
	in.entries, in.count = d.entries, len(d.entries)
	return in, ok && d.i == len(d.b)
}

func (d *cborDecoder) records() bool {
	n, open, ok := d.begin(majorList)
	if !ok {
		return false
	}
	for ; open || n > 0; n-- {
		if open && d.ended() {
			return true
		}
		if len(d.entries) == maxEntries {
			return false
		}
		d.entries = append(d.entries, entry{})
		e := &d.entries[len(d.entries)-1]
		if !d.object(func(name []byte) bool { return d.entryMember(e, name) }) {
			return false
		}
	}
	return true
}

func (d *cborDecoder) entryMember(e *entry, name []byte) bool {
	switch string(name) {
	case "Data":
		return e.data == nil && d.take(majorBytes, &e.data)
	case "PartitionKey":
		return e.key == nil && d.str(&e.key)
	case "ExplicitHashKey":
		return e.hash == nil && d.str(&e.hash)
	}
	return false
}

// object reads a map and calls member, which must read the value, for each name.
func (d *cborDecoder) object(member func(name []byte) bool) bool {
	n, open, ok := d.begin(majorMap)
	if !ok {
		return false
	}
	for ; open || n > 0; n-- {
		if open && d.ended() {
			return true
		}
		var name []byte // one that is not known ends this decoder, so it need not be checked
		if !d.take(majorText, &name) || !member(name) {
			return false
		}
	}
	return true
}

// begin reads the head of a list or map, which has n elements or members, or an end of its own.
func (d *cborDecoder) begin(major byte) (n uint64, open, ok bool) {
	if d.i < len(d.b) && d.b[d.i] == major<<5|infoOpen {
		d.i++
		return 0, true, true
	}
	n, ok = d.head(major)
	return n, false, ok
}

// ended skips a break, if it comes next.
func (d *cborDecoder) ended() bool {
	if d.i < len(d.b) && d.b[d.i] == cborBreak {
		d.i++
		return true
	}
	return false
}

// head reads the head of an item of a major type, with its count or length.
func (d *cborDecoder) head(major byte) (n uint64, ok bool) {
	if d.i >= len(d.b) || d.b[d.i]>>5 != major {
		return 0, false
	}
	rest := d.b[d.i:]
	switch info := rest[0] & 0x1f; {
	case info < 24:
		d.i++
		return uint64(info), true
	case info == 24 && len(rest) > 1:
		d.i += 2
		return uint64(rest[1]), true
	case info == 25 && len(rest) > 2:
		d.i += 3
		return uint64(binary.BigEndian.Uint16(rest[1:])), true
	case info == 26 && len(rest) > 4:
		d.i += 5
		return uint64(binary.BigEndian.Uint32(rest[1:])), true
	}
	return 0, false
}

// take reads bytes or a text in one piece; they are not copied and never nil.
func (d *cborDecoder) take(major byte, to *[]byte) bool {
	n, ok := d.head(major)
	if !ok || n > uint64(len(d.b)-d.i) {
		return false
	}
	end := d.i + int(n)
	*to = d.b[d.i:end:end]
	d.i = end
	return true
}

func (d *cborDecoder) str(to *[]byte) bool { return d.take(majorText, to) && utf8.Valid(*to) }

func (d *cborDecoder) text(to **string) bool {
	var s []byte
	if *to != nil || !d.str(&s) {
		return false
	}
	t := string(s)
	*to = &t
	return true
}
