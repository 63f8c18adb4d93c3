package kinesis

import (
	"bytes"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/shardmill/shardmill/internal/base64"
)

// decoder reads the bodies of the operations that put records, if they are of the common kind. What it returns lasts
// until its release.
type decoder interface {
	putRecord(body []byte) (in putRecordInput, ok bool)
	putRecords(body []byte) (in putRecordsInput, ok bool)
	release()
}

// jsonDecoder reads well-formed PutRecord and PutRecords bodies in JSON in one pass: each known member at most once,
// strings without escapes, canonical base64, which it decodes once into its own memory. It gives up at anything else,
// even an error, and the full decoder starts over; whatever it accepts, the full decoder reads in the same way
// (FuzzFastDecoderAgreesWithTheFullOne).
type jsonDecoder struct {
	b       []byte
	i       int
	blobs   []byte // grown once per request, so that earlier slices stay put
	entries []entry
}

var jsonDecoders = sync.Pool{New: func() any { return new(jsonDecoder) }}

func (asJSON) decoder() decoder { return jsonDecoders.Get().(*jsonDecoder) }

func (d *jsonDecoder) release() {
	d.b = nil
	clear(d.entries)
	if cap(d.blobs) > keepBytes {
		d.blobs = nil
	}
	jsonDecoders.Put(d)
}

func (d *jsonDecoder) start(body []byte) {
	d.b, d.i = body, 0
	d.blobs = slices.Grow(d.blobs[:0], len(body)/4*3)
	d.entries = d.entries[:0]
}

func (d *jsonDecoder) putRecord(body []byte) (in putRecordInput, ok bool) {
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
	return in, ok && d.atEnd()
}

func (d *jsonDecoder) putRecords(body []byte) (in putRecordsInput, ok bool) {
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
	return in, ok && d.atEnd()
}

func (d *jsonDecoder) records() bool {
	if !d.take('[') {
		return false
	}
	if d.take(']') {
		return true
	}
	for {
		if len(d.entries) == maxEntries {
			return false
		}
		var e entry
		if !d.object(func(name []byte) bool { return d.entryMember(&e, name) }) {
			return false
		}
		d.entries = append(d.entries, e)
		if d.take(']') {
			return true
		}
		if !d.take(',') {
			return false
		}
	}
}

func (d *jsonDecoder) entryMember(e *entry, name []byte) bool {
	switch string(name) {
	case "Data":
		return e.data == nil && d.blob(&e.data)
	case "PartitionKey":
		return e.key == nil && d.str(&e.key)
	case "ExplicitHashKey":
		return e.hash == nil && d.str(&e.hash)
	}
	return false
}

// object reads an object and calls member, which must read the value, for each name.
func (d *jsonDecoder) object(member func(name []byte) bool) bool {
	if !d.take('{') {
		return false
	}
	if d.take('}') {
		return true
	}
	for {
		var name []byte
		if !d.str(&name) || !d.take(':') || !member(name) {
			return false
		}
		if d.take('}') {
			return true
		}
		if !d.take(',') {
			return false
		}
	}
}

// take skips space and then c, if c comes next.
func (d *jsonDecoder) take(c byte) bool {
	if d.i < len(d.b) && d.b[d.i] == c {
		d.i++
		return true
	}
	d.i = skipSpace(d.b, d.i)
	if d.i < len(d.b) && d.b[d.i] == c {
		d.i++
		return true
	}
	return false
}

func (d *jsonDecoder) atEnd() bool { return skipSpace(d.b, d.i) == len(d.b) }

// quoted returns the text between the quotes of the next string, unchecked.
func (d *jsonDecoder) quoted() ([]byte, bool) {
	if !d.take('"') {
		return nil, false
	}
	n := bytes.IndexByte(d.b[d.i:], '"')
	if n < 0 {
		return nil, false
	}
	s := d.b[d.i : d.i+n : d.i+n]
	d.i += n + 1
	return s, true
}

// str reads a string without escapes; it is not copied and never nil.
func (d *jsonDecoder) str(to *[]byte) bool {
	s, ok := d.quoted()
	if !ok {
		return false
	}
	ascii := true
	for _, c := range s {
		if c < ' ' || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	*to = s
	return ascii || utf8.Valid(s)
}

func (d *jsonDecoder) text(to **string) bool {
	var s []byte
	if *to != nil || !d.str(&s) {
		return false
	}
	t := string(s)
	*to = &t
	return true
}

// blob decodes a string of canonical base64, which needs no escapes.
func (d *jsonDecoder) blob(to *[]byte) bool {
	s, ok := d.quoted()
	if !ok || len(s)%4 != 0 {
		return false
	}
	want := len(s) / 4 * 3
	for n := len(s) - 1; n >= 0 && s[n] == '=' && n >= len(s)-2; n-- {
		want--
	}
	at := len(d.blobs)
	room := d.blobs[at : at+len(s)/4*3]
	got, err := base64.Decode(room, s)
	if err != nil || got != want { // fewer: the decoder has skipped line breaks, which are not JSON here
		return false
	}
	d.blobs = d.blobs[:at+got]
	*to = room[:got:got]
	return true
}
