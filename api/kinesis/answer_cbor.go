package kinesis

import (
	"encoding/binary"
	"sync"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// generalCBOR encodes answers by their types; map keys and members without a value as encoding/json has them.
var generalCBOR = sync.OnceValue(func() cbor.EncMode {
	mode, err := cbor.EncOptions{FieldName: cbor.FieldNameToTextString}.EncMode()
	if err != nil {
		panic(err) // constants
	}
	return mode
})

func (asCBOR) answer(to []byte, v any) ([]byte, error) {
	b, err := generalCBOR().Marshal(v)
	return append(to, b...), err
}

// Maps and lists have no count, as AWS writes them: that of a read is known only behind its last record.
func (asCBOR) beginMap(to []byte) []byte  { return append(to, cborOpenMap) }
func (asCBOR) endMap(to []byte) []byte    { return append(to, cborBreak) }
func (asCBOR) beginList(to []byte) []byte { return append(to, cborOpenList) }
func (asCBOR) endList(to []byte) []byte   { return append(to, cborBreak) }
func (asCBOR) element(to []byte) []byte   { return to }

func (asCBOR) name(to []byte, name string) []byte {
	return append(appendHead(to, majorText, uint64(len(name))), name...)
}

func (asCBOR) string(to []byte, s string) []byte {
	if !utf8.ValidString(s) { // as in appendString
		s = string([]rune(s))
	}
	return append(appendHead(to, majorText, uint64(len(s))), s...)
}

func (asCBOR) number(to []byte, n int64) []byte {
	if n < 0 {
		return appendHead(to, majorNegative, uint64(-1-n))
	}
	return appendHead(to, majorUnsigned, uint64(n))
}

// appendHead appends the beginning of an item with a count or length, in the fewest bytes.
func appendHead(to []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(to, major|byte(n))
	case n < 1<<8:
		return append(to, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(to, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(to, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(to, major|27), n)
}

// appendMillis appends a timestamp: a whole number of milliseconds under tag 1.
func appendMillis(to []byte, ms record.Millis) []byte {
	return asCBOR{}.number(append(to, majorTag<<5|tagTimestamp), int64(ms))
}

// Members of the answers that are written most, with the heads of their names and of values of constant length.
const (
	cborSequenceNumber = "\x6eSequenceNumber\x78" // the length follows
	cborShardID        = "\x67ShardId\x74"        // the text follows, of 20 characters
	cborArrival        = "\x78\x1bApproximateArrivalTimestamp"
	cborData           = "\x64Data"
	cborPartitionKey   = "\x6cPartitionKey"
)

func (asCBOR) place(to []byte, p *stream.Placed) []byte {
	to = append(to, cborSequenceNumber+"\x00"...)
	from := len(to)
	to = p.AppendSequenceNumber(to)
	to[from-1] = byte(len(to) - from)
	return appendShardID(append(to, cborShardID...), p.Shard)
}

func (asCBOR) record(to []byte, shard *stream.ShardInfo, r *record.Record) []byte {
	to = append(to, cborOpenMap)
	to = appendMillis(append(to, cborArrival...), r.Arrival)
	to = appendHead(append(to, cborData...), majorBytes, uint64(len(r.Data)))
	to = append(to, r.Data...)
	if shard.Encrypted(r.Arrival) {
		to = append(to, "\x6eEncryptionType\x63KMS"...)
	}
	to = asCBOR{}.string(append(to, cborPartitionKey...), r.Key)
	to = append(to, cborSequenceNumber+"\x00"...)
	from := len(to)
	to = shard.AppendSequenceNumber(to, r.Pos, r.Arrival)
	to[from-1] = byte(len(to) - from)
	return append(to, cborBreak)
}
