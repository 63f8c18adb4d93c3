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
	target, err := c.named(c.request("StreamName", "StreamARN"))
	if err != nil {
		return err
	}
	info, err := h.streams.Lookup(ctx, target)
	if err != nil {
		return err
	}
	consumers, err := h.streams.CountConsumers(ctx, target)
	if err != nil {
		return err
	}
	return c.answer(struct {
		StreamDescriptionSummary streamDescriptionSummary
	}{streamDescriptionSummary{
		ConsumerCount:  consumers,
		EncryptionType: "NONE", EnhancedMonitoring: monitoringOf(info), MaxRecordSizeInKiB: info.RecordBytes / 1024,
		OpenShardCount:       info.OpenShards(),
		RetentionPeriodHours: int(info.Retention.Hours()), StreamARN: info.ARN,
		StreamCreationTimestamp: secondsOf(info.Created),
		StreamModeDetails:       streamMode{info.Mode}, StreamName: info.Name.Name, StreamStatus: info.Status,
	}})
}
