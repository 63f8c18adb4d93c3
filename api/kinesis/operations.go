package kinesis

import (
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

// operations is what is served.
var operations = []operation{
	{name: "AddTagsToStream", serve: (*handler).addTagsToStream},
	{name: "CreateStream", serve: (*handler).createStream},
	{name: "DeleteStream", serve: (*handler).deleteStream},
	{name: "DescribeStream", serve: (*handler).describeStream},
	{name: "DescribeStreamSummary", serve: (*handler).describeStreamSummary},
	{name: "GetRecords", serve: (*handler).getRecords},
	{name: "GetShardIterator", serve: (*handler).getShardIterator},
	{name: "ListShards", serve: (*handler).listShards},
	{name: "ListStreams", serve: (*handler).listStreams},
	{name: "ListTagsForStream", serve: (*handler).listTagsForStream},
	{name: "PutRecord", serve: (*handler).putRecord, fast: (*handler).putRecordFast},
	{name: "PutRecords", serve: (*handler).putRecords, fast: (*handler).putRecordsFast},
}

// notServed is the rest of the model (API version 2013-12-02): refused by name, so that nobody takes a typing error for
// a missing feature.
var notServed = map[string]bool{
	"DecreaseStreamRetentionPeriod": true, "DeleteResourcePolicy": true, "DeregisterStreamConsumer": true,
	"DescribeAccountSettings": true,
	"DescribeLimits":          true, "DescribeStreamConsumer": true, "DisableEnhancedMonitoring": true,
	"EnableEnhancedMonitoring": true,
	"GetResourcePolicy":        true, "IncreaseStreamRetentionPeriod": true, "ListStreamConsumers": true,
	"ListTagsForResource": true,
	"MergeShards":         true, "PutResourcePolicy": true, "RegisterStreamConsumer": true,
	"RemoveTagsFromStream": true, "SplitShard": true,
	"StartStreamEncryption": true, "StopStreamEncryption": true, "SubscribeToShard": true, "TagResource": true,
	"UntagResource":         true,
	"UpdateAccountSettings": true, "UpdateMaxRecordSize": true, "UpdateShardCount": true, "UpdateStreamMode": true,
	"UpdateStreamWarmThroughput": true,
}

// named returns the stream of a request that has no other member to judge.
func (c *call) named(f *fields) (stream.Name, error) {
	name, arn := f.str("StreamName"), f.str("StreamARN")
	if *f.err != nil {
		return stream.Name{}, *f.err
	}
	var v constraints
	v.name("streamName", name, optional)
	v.streamARN(arn)
	if err := v.Err(); err != nil {
		return stream.Name{}, err
	}
	return c.address(name, arn)
}

// address returns the stream that a request means by name, by ARN, or by both.
func (c *call) address(name, arn *string) (stream.Name, error) {
	if name == nil && arn == nil {
		return stream.Name{}, fault.New(codeInvalid, "Either StreamName or StreamARN should be provided.")
	}
	byName := stream.Name{Account: c.caller.Account, Region: c.caller.Region}
	if name != nil {
		byName.Name = *name
	}
	if arn == nil {
		return byName, nil
	}
	byARN, hint, err := stream.ParseARN(*arn, c.caller.Account)
	if err != nil {
		return stream.Name{}, err
	}
	c.hint = hint
	if name != nil && byARN != byName {
		return stream.Name{}, fault.New(codeInvalid, "StreamName and StreamARN do not refer to the same stream.")
	}
	return byARN, nil
}

// or is *p, or the zero value when p is nil.
func or[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
