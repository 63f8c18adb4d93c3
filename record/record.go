// Package record holds the nouns that all rooms share: records, positions in a shard, hash keys.
//
// It imports none of our packages and decides nothing. Texts on the wire (sequence numbers, ARNs) belong to the rooms
// that issue them; the one exception is the shard id, whose text is the same everywhere.
package record

import (
	"fmt"
	"time"
)

// Position is a totally ordered place in one shard: strictly increasing in commit order, not dense, from 1 and below
// 2^63. 0 is before the first record. The Kinesis sequence number of a record carries its Position as the sequence
// index.
type Position uint64

// MaxPosition is the largest position a record can have, and the end of a closed shard.
const MaxPosition Position = 1<<63 - 1

// Millis is an instant in milliseconds since the Unix epoch, the precision of arrival times on the wire.
type Millis int64

// MillisOf returns t, cut to whole milliseconds.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time returns m as a UTC time.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// ShardID is the index of a shard in its stream: from 0, growing by one for every shard ever created, never reused.
type ShardID uint32

// String returns the canonical text, for example shardId-000000000012.
func (s ShardID) String() string { return fmt.Sprintf("shardId-%012d", uint32(s)) }

// A Record is one entry of a shard. Records are immutable once appended: readers share Data and must not change it.
type Record struct {
	Pos      Position
	Arrival  Millis  // set at commit; may step back a little from one record to the next
	Key      string  // partition key, 1 to 256 code points
	Hash     HashKey // the explicit hash key; meaningful only when Explicit
	Explicit bool
	Data     []byte // 0 to 10 MiB
}

// HashKeyOf returns r's hash key: the explicit one if it has one, else the MD5 of its partition key.
func (r *Record) HashKeyOf() HashKey {
	if r.Explicit {
		return r.Hash
	}
	return MD5Of(r.Key)
}

// Size returns the bytes that AWS's limits count: data plus partition key.
func (r *Record) Size() int { return len(r.Data) + len(r.Key) }
