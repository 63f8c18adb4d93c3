package sim

import (
	"encoding/binary"
	"slices"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// format is a payload that is cheap to write and to take apart: an envelope, then position, length, data and padding of
// every record. Padding makes records large in a payload that are small in the log, as an encoding does, so that a few
// of them fill a batch and a buffer. It is never written or read.
type format struct{ padding int }

var _ source.Format = format{}

const (
	envelope       = "sim:"
	windowEnvelope = "win:"
	recordHead     = 8 + 4
)

func (format) Envelope() int                     { return len(envelope) }
func (f format) RecordSize(r *record.Record) int { return recordHead + len(r.Data) + f.padding }

// AppendMetadata names the position only, by which filters tell records apart here.
func (format) AppendMetadata(dst []byte, r *record.Record) []byte {
	dst = append(dst, `{"position":"`...)
	dst = append(dst, identifier(r.Pos)...)
	return append(dst, `"}`...)
}

func (format) Windowed() int   { return windowHead }
func (format) Recordless() int { return len(envelope) + windowHead }

// windowHead is what a tumbling window puts between the envelope and its state: start, end, flags and the length of the
// state.
const windowHead = 8 + 8 + 1 + 4

func (f format) AppendPayload(dst []byte, records []record.Record, w *source.Window) []byte {
	if w == nil {
		dst = append(dst, envelope...)
	} else {
		dst = append(dst, windowEnvelope...)
		dst = binary.BigEndian.AppendUint64(dst, uint64(w.Start))
		dst = binary.BigEndian.AppendUint64(dst, uint64(w.End))
		flags := byte(0)
		if w.Final {
			flags |= 1
		}
		if w.Early {
			flags |= 2
		}
		dst = append(dst, flags)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(w.State)))
		dst = append(dst, w.State...)
	}
	for i := range records {
		data := records[i].Data
		dst = binary.BigEndian.AppendUint64(dst, uint64(records[i].Pos))
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
		if len(data) > written {
			dst = skip(dst, len(data)+f.padding)
			continue
		}
		dst = skip(append(dst, data...), f.padding)
	}
	return dst
}

// written is how large data can be that is written. More of it is as empty as padding.
const written = 64

// skip leaves n bytes as they are.
func skip(dst []byte, n int) []byte {
	dst = slices.Grow(dst, n)
	return dst[:len(dst)+n]
}

func (format) Identifier(r *record.Record) string { return identifier(r.Pos) }

// Batch names the records of a notice: the first and the last, and how many.
func (format) Batch(first, last *record.Record, count int) source.BatchInfo {
	b := append([]byte(`[`), identifier(first.Pos)...)
	b = append(append(b, ','), identifier(last.Pos)...)
	b = append(append(b, ','), identifier(record.Position(count))...)
	return source.BatchInfo{Member: "batch", JSON: append(b, ']')}
}

func identifier(p record.Position) string {
	var b [20]byte
	i := len(b)
	for p > 9 {
		i--
		b[i] = byte('0' + p%10)
		p /= 10
	}
	i--
	b[i] = byte('0' + p)
	return string(b[i:])
}

// dataOf is the data of a record at p: it can be told from that of any other record, as far as it is written.
func dataOf(p record.Position, size int) []byte {
	if size > written {
		return zeros[:size]
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(p) + byte(i)
	}
	return data
}

var zeros = make([]byte, 7_000_000)

// unpack returns the positions in a payload and its window, nil without one; ok is false when it is not a payload, or
// holds data of another record.
func (f format) unpack(payload []byte) (ps []record.Position, w *source.Window, ok bool) {
	if len(payload) < len(envelope) {
		return nil, nil, false
	}
	b := payload[len(envelope):]
	switch string(payload[:len(envelope)]) {
	case envelope:
	case windowEnvelope:
		if len(b) < windowHead {
			return nil, nil, false
		}
		n := int(binary.BigEndian.Uint32(b[17:]))
		w = &source.Window{
			Start: record.Millis(binary.BigEndian.Uint64(b)), End: record.Millis(binary.BigEndian.Uint64(b[8:])),
			Final: b[16]&1 != 0, Early: b[16]&2 != 0,
		}
		if b = b[windowHead:]; len(b) < n {
			return nil, nil, false
		}
		w.State, b = string(b[:n]), b[n:]
	default:
		return nil, nil, false
	}
	for len(b) > 0 {
		if len(b) < recordHead {
			return nil, nil, false
		}
		p, n := record.Position(binary.BigEndian.Uint64(b)), int(binary.BigEndian.Uint32(b[8:]))
		if len(b) < recordHead+n+f.padding {
			return nil, nil, false
		}
		if n <= written {
			for i, c := range b[recordHead : recordHead+n] {
				if c != byte(p)+byte(i) {
					return nil, nil, false
				}
			}
		}
		ps = append(ps, p)
		b = b[recordHead+n+f.padding:]
	}
	return ps, w, true
}
