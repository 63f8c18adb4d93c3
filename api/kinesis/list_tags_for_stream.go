package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// listTagsForStream serves ListTagsForStream: up to 50 tags by code point of their keys, after a key that need not
// exist.
func (h *handler) listTagsForStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "ExclusiveStartTagKey", "Limit", "StreamARN")
	name, after, limit, arn := f.str("StreamName"), f.str("ExclusiveStartTagKey"), f.integer("Limit"), f.str(
		"StreamARN",
	)
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.text("exclusiveStartTagKey", after, optional, nil, 1, 128)
	v.number("limit", limit, optional, 1, mostTags)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	n := mostTags
	if limit != nil {
		n = int(*limit)
	}
	tags, more, err := h.streams.Tags(ctx, target, or(after), n)
	if err != nil {
		return err
	}
	return c.answer(struct {
		HasMoreTags bool
		Tags        []tag
	}{more, tagShapes(tags)})
}

// mostTags is how many tags a stream or consumer can have.
const mostTags = 50

type tag struct{ Key, Value string }

func tagShapes(tags []stream.Tag) []tag {
	shown := make([]tag, len(tags))
	for i, t := range tags {
		shown[i] = tag(t)
	}
	return shown
}
