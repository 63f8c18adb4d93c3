package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

type streamDescription struct {
	EncryptionType          stream.EncryptionType
	EnhancedMonitoring      []monitoring
	HasMoreShards           bool
	KeyID                   string `json:"KeyId,omitempty"`
	RetentionPeriodHours    int
	Shards                  []shardShape
	StreamARN               string
	StreamCreationTimestamp seconds
	StreamModeDetails       streamMode
	StreamName              string
	StreamStatus            stream.Status
}

// describeStream serves DescribeStream: a page of at most 100 shards, in id order, after an id in text order. StreamId
// is never answered: SDKs that see it stop using the endpoint they were given.
func (h *handler) describeStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "Limit", "ExclusiveStartShardId", "StreamARN")
	name, limit, after, arn := f.str("StreamName"), f.integer("Limit"), f.str(
		"ExclusiveStartShardId",
	), f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.number("limit", limit, optional, 1, 10000)
	v.name("exclusiveStartShardId", after, optional)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	info, err := h.streams.Lookup(ctx, target)
	if err != nil {
		return err
	}

	page := info.Shards[stream.FirstAfter(info.Shards, or(after)):]
	most := stream.MaxDescribe
	if limit != nil {
		most = min(most, int(*limit))
	}
	more := len(page) > most
	if more {
		page = page[:most]
	}
	encryption, keyID := info.Encryption()
	return c.answer(struct{ StreamDescription streamDescription }{streamDescription{
		EncryptionType: encryption, EnhancedMonitoring: monitoringOf(info), HasMoreShards: more, KeyID: keyID,
		RetentionPeriodHours: int(info.Retention.Hours()),
		Shards:               shardShapes(page), StreamARN: info.ARN, StreamCreationTimestamp: secondsOf(info.Created),
		StreamModeDetails: streamMode{info.Mode}, StreamName: info.Name.Name, StreamStatus: info.Status,
	}})
}
