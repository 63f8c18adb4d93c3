package kinesis

import "context"

// tagResource serves TagResource: AddTagsToStream for streams and consumers.
func (h *handler) tagResource(ctx context.Context, c *call) error {
	f := c.request("Tags", "ResourceARN")
	tags, arn := f.texts("Tags"), f.str("ResourceARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.tags(tags, required)
	v.resourceARN(arn)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.resource(*arn)
	if err != nil {
		return err
	}
	if target.consumer != nil {
		return h.streams.AddConsumerTags(ctx, *target.consumer, tags.values)
	}
	return h.streams.AddTags(ctx, target.stream, tags.values)
}
