package sim

import (
	"encoding/binary"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// format is a payload that is cheap to write and to take apart: an envelope, then position, length and data of every record.
type format struct{}

var _ source.Format = format{}

const envelope = "sim:"

func (format) Envelope() int                   { return len(envelope) }
func (format) RecordSize(r *record.Record) int { return 12 + len(r.Data) }

func (format) AppendPayload(dst []byte, records []record.Record) []byte {
	dst = append(dst, envelope...)
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
	return source.BatchInfo{Member: "batch", JSON: append(append(append(b, ','), identifier(record.Position(count))...), ']')}
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

// unpack is the positions in a payload; ok is false when it is not one.
func unpack(payload []byte) (ps []record.Position, ok bool) {
	if len(payload) < len(envelope) || string(payload[:len(envelope)]) != envelope {
		return nil, false
	}
	for b := payload[len(envelope):]; len(b) > 0; {
		if len(b) < 12 {
			return nil, false
		}
		n := int(binary.BigEndian.Uint32(b[8:]))
		if len(b) < 12+n {
			return nil, false
		}
		ps = append(ps, record.Position(binary.BigEndian.Uint64(b)))
		b = b[12+n:]
	}
	return ps, true
}
