package kinesis

import (
	"fmt"
	"strings"
	"testing"
)

// O-44: Terraform AWS 5.x, aws_kinesis_stream: plan, apply, second plan, destroy · no difference in the second plan;
// DescribeLimits answered during plan. These are the calls that the provider makes, in its order, with a consumer and a
// policy beside the stream; what it reads back must be what it has set. make terraform runs the provider itself.
func TestTerraformReadsBackWhatItHasSet(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
	const named = `{"StreamName":"s"}`
	// read is a refresh: the provider compares what it finds with the configuration.
	read := func(shards, hours, encryption, key, metrics, tags string) {
		t.Helper()
		r := w.ok("DescribeStreamSummary", named)
		const m = "StreamDescriptionSummary"
		r.want("ACTIVE", m, "StreamStatus")
		r.want("PROVISIONED", m, "StreamModeDetails", "StreamMode")
		r.want(shards, m, "OpenShardCount")
		r.want(hours, m, "RetentionPeriodHours")
		r.want(encryption, m, "EncryptionType")
		r.want(key, m, "KeyId")
		r.want(metrics, m, "EnhancedMonitoring", 0, "ShardLevelMetrics")
		r.want("1024", m, "MaxRecordSizeInKiB")
		r.want("", m, "WarmThroughput")
		r.want("", m, "StreamId")
		w.ok("ListTagsForStream", named).want(tags, "Tags")
	}

	// plan, apply
	w.ok("DescribeLimits", `{}`).want("20000", "ShardLimit")
	w.call("DescribeStreamSummary", named).fails("ResourceNotFoundException", "Stream s under account 000000000000 not found.")
	w.ok("CreateStream", `{"StreamName":"s","ShardCount":2,"StreamModeDetails":{"StreamMode":"PROVISIONED"},"Tags":{"team":"a"}}`)
	w.ok("IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":24}`) // after every create
	w.ok("IncreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":48}`)
	w.ok("EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["IncomingBytes","OutgoingBytes"]}`)
	w.ok("StartStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`)
	consumer := w.ok("RegisterStreamConsumer", `{"StreamARN":%q,"ConsumerName":"c","Tags":{"team":"b"}}`, arn).
		get("Consumer", "ConsumerARN")
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},`+
		`"Action":["kinesis:DescribeStreamSummary","kinesis:ListShards","kinesis:PutRecord"],"Resource":%q}]}`, arn)
	w.ok("PutResourcePolicy", `{"ResourceARN":%q,"Policy":%q}`, arn, policy)

	// second plan
	w.ok("DescribeLimits", `{}`).want("2", "OpenShardCount")
	read("2", "48", "KMS", "alias/aws/kinesis", `["IncomingBytes","OutgoingBytes"]`, `[{"Key":"team","Value":"a"}]`)
	c := w.ok("DescribeStreamConsumer", `{"ConsumerARN":%q}`, consumer)
	c.want("ACTIVE", "ConsumerDescription", "ConsumerStatus")
	c.want(arn, "ConsumerDescription", "StreamARN")
	w.ok("ListTagsForResource", `{"ResourceARN":%q}`, consumer).want(`[{"Key":"team","Value":"b"}]`, "Tags")
	w.ok("GetResourcePolicy", `{"ResourceARN":%q}`, arn).want(policy, "Policy")

	// change
	w.ok("RemoveTagsFromStream", `{"StreamName":"s","TagKeys":["team"]}`)
	w.ok("AddTagsToStream", `{"StreamName":"s","Tags":{"owner":"x"}}`)
	w.ok("UpdateShardCount", `{"StreamName":"s","TargetShardCount":3,"ScalingType":"UNIFORM_SCALING"}`)
	w.ok("DecreaseStreamRetentionPeriod", `{"StreamName":"s","RetentionPeriodHours":24}`)
	w.ok("DisableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["IncomingBytes"]}`)
	w.ok("EnableEnhancedMonitoring", `{"StreamName":"s","ShardLevelMetrics":["IteratorAgeMilliseconds"]}`)
	w.ok("StopStreamEncryption", `{"StreamName":"s","EncryptionType":"KMS","KeyId":"alias/aws/kinesis"}`)
	read("3", "24", "NONE", "", `["OutgoingBytes","IteratorAgeMilliseconds"]`, `[{"Key":"owner","Value":"x"}]`)

	// destroy
	w.ok("DeleteResourcePolicy", `{"ResourceARN":%q}`, arn)
	w.ok("DeregisterStreamConsumer", `{"ConsumerARN":%q}`, consumer)
	w.call("DescribeStreamConsumer", `{"ConsumerARN":%q}`, consumer).failsLike("ResourceNotFoundException", "…",
		func(text string) bool { return strings.HasPrefix(text, "Consumer c ") })
	w.ok("DeleteStream", `{"StreamName":"s","EnforceConsumerDeletion":false}`)
	w.call("DescribeStreamSummary", named).fails("ResourceNotFoundException", "Stream s under account 000000000000 not found.")
}
