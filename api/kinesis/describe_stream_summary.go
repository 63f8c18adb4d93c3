package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

type streamDescriptionSummary struct {
	ConsumerCount           int
	EncryptionType          string
	EnhancedMonitoring      []monitoring
	MaxRecordSizeInKiB      int
	OpenShardCount          int
	RetentionPeriodHours    int
	StreamARN               string
	StreamCreationTimestamp seconds
	StreamModeDetails       streamMode
	StreamName              string
	StreamStatus            stream.Status
}

// describeStreamSummary serves DescribeStreamSummary, without StreamId as in DescribeStream.
func (h *handler) describeStreamSummary(ctx context.Context, c *call) error {
	f := c.request("StreamName", "StreamARN")
	name, arn := f.str("StreamName"), f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.streamARN(arn)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.address(name, arn)
	if err != nil {
		return err
	}
	info, err := h.streams.Lookup(ctx, target)
	if err != nil {
		return err
	}
	return c.answer(struct {
		StreamDescriptionSummary streamDescriptionSummary
	}{streamDescriptionSummary{
		EncryptionType: "NONE", EnhancedMonitoring: noMonitoring(), MaxRecordSizeInKiB: info.RecordBytes / 1024, OpenShardCount: info.OpenShards(),
		RetentionPeriodHours: int(info.Retention.Hours()), StreamARN: info.ARN, StreamCreationTimestamp: secondsOf(info.Created),
		StreamModeDetails: streamMode{info.Mode}, StreamName: info.Name.Name, StreamStatus: info.Status,
	}})
}
