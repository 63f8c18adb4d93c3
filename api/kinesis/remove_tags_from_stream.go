package kinesis

import "context"

// removeTagsFromStream serves RemoveTagsFromStream.
func (h *handler) removeTagsFromStream(ctx context.Context, c *call) error {
	f := c.request("StreamName", "TagKeys", "StreamARN")
	name := f.str("StreamName")
	keys, present := f.strings("TagKeys")
	arn := f.str("StreamARN")
	if *f.err != nil {
		return *f.err
	}

	var v constraints
	v.name("streamName", name, optional)
	v.tagKeys(keys, present)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	return h.streams.RemoveTags(ctx, target, keys)
}
