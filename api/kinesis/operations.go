package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

// absent makes the refusals of what Kinesis has and this room does not.
const absent = wire.Absent("kinesis")

// operation is a row of the model: it appends its answer to the call. An empty body is AWS's empty success.
type operation = wire.Operation[*handler, *call]

func on(serve func(h *handler, ctx context.Context, c *call) error) operation {
	return operation{Serve: func(h *handler, ctx context.Context, _ wire.Caller, c *call) (any, error) {
		return nil, c.hinted(serve(h, ctx, c))
	}}
}

// streaming is on for an operation that owns its answer.
func streaming(serve func(h *handler, ctx context.Context, c *call, out *wire.Stream) error) operation {
	return operation{Stream: func(h *handler, ctx context.Context, _ wire.Caller, c *call, out *wire.Stream) error {
		return c.hinted(serve(h, ctx, c, out))
	}}
}

// hinted adds the advice of the call to an error.
func (c *call) hinted(err error) error {
	if err != nil && c.hint != "" {
		return &hintedError{err, c.hint}
	}
	return err
}

// hintedError is an error whose answer carries advice.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

// model is what Kinesis has, as of API version 2013-12-02. Operations that are not served are refused by name, so that
// no user takes a typing error for a missing feature.
var model = named(wire.Model[operation]{
	Absent: absent,
	Others: `AcknowledgeDeadLetterQueueRecords AcknowledgeQueueRecords CreateChannel CreateQueue DeleteChannel DeleteQueue
		DescribeChannel DescribeQueue ListChannels ListQueues ReceiveDeadLetterQueueRecords ReceiveQueueRecords
		RestoreDeadLetterQueueRecords UpdateChannel UpdateDeadLetterQueueRecordsVisibility UpdateQueue
		UpdateQueueRecordsVisibility UpdateStreamRecordDistributionStrategy`,
	Served: map[string]operation{
		"AddTagsToStream":               on((*handler).addTagsToStream),
		"CreateStream":                  on((*handler).createStream),
		"DecreaseStreamRetentionPeriod": on((*handler).decreaseStreamRetentionPeriod),
		"DeleteResourcePolicy":          on((*handler).deleteResourcePolicy),
		"DeleteStream":                  on((*handler).deleteStream),
		"DeregisterStreamConsumer":      on((*handler).deregisterStreamConsumer),
		"DescribeAccountSettings":       on((*handler).describeAccountSettings),
		"DescribeLimits":                on((*handler).describeLimits),
		"DescribeStream":                on((*handler).describeStream),
		"DescribeStreamConsumer":        on((*handler).describeStreamConsumer),
		"DescribeStreamSummary":         on((*handler).describeStreamSummary),
		"DisableEnhancedMonitoring":     on((*handler).disableEnhancedMonitoring),
		"EnableEnhancedMonitoring":      on((*handler).enableEnhancedMonitoring),
		"GetRecords":                    on((*handler).getRecords),
		"GetResourcePolicy":             on((*handler).getResourcePolicy),
		"GetShardIterator":              on((*handler).getShardIterator),
		"IncreaseStreamRetentionPeriod": on((*handler).increaseStreamRetentionPeriod),
		"ListShards":                    on((*handler).listShards),
		"ListStreamConsumers":           on((*handler).listStreamConsumers),
		"ListStreams":                   on((*handler).listStreams),
		"ListTagsForResource":           on((*handler).listTagsForResource),
		"ListTagsForStream":             on((*handler).listTagsForStream),
		"MergeShards":                   on((*handler).mergeShards),
		"PutRecord":                     on((*handler).putRecord),
		"PutRecords":                    on((*handler).putRecords),
		"PutResourcePolicy":             on((*handler).putResourcePolicy),
		"RegisterStreamConsumer":        on((*handler).registerStreamConsumer),
		"RemoveTagsFromStream":          on((*handler).removeTagsFromStream),
		"SplitShard":                    on((*handler).splitShard),
		"StartStreamEncryption":         on((*handler).startStreamEncryption),
		"StopStreamEncryption":          on((*handler).stopStreamEncryption),
		"SubscribeToShard":              streaming((*handler).subscribeToShard),
		"TagResource":                   on((*handler).tagResource),
		"UntagResource":                 on((*handler).untagResource),
		"UpdateAccountSettings":         on((*handler).updateAccountSettings),
		"UpdateMaxRecordSize":           on((*handler).updateMaxRecordSize),
		"UpdateShardCount":              on((*handler).updateShardCount),
		"UpdateStreamMode":              on((*handler).updateStreamMode),
		"UpdateStreamWarmThroughput":    on((*handler).updateStreamWarmThroughput),
	},
})

// named has each operation tell its call for whom it works, and its name, by which policies speak of it.
func named(m wire.Model[operation]) wire.Model[operation] {
	for name, op := range m.Served {
		if serve := op.Serve; serve != nil {
			op.Serve = func(h *handler, ctx context.Context, caller wire.Caller, c *call) (any, error) {
				if err := h.streams.Ready(ctx); err != nil {
					return nil, err
				}
				c.operation, c.streams = name, h.streams
				return serve(h, ctx, caller, c)
			}
		}
		if stream := op.Stream; stream != nil {
			op.Stream = func(h *handler, ctx context.Context, caller wire.Caller, c *call, out *wire.Stream) error {
				if err := h.streams.Ready(ctx); err != nil {
					return err
				}
				c.operation, c.streams = name, h.streams
				return stream(h, ctx, caller, c, out)
			}
		}
		m.Served[name] = op
	}
	return m
}

// named returns the stream of a request that has no other member to judge.
func (c *call) named(f *fields) (stream.Name, error) {
	name, arn := f.str("StreamName"), f.str("StreamARN")
	if *f.err != nil {
		return stream.Name{}, *f.err
	}
	var v constraints
	v.name("streamName", name, optional)
	return c.target(&v, name, arn)
}

// target judges the ARN, the last member of most requests, and returns the stream that they mean. Faults: those of all
// that v has, and of address.
func (c *call) target(v *constraints, name, arn *string) (stream.Name, error) {
	v.streamARN(arn, optional)
	if err := v.Err(); err != nil {
		return stream.Name{}, err
	}
	return c.address(name, arn)
}

// address returns the stream that a request means by name, by ARN, or by both. Faults: as Authorize, and
// InvalidArgumentException.
func (c *call) address(name, arn *string) (stream.Name, error) {
	found, err := c.resolve(name, arn)
	if err != nil {
		return stream.Name{}, err
	}
	if err := c.streams.Authorize(c.who(), found, c.operation); err != nil {
		return stream.Name{}, err
	}
	return found, c.streams.Admit(found, c.operation)
}

// admit lets a call through that is about the caller's account, at AWS's rate if that is limited.
func (c *call) admit() error {
	return c.streams.Admit(stream.Name{Account: c.caller.Account, Region: c.caller.Region}, c.operation)
}

// authorizeConsumer decides about a request for a consumer, as address does about one for a stream.
func (c *call) authorizeConsumer(id stream.ConsumerID) error {
	if err := c.streams.AuthorizeConsumer(c.who(), id, c.operation); err != nil {
		return err
	}
	return c.streams.Admit(id.Stream, c.operation)
}

// resolve is address without a decision about the caller.
func (c *call) resolve(name, arn *string) (stream.Name, error) {
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

// who returns the caller in the words of package stream.
func (c *call) who() stream.Caller {
	return stream.Caller{
		Account: c.caller.Account, Region: c.caller.Region, AccessKey: c.caller.AccessKey, Holder: c.caller.Holder(),
		Rights: c.caller.Rights(),
	}
}

// or returns *p, or the zero value if p is nil.
func or[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
