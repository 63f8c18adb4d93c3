package logstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// A frame is a batch of events of one stream: u32 length of the payload, u32 crc32c of it, payload. Numbers are
// big-endian. Payload: uvarint length + group, uvarint length + stream, varint microseconds of the ingestion, uvarint
// count, then per event varint microseconds since 1970 as a difference to the event before (to 0 for the first),
// uvarint length + message. Version 1 had no ingestion, and groups without account and region.
const (
	frameHead     = 8
	maxFrame      = 4 << 20 // of a payload; a larger length means a torn or foreign frame
	fullFrame     = 1 << 20 // a frame takes no further event beyond this
	maxMessage    = 1 << 20 // longer messages are cut
	maxNameLength = 4 << 10
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errTorn    = errors.New("logstore: torn or corrupt frame")
)

// appendFrame encodes as many events as fit into one frame, at least one, and returns their number.
func appendFrame(b []byte, group Group, stream string, ingested time.Time, events []LogEvent) ([]byte, int) {
	start := len(b)
	b = append(b, make([]byte, frameHead)...)
	b = appendText(b, group.text())
	b = appendText(b, fault.Cut(stream, maxNameLength))
	b = binary.AppendVarint(b, ingested.UnixMicro())
	n, size := 0, 0
	for n < len(events) && (n == 0 || size+len(events[n].Message) < fullFrame) {
		size += min(len(events[n].Message), maxMessage) + 16
		n++
	}
	b = binary.AppendUvarint(b, uint64(n))
	var before int64
	for _, e := range events[:n] {
		at := e.At.UnixMicro()
		b = binary.AppendVarint(b, at-before)
		before = at
		b = appendText(b, fault.Cut(e.Message, maxMessage))
	}
	payload := b[start+frameHead:]
	binary.BigEndian.PutUint32(b[start:], uint32(len(payload)))
	binary.BigEndian.PutUint32(b[start+4:], crc32.Checksum(payload, castagnoli))
	return b, n
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// frameSize returns the whole size in bytes of the frame whose head begins b. ok is false when b is too short or the
// size makes no sense.
func frameSize(b []byte) (size int, ok bool) {
	if len(b) < frameHead {
		return 0, false
	}
	n := binary.BigEndian.Uint32(b)
	return frameHead + int(n), n > 0 && n <= maxFrame
}

// frame is one frame whose events are not decoded yet.
type frame struct {
	group    Group
	stream   string
	ingested time.Time // zero in version 1
	at       mark      // where it begins
	size     int64     // in bytes, including its head
	count    uint64
	rest     []byte // valid until the reader's next frame
}

// decodeFrame decodes the head of the frame at the beginning of b, whose size frameSize returned.
func decodeFrame(b []byte, version byte) (frame, error) {
	size, ok := frameSize(b)
	if !ok || len(b) < size {
		return frame{}, errTorn
	}
	payload := b[frameHead:size]
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return frame{}, errTorn
	}
	f, err := decodePayload(payload, version)
	f.size = int64(size)
	return f, err
}

func decodePayload(p []byte, version byte) (frame, error) {
	d := decoder{p, true}
	f := frame{group: parseGroup(d.text()), stream: d.text()}
	if version > 1 {
		f.ingested = time.UnixMicro(d.varint())
	}
	f.count = d.uvarint()
	if !d.ok || f.count > uint64(len(d.b)/2) { // an event takes two bytes at least
		return frame{}, errTorn
	}
	f.rest = d.b
	return f, nil
}

// events decodes the events of a frame. Texts are copied.
func (f frame) events() ([]Event, error) {
	d := decoder{f.rest, true}
	events := make([]Event, 0, f.count)
	var at int64
	for i := range f.count {
		at += d.varint()
		e := Event{Group: f.group, Stream: f.stream, At: time.UnixMicro(at), Ingested: f.ingested, Message: d.text()}
		if f.ingested.IsZero() {
			e.Ingested = e.At
		}
		e.Place = Place{e.At.UnixMilli(), f.at.Segment, f.at.Offset, int(i)}
		events = append(events, e)
	}
	if !d.ok || len(d.b) > 0 {
		return nil, errTorn
	}
	return events, nil
}

// decoder takes values off the front of b; after the first that does not fit, ok is false.
type decoder struct {
	b  []byte
	ok bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	d.advance(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	d.advance(n)
	return v
}

func (d *decoder) advance(n int) {
	if n <= 0 {
		d.b, d.ok = nil, false
		return
	}
	d.b = d.b[n:]
}

func (d *decoder) text() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.ok = nil, false
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}
