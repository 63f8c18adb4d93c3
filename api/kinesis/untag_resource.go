package kinesis

import "context"

// untagResource serves UntagResource: RemoveTagsFromStream for streams and consumers.
func (h *handler) untagResource(ctx context.Context, c *call) error {
	f := c.request("TagKeys", "ResourceARN")
	keys, present := f.strings("TagKeys")
	arn := f.str("ResourceARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.tagKeys(keys, present)
	v.resourceARN(arn)
	if err := v.Err(); err != nil {
		return err
	}
	target, err := c.resource(*arn)
	if err != nil {
		return err
	}
	if target.consumer != nil {
		return h.streams.RemoveConsumerTags(ctx, *target.consumer, keys)
	}
	return h.streams.RemoveTags(ctx, target.stream, keys)
}
