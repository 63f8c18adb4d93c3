package kinesis

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// answer appends v as JSON. The hot operations write their answers themselves.
func (c *call) answer(v any) error {
	w := bytes.NewBuffer(c.out)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	c.out = bytes.TrimSuffix(w.Bytes(), []byte("\n"))
	return nil
}

// seconds is a timestamp on the wire: epoch seconds with up to three decimals, never with an exponent.
type seconds record.Millis

// MarshalJSON prints s.
func (s seconds) MarshalJSON() ([]byte, error) { return appendSeconds(nil, record.Millis(s)), nil }

func secondsOf(t time.Time) seconds { return seconds(record.MillisOf(t)) }

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

// appendString appends s, which is UTF-8, as a JSON string.
func appendString(dst []byte, s string) []byte {
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
	dst = append(dst, s[from:]...)
	if !utf8.ValidString(s[from:]) {
		// Only a shard's stored key could be so, and keys are made valid when they are read; an answer must be JSON in
		// any case.
		dst = bytes.ToValidUTF8(dst, []byte("\ufffd"))
	}
	return append(dst, '"')
}

// appendShardID appends the canonical text of a shard id.
func appendShardID(dst []byte, id record.ShardID) []byte {
	dst = append(dst, "shardId-000000000000"...)
	for i, n := len(dst)-1, uint32(id); n > 0; i, n = i-1, n/10 {
		dst[i] = byte('0' + n%10)
	}
	return dst
}

// Shapes that several operations answer with.
type (
	hashKeyRange struct {
		StartingHashKey string
		EndingHashKey   string
	}
	sequenceNumberRange struct {
		StartingSequenceNumber string
		EndingSequenceNumber   string `json:",omitempty"`
	}
	shardShape struct {
		ShardID               string `json:"ShardId"`
		ParentShardID         string `json:"ParentShardId,omitempty"`
		AdjacentParentShardID string `json:"AdjacentParentShardId,omitempty"`
		HashKeyRange          hashKeyRange
		SequenceNumberRange   sequenceNumberRange
	}
	streamMode struct {
		StreamMode stream.Mode
	}
	monitoring struct {
		ShardLevelMetrics []string
	}
)

func rangeShape(r record.HashKeyRange) hashKeyRange {
	return hashKeyRange{r.Start.String(), r.End.String()}
}

func shardShapes(shards []stream.ShardInfo) []shardShape {
	out := make([]shardShape, len(shards))
	for i := range shards {
		s := &shards[i]
		out[i] = shardShape{
			ShardID: s.ID.String(), HashKeyRange: rangeShape(s.Range),
			SequenceNumberRange: sequenceNumberRange{s.StartingSequenceNumber(), s.EndingSequenceNumber()},
		}
		if s.Parent != nil {
			out[i].ParentShardID = s.Parent.String()
		}
		if s.AdjacentParent != nil {
			out[i].AdjacentParentShardID = s.AdjacentParent.String()
		}
	}
	return out
}

// monitoringOf returns how AWS shows what is measured for each shard of a stream, also where that is nothing.
func monitoringOf(info *stream.Info) []monitoring {
	return []monitoring{{ShardLevelMetrics: info.Monitored.Names()}}
}
