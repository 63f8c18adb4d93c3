package kinesis

import (
	"iter"
	"net/http"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// encoding is how the body of a request and of its answer is written: JSON 1.1 or CBOR 1.1. Operations read through
// fields and answer through call.answer, and never learn which it is.
type encoding interface {
	contentType() string
	decoder() decoder // the caller releases it
	reading
	writing
}

// reading takes a body apart without decoding it as a whole. Everything but object takes parts of a body that object
// has accepted. Nothing is kept, so a request of any shape costs no more memory than its body.
type reading interface {
	// object reports whether body is one valid map whose texts are read as they were sent: two partition keys never
	// become one.
	object(body []byte) bool
	kind(raw []byte) kind
	truth(raw []byte) bool                        // of a boolean
	integer(raw []byte) int64                     // of a number: floored, within 32 bits
	millis(raw []byte) record.Millis              // of a number
	text(raw []byte) string                       // of a text
	blob(raw []byte) []byte                       // of bytes; may be a part of raw
	members(raw []byte) iter.Seq2[string, []byte] // of a map, in order; names may come twice
	elements(raw []byte) iter.Seq[[]byte]         // of a list, in order
}

// writing appends the parts of an answer to what there is of it.
type writing interface {
	answer(to []byte, v any) ([]byte, error) // v has json tags

	beginMap(to []byte) []byte
	endMap(to []byte) []byte
	beginList(to []byte) []byte
	endList(to []byte) []byte
	name(to []byte, name string) []byte // of a member; its value follows
	element(to []byte) []byte           // goes before each element of a list
	string(to []byte, s string) []byte
	number(to []byte, n int64) []byte

	place(to []byte, p *stream.Placed) []byte // the members of a successful put
	record(to []byte, shard *stream.ShardInfo, r *record.Record) []byte
}

// kind is the type of a value as it was sent.
type kind uint8

// The kinds of values. Only CBOR has bytes; a timestamp is a number.
const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindBytes
	kindList
	kindMap
)

// value is one value of a request.
type value struct {
	in  encoding
	raw []byte // nil: absent
}

func (v value) kind() kind {
	if len(v.raw) == 0 {
		return kindNull
	}
	return v.in.kind(v.raw)
}

func (v value) isNull() bool { return v.kind() == kindNull }

// encodingOf returns how a request is to be answered: as it was sent, and in JSON if that is neither encoding.
func encodingOf(r *http.Request) encoding {
	if mediaType(r) == typeCBOR {
		return asCBOR{}
	}
	return asJSON{}
}

var (
	_ encoding = asJSON{}
	_ encoding = asCBOR{}
)
