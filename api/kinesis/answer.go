package kinesis

import (
	"time"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// answer appends v in the encoding of the request. The hot operations write their answers themselves.
func (c *call) answer(v any) (err error) {
	c.out, err = c.in.answer(c.out, v)
	return err
}

// seconds is a timestamp on the wire: in JSON epoch seconds with up to three decimals, never with an exponent; in CBOR
// milliseconds.
type seconds record.Millis

// MarshalJSON prints s.
func (s seconds) MarshalJSON() ([]byte, error) { return appendSeconds(nil, record.Millis(s)), nil }

// MarshalCBOR encodes s.
func (s seconds) MarshalCBOR() ([]byte, error) { return appendMillis(nil, record.Millis(s)), nil }

func secondsOf(t time.Time) seconds { return seconds(record.MillisOf(t)) }

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
