package e2e_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// told makes a call under a name; what it returns after a refusal is the zero value, as the refusal is part of the
// story.
func told[In, Out any](
	t *testing.T, s *server, name string,
	call func(context.Context, *In, ...func(*kinesis.Options)) (*Out, error), in In,
) *Out {
	t.Helper()
	resp, err := http.Get(s.Endpoint + "/announce?case=" + url.QueryEscape(name))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close() // empty
	out, err := call(t.Context(), &in)
	if err != nil {
		t.Logf("%s: %v", name, err)
		return new(Out)
	}
	return out
}

// tellInGo calls every operation of Kinesis through the SDK for Go, for make golden.
func tellInGo(t *testing.T, s *server) {
	k := s.clients().kinesis
	orders, arn := aws.String("orders"), aws.String(streamARN("orders"))
	told(t, s, "two shards", k.CreateStream, kinesis.CreateStreamInput{StreamName: orders, ShardCount: aws.Int32(2)})
	told(t, s, "on demand", k.CreateStream, kinesis.CreateStreamInput{
		StreamName:        aws.String("clicks"),
		StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
	})
	told(t, s, "taken", k.CreateStream, kinesis.CreateStreamInput{StreamName: orders})
	described := told(t, s, "by ARN", k.DescribeStream, kinesis.DescribeStreamInput{StreamARN: arn})
	told(t, s, "unknown", k.DescribeStream, kinesis.DescribeStreamInput{StreamName: aws.String("absent")})
	told(t, s, "by name", k.DescribeStreamSummary, kinesis.DescribeStreamSummaryInput{StreamName: orders})
	told(t, s, "all", k.ListStreams, kinesis.ListStreamsInput{})
	told(t, s, "all", k.ListShards, kinesis.ListShardsInput{
		StreamName: orders, StreamCreationTimestamp: described.StreamDescription.StreamCreationTimestamp,
		ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest},
	})

	first := told(t, s, "bytes", k.PutRecord, kinesis.PutRecordInput{
		StreamName: orders, PartitionKey: aws.String("ü"), Data: []byte{0, 1, 0xfe, 0xff},
		ExplicitHashKey: aws.String("0"),
	})
	told(t, s, "no stream", k.PutRecord, kinesis.PutRecordInput{
		StreamName: aws.String("absent"), PartitionKey: aws.String("a"), Data: []byte("x"),
	})
	told(t, s, "two", k.PutRecords, kinesis.PutRecordsInput{StreamARN: arn, Records: []types.PutRecordsRequestEntry{
		{Data: []byte("one"), PartitionKey: aws.String("a")}, {Data: []byte{}, PartitionKey: aws.String("b")},
	}})
	begin := told(t, s, "trim horizon", k.GetShardIterator, kinesis.GetShardIteratorInput{
		StreamName: orders, ShardId: first.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	got := told(t, s, "one", k.GetRecords, kinesis.GetRecordsInput{
		ShardIterator: begin.ShardIterator, Limit: aws.Int32(1),
	})
	told(t, s, "from a time", k.GetShardIterator, kinesis.GetShardIteratorInput{
		StreamName: orders, ShardId: first.ShardId, ShardIteratorType: types.ShardIteratorTypeAtTimestamp,
		Timestamp: got.Records[0].ApproximateArrivalTimestamp,
	})

	told(t, s, "one", k.AddTagsToStream, kinesis.AddTagsToStreamInput{
		StreamName: orders, Tags: map[string]string{"a": "1"},
	})
	told(t, s, "all", k.ListTagsForStream, kinesis.ListTagsForStreamInput{StreamName: orders})
	told(t, s, "one", k.RemoveTagsFromStream, kinesis.RemoveTagsFromStreamInput{
		StreamName: orders, TagKeys: []string{"a"},
	})
	told(t, s, "one", k.TagResource, kinesis.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"b": "2"}})
	told(t, s, "one", k.ListTagsForResource, kinesis.ListTagsForResourceInput{ResourceARN: arn})
	told(t, s, "one", k.UntagResource, kinesis.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"b"}})
	told(t, s, "two days", k.IncreaseStreamRetentionPeriod, kinesis.IncreaseStreamRetentionPeriodInput{
		StreamName: orders, RetentionPeriodHours: aws.Int32(48),
	})
	told(t, s, "a day", k.DecreaseStreamRetentionPeriod, kinesis.DecreaseStreamRetentionPeriodInput{
		StreamName: orders, RetentionPeriodHours: aws.Int32(24),
	})
	told(t, s, "all", k.EnableEnhancedMonitoring, kinesis.EnableEnhancedMonitoringInput{
		StreamName: orders, ShardLevelMetrics: []types.MetricsName{types.MetricsNameAll},
	})
	told(t, s, "one", k.DisableEnhancedMonitoring, kinesis.DisableEnhancedMonitoringInput{
		StreamName: orders, ShardLevelMetrics: []types.MetricsName{types.MetricsNameIncomingBytes},
	})
	key := aws.String("alias/aws/kinesis")
	told(t, s, "KMS", k.StartStreamEncryption, kinesis.StartStreamEncryptionInput{
		StreamName: orders, EncryptionType: types.EncryptionTypeKms, KeyId: key,
	})
	told(t, s, "KMS", k.StopStreamEncryption, kinesis.StopStreamEncryptionInput{
		StreamName: orders, EncryptionType: types.EncryptionTypeKms, KeyId: key,
	})
	told(t, s, "a reader", k.PutResourcePolicy, kinesis.PutResourcePolicyInput{
		ResourceARN: arn, Policy: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` +
			`"Principal":{"AWS":"111111111111"},"Action":"kinesis:ListShards","Resource":"` + *arn + `"}]}`),
	})
	told(t, s, "a reader", k.GetResourcePolicy, kinesis.GetResourcePolicyInput{ResourceARN: arn})
	told(t, s, "a reader", k.DeleteResourcePolicy, kinesis.DeleteResourcePolicyInput{ResourceARN: arn})
	reader := aws.String("reader")
	told(t, s, "one", k.RegisterStreamConsumer, kinesis.RegisterStreamConsumerInput{
		StreamARN: arn, ConsumerName: reader,
	})
	told(t, s, "by name", k.DescribeStreamConsumer, kinesis.DescribeStreamConsumerInput{
		StreamARN: arn, ConsumerName: reader,
	})
	told(t, s, "all", k.ListStreamConsumers, kinesis.ListStreamConsumersInput{StreamARN: arn})
	told(t, s, "by name", k.DeregisterStreamConsumer, kinesis.DeregisterStreamConsumerInput{
		StreamARN: arn, ConsumerName: reader,
	})
	told(t, s, "all", k.DescribeLimits, kinesis.DescribeLimitsInput{})
	told(t, s, "all", k.DescribeAccountSettings, kinesis.DescribeAccountSettingsInput{})
	told(t, s, "enabled", k.UpdateAccountSettings, kinesis.UpdateAccountSettingsInput{
		MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{
			Status: types.MinimumThroughputBillingCommitmentInputStatusEnabled,
		},
	})
	told(t, s, "some", k.UpdateStreamWarmThroughput, kinesis.UpdateStreamWarmThroughputInput{
		StreamName: aws.String("clicks"), WarmThroughputMiBps: aws.Int32(20),
	})
	told(t, s, "larger", k.UpdateMaxRecordSize, kinesis.UpdateMaxRecordSizeInput{
		StreamARN: arn, MaxRecordSizeInKiB: aws.Int32(2048),
	})
	told(t, s, "a half", k.SplitShard, kinesis.SplitShardInput{
		StreamName: orders, ShardToSplit: first.ShardId, NewStartingHashKey: aws.String("1000"),
	})
	told(t, s, "neighbours", k.MergeShards, kinesis.MergeShardsInput{
		StreamName: orders, ShardToMerge: aws.String("shardId-000000000002"),
		AdjacentShardToMerge: aws.String("shardId-000000000003"),
	})
	told(t, s, "on demand", k.UpdateStreamMode, kinesis.UpdateStreamModeInput{
		StreamARN: arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
	})
	told(t, s, "provisioned", k.UpdateStreamMode, kinesis.UpdateStreamModeInput{
		StreamARN: arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeProvisioned},
	})
	told(t, s, "to four", k.UpdateShardCount, kinesis.UpdateShardCountInput{
		StreamName: orders, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling,
	})
	told(t, s, "by ARN", k.DeleteStream, kinesis.DeleteStreamInput{StreamARN: arn})
}
