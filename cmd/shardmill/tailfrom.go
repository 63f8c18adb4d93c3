package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/stream"
)

// origin is where reading begins, as GetShardIterator takes it.
type origin struct {
	kind     stream.IteratorType
	at       time.Time // with IterAtTimestamp
	sequence string    // with IterAt and IterAfter
}

// members returns the parameters of GetShardIterator.
func (o origin) members(shard string) map[string]any {
	in := map[string]any{"ShardId": shard, "ShardIteratorType": o.kind}
	switch o.kind {
	case stream.IterAt, stream.IterAfter:
		in["StartingSequenceNumber"] = o.sequence
	case stream.IterAtTimestamp:
		in["Timestamp"] = float64(o.at.UnixMilli()) / 1000
	case stream.IterTrimHorizon, stream.IterLatest:
	}
	return in
}

// The forms of a time that --from takes, those without a zone in the zone of this machine.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"}

// parseFrom reads --from. shard is set if the text is a sequence number, which belongs to one shard.
func parseFrom(s string, now time.Time) (o origin, shard string, err error) {
	switch s {
	case "now":
		return origin{kind: stream.IterLatest}, "", nil
	case "start":
		return origin{kind: stream.IterTrimHorizon}, "", nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return origin{kind: stream.IterAtTimestamp, at: now.Add(-d)}, "", nil
	}
	for _, form := range timeForms {
		if at, err := time.ParseInLocation(form, s, time.Local); err == nil {
			return origin{kind: stream.IterAtTimestamp, at: at}, "", nil
		}
	}
	if len(s) >= sequenceDigits && strings.Trim(s, "0123456789") == "" {
		q, err := stream.ParseSequenceNumber(s)
		if err != nil {
			return o, "", fmt.Errorf("%q is not a sequence number", s)
		}
		return origin{kind: stream.IterAt, sequence: s}, q.Shard.String(), nil
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 0 && n < 1e11 { // not NaN
		return origin{kind: stream.IterAtTimestamp, at: time.UnixMilli(int64(n * 1000))}, "", nil
	}
	return o, "", fmt.Errorf(
		"%q is none of: now; start; how long ago, such as 10m; a time, such as 2006-01-02T15:04:05Z or seconds since 1970; a sequence number", s,
	)
}

// sequenceDigits is more than a time in seconds has, and less than any sequence number of this millennium.
const sequenceDigits = 30
