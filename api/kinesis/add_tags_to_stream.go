package kinesis

import "context"

// addTagsToStream serves AddTagsToStream.
func (h *handler) addTagsToStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "Tags", "StreamARN")
	name, tags, arn := f.str("StreamName"), f.texts("Tags"), f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.tags(tags, required)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	return h.streams.AddTags(ctx, target, tags.values)
}
