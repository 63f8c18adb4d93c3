package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// listShards serves ListShards: at most 1,000 shards, by filter; a NextToken stands for everything but MaxResults and
// may not come with the rest.
func (h *handler) listShards(ctx context.Context, c *call) error {
	f := c.request(
		"StreamName", "NextToken", "ExclusiveStartShardId", "MaxResults", "StreamCreationTimestamp", "ShardFilter",
		"StreamARN",
	)
	name, token, after := f.str("StreamName"), f.str("NextToken"), f.str("ExclusiveStartShardId")
	limit, created := f.integer("MaxResults"), f.timestamp("StreamCreationTimestamp")
	var filterType, filterShard *string
	var filterAt *record.Millis
	filter := f.structure("ShardFilter", "Type", "ShardId", "Timestamp")
	if filter != nil {
		filterType, filterShard, filterAt = filter.str("Type"), filter.str("ShardId"), filter.timestamp("Timestamp")
	}
	arn := f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.text("nextToken", token, optional, nil, 1, maxToken)
	v.name("exclusiveStartShardId", after, optional)
	v.number("maxResults", limit, optional, 1, 10000)
	v.enum("shardFilter.type", filterType, filter != nil, string(stream.FilterAfterShard), string(
		stream.FilterAtTrimHorizon,
	), string(stream.FilterFromTrimHorizon),
		string(stream.FilterAtLatest), string(stream.FilterAtTimestamp), string(stream.FilterFromTimestamp))
	v.name("shardFilter.shardId", filterShard, optional)
	v.streamARN(arn, optional)
	if err := v.Err(); err != nil {
		return err
	}

	if token != nil {
		for _, m := range []struct {
			given bool
			name  string
		}{
			{name != nil, "StreamName"},
			{arn != nil, "StreamARN"},
			{filter != nil, "ShardFilter"},
			{after != nil, "ExclusiveStartShardId"},
			{created != nil, "StreamCreationTimestamp"},
		} {
			if m.given {
				c.hint = "The paginators of the AWS CLI and boto3 send both from the second page on, which fails on " +
					"AWS, too: list with --no-paginate, then with --next-token alone."
				return fault.New(codeInvalid, "NextToken and %s cannot be provided together.", m.name)
			}
		}
		page, next, err := h.streams.ListShardsNext(ctx, c.who(), *token, int(or(limit)))
		if err != nil {
			return err
		}
		return c.answerShards(page, next)
	}
	if name == nil && arn == nil {
		return fault.New(codeInvalid, "Either NextToken or StreamName should be provided.")
	}
	target, err := c.address(name, arn)
	if err != nil {
		return err
	}
	in := stream.ListShardsInput{After: or(after), Created: created, Limit: int(or(limit)), Caller: c.who()}
	if filter != nil {
		in.Filter = &stream.ShardFilter{Type: stream.FilterType(or(filterType)), Shard: or(filterShard), At: filterAt}
	}
	page, next, err := h.streams.ListShards(ctx, target, in)
	if err != nil {
		return err
	}
	return c.answerShards(page, next)
}

func (c *call) answerShards(page []stream.ShardInfo, next string) error {
	return c.answer(struct {
		NextToken string `json:",omitempty"`
		Shards    []shardShape
	}{next, shardShapes(page)})
}
