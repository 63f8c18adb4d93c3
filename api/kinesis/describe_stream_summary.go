package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

type streamDescriptionSummary struct {
	ConsumerCount           int
	EncryptionType          stream.EncryptionType
	EnhancedMonitoring      []monitoring
	KeyID                   string `json:"KeyId,omitempty"`
	MaxRecordSizeInKiB      int
	OpenShardCount          int
	RetentionPeriodHours    int
	StreamARN               string
	StreamCreationTimestamp seconds
	StreamModeDetails       streamMode
	StreamName              string
	StreamStatus            stream.Status
	WarmThroughput          *warmThroughput `json:",omitempty"` // only if one was asked for
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
	encryption, keyID := info.Encryption()
	var warm *warmThroughput
	if target, current := info.WarmThroughput(); target > 0 || current > 0 {
		warm = &warmThroughput{CurrentMiBps: current, TargetMiBps: target}
	}
	return c.answer(struct {
		StreamDescriptionSummary streamDescriptionSummary
	}{streamDescriptionSummary{
		ConsumerCount:  consumers,
		EncryptionType: encryption, KeyID: keyID, EnhancedMonitoring: monitoringOf(info),
		MaxRecordSizeInKiB:   info.RecordBytes / 1024,
		OpenShardCount:       info.OpenShards(),
		RetentionPeriodHours: int(info.Retention.Hours()), StreamARN: info.ARN,
		StreamCreationTimestamp: secondsOf(info.Created),
		StreamModeDetails:       streamMode{info.Mode}, StreamName: info.Name.Name, StreamStatus: info.Status,
		WarmThroughput: warm,
	}})
}
