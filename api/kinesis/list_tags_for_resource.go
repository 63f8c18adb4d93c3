package kinesis

import (
	"context"

	"github.com/shardmill/shardmill/stream"
)

// listTagsForResource serves ListTagsForResource: all tags of a stream or consumer, by code point of their keys.
func (h *handler) listTagsForResource(ctx context.Context, c *call) error {
	target, err := c.resourceAlone()
	if err != nil {
		return err
	}
	var tags []stream.Tag
	if target.consumer != nil {
		tags, err = h.streams.TagsOfConsumer(ctx, *target.consumer)
	} else {
		tags, _, err = h.streams.Tags(ctx, target.stream, "", mostTags)
	}
	if err != nil {
		return err
	}
	return c.answer(struct{ Tags []tag }{tagShapes(tags)})
}
