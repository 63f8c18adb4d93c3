package sim

import (
	"encoding/binary"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// format is a payload that is cheap to write and to take apart: an envelope, then position, length and data of every
// record.
type format struct{}

var _ source.Format = format{}

const (
	envelope       = "sim:"
	windowEnvelope = "win:"
)

func (format) Envelope() int                   { return len(envelope) }
func (format) RecordSize(r *record.Record) int { return 12 + len(r.Data) }

func (format) Windowed() int   { return windowHead }
func (format) Recordless() int { return len(envelope) + windowHead }

// windowHead is what a tumbling window puts between the envelope and its state: start, end, flags and the length of the
// state.
const windowHead = 8 + 8 + 1 + 4

func (format) AppendPayload(dst []byte, records []record.Record, w *source.Window) []byte {
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
		dst = binary.BigEndian.AppendUint64(dst, uint64(records[i].Pos))
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(records[i].Data)))
		dst = append(dst, records[i].Data...)
	}
	return dst
}

func (format) Identifier(r *record.Record) string { return identifier(r.Pos) }

// Batch names the records of a notice: the first and the last, and how many.
func (format) Batch(first, last *record.Record, count int) source.BatchInfo {
	b := append([]byte(`[`), identifier(first.Pos)...)
	b = append(append(b, ','), identifier(last.Pos)...)
	return source.BatchInfo{
		Member: "batch", JSON: append(append(append(b, ','), identifier(record.Position(count))...), ']'),
	}
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

// unpack returns the positions in a payload and its window, nil without one; ok is false when it is not a payload.
func unpack(payload []byte) (ps []record.Position, w *source.Window, ok bool) {
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
		if len(b) < 12 {
			return nil, nil, false
		}
		n := int(binary.BigEndian.Uint32(b[8:]))
		if len(b) < 12+n {
			return nil, nil, false
		}
		ps = append(ps, record.Position(binary.BigEndian.Uint64(b)))
		b = b[12+n:]
	}
	return ps, w, true
}
