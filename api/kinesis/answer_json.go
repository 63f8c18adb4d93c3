package kinesis

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/shardmill/shardmill/internal/base64"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

func (asJSON) answer(to []byte, v any) ([]byte, error) {
	w := bytes.NewBuffer(to)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return to, err
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n")), nil
}

func (asJSON) beginMap(to []byte) []byte  { return append(to, '{') }
func (asJSON) endMap(to []byte) []byte    { return append(to, '}') }
func (asJSON) beginList(to []byte) []byte { return append(to, '[') }
func (asJSON) endList(to []byte) []byte   { return append(to, ']') }

func (asJSON) name(to []byte, name string) []byte {
	if to[len(to)-1] != '{' {
		to = append(to, ',')
	}
	return append(append(append(to, '"'), name...), `":`...)
}

func (asJSON) element(to []byte) []byte {
	if to[len(to)-1] == '[' {
		return to
	}
	return append(to, ',')
}

func (asJSON) string(to []byte, s string) []byte { return appendString(to, s) }
func (asJSON) number(to []byte, n int64) []byte  { return strconv.AppendInt(to, n, 10) }

func (asJSON) place(to []byte, p *stream.Placed) []byte {
	to = append(to, `"SequenceNumber":"`...)
	to = append(p.AppendSequenceNumber(to), `","ShardId":"`...)
	return append(appendShardID(to, p.Shard), '"')
}

func (asJSON) record(to []byte, shard *stream.ShardInfo, r *record.Record) []byte {
	to = append(to, `{"ApproximateArrivalTimestamp":`...)
	to = appendSeconds(to, r.Arrival)
	to = append(to, `,"Data":"`...)
	to = base64.AppendEncode(to, r.Data)
	if shard.Encrypted(r.Arrival) {
		to = append(to, `","EncryptionType":"KMS`...)
	}
	to = append(to, `","PartitionKey":`...)
	to = appendString(to, r.Key)
	to = append(to, `,"SequenceNumber":"`...)
	to = shard.AppendSequenceNumber(to, r.Pos, r.Arrival)
	return append(to, `"}`...)
}

// appendSeconds appends ms as seconds. Times before 1970 do not occur.
func appendSeconds(dst []byte, ms record.Millis) []byte {
	dst = strconv.AppendInt(dst, int64(ms)/1000, 10)
	rest := int64(ms) % 1000
	if rest <= 0 {
		return dst
	}
	dst = append(dst, '.', byte('0'+rest/100))
	if rest %= 100; rest > 0 {
		dst = append(dst, byte('0'+rest/10))
		if rest %= 10; rest > 0 {
			dst = append(dst, byte('0'+rest))
		}
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Only a shard's stored key could be no UTF-8, and keys are made valid when
// they are read; an answer must be JSON in any case.
func appendString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	dst = append(dst, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
