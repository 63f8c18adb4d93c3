package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// shard is a shard as ListShards names it.
type shard struct {
	ShardId               string
	ParentShardId         string `json:",omitempty"`
	AdjacentParentShardId string `json:",omitempty"`
	HashKeyRange          hashKeys
	SequenceNumberRange   struct {
		StartingSequenceNumber string
		EndingSequenceNumber   string `json:",omitempty"`
	}
}

// hashKeys is a part of the hash key space as the API names it.
type hashKeys struct{ StartingHashKey, EndingHashKey string }

// keys returns the part as a range; ok is false if the text is none.
func (h hashKeys) keys() (keys record.HashKeyRange, ok bool) {
	var start, end bool
	keys.Start, start = record.ParseHashKey(h.StartingHashKey)
	keys.End, end = record.ParseHashKey(h.EndingHashKey)
	return keys, start && end && keys.Start.Compare(keys.End) <= 0
}

func (s *shard) open() bool { return s.SequenceNumberRange.EndingSequenceNumber == "" }

// asChild returns the shard as the end of its parents names it.
func (s *shard) asChild() child { return child{s.ShardId, s.parents(), s.HashKeyRange} }

// parents returns the ids of the shards that this one has followed: two after a merge, none if it is of the first.
func (s *shard) parents() []string {
	ids := []string{s.ParentShardId, s.AdjacentParentShardId}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// streamSummary is what DescribeStreamSummary answers, as far as it is shown.
type streamSummary struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       struct{ StreamMode string }
	StreamCreationTimestamp float64
	RetentionPeriodHours    int
	OpenShardCount          int
	ConsumerCount           int
	MaxRecordSizeInKiB      int
	EncryptionType          string
	KeyId                   string `json:",omitempty"`
}

// of returns the members of a request that names a stream, which may be an ARN, and what else it has.
func of(stream string, members map[string]any) map[string]any {
	in := map[string]any{"StreamName": stream}
	if strings.HasPrefix(stream, "arn:") {
		in = map[string]any{"StreamARN": stream}
	}
	for name, value := range members {
		in[name] = value
	}
	return in
}

// summary describes a stream.
func (c *client) summary(ctx context.Context, stream string) (streamSummary, error) {
	var got struct{ StreamDescriptionSummary streamSummary }
	err := c.kinesis(ctx, "DescribeStreamSummary", of(stream, nil), &got)
	return got.StreamDescriptionSummary, err
}

// summaryAsItIs is summary with all members that the server has sent.
func (c *client) summaryAsItIs(ctx context.Context, stream string) (map[string]json.RawMessage, error) {
	var got struct {
		StreamDescriptionSummary map[string]json.RawMessage
	}
	err := c.kinesis(ctx, "DescribeStreamSummary", of(stream, nil), &got)
	if err == nil && got.StreamDescriptionSummary == nil {
		err = fmt.Errorf("DescribeStreamSummary answered nothing; is %s a shardmill?", c.endpoint)
	}
	return got.StreamDescriptionSummary, err
}

// shards lists all shards of a stream that its retention keeps, in the order of their ids.
func (c *client) shards(ctx context.Context, stream string) ([]shard, error) {
	var all []shard
	for in := of(stream, nil); ; {
		var page struct {
			Shards    []shard
			NextToken string
		}
		if err := c.kinesis(ctx, "ListShards", in, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Shards...)
		if page.NextToken == "" {
			return all, nil
		}
		in = map[string]any{"NextToken": page.NextToken}
	}
}

// openShards lists the shards that take records, in the order of their hash keys.
func (c *client) openShards(ctx context.Context, stream string) ([]shard, error) {
	all, err := c.shards(ctx, stream)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(all, func(s shard) bool {
		_, ok := s.HashKeyRange.keys()
		return !s.open() || !ok
	})
	slices.SortFunc(open, func(a, b shard) int {
		x, _ := a.HashKeyRange.keys()
		y, _ := b.HashKeyRange.keys()
		return x.Start.Compare(y.Start)
	})
	return open, nil
}

// How often a change of a stream is looked at, and for how long.
const (
	settleEvery = 250 * time.Millisecond
	settleMost  = 10 * time.Minute
)

// settle waits until a stream is ACTIVE and describes it.
func (c *client) settle(ctx context.Context, stream string) (streamSummary, error) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for began := time.Now(); ; {
		s, err := c.summary(ctx, stream)
		if err != nil || s.StreamStatus == "ACTIVE" {
			return s, err
		}
		if time.Since(began) > settleMost {
			return s, fmt.Errorf("the stream %s is still %s after %s", stream, s.StreamStatus, settleMost)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

// explainStream is explain for a command about a stream: it also says how to find out which there are.
func explainStream(err error, flags string) error {
	if isCode(err, fault.CodeNotFound) {
		f, _ := explain(err).(*failure)
		if f.hint == "" {
			f.hint = "the streams that there are: shardmill stream ls" + flags
		}
		return f
	}
	return explain(err)
}

// transient reports whether a request may succeed a little later.
func transient(err error) bool {
	var e *apiError
	return errors.As(err, &e) && (e.code == throttleCode || e.code == "LimitExceededException" ||
		e.status >= http.StatusInternalServerError && e.status != http.StatusNotImplemented)
}
