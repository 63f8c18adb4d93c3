package kinesis

import "context"

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

	const most = 50
	var v constraints
	v.name("streamName", name, optional)
	v.text("exclusiveStartTagKey", after, optional, nil, 1, 128)
	v.number("limit", limit, optional, 1, most)
	target, err := c.target(&v, name, arn)
	if err != nil {
		return err
	}
	n := most
	if limit != nil {
		n = int(*limit)
	}
	tags, more, err := h.streams.Tags(ctx, target, or(after), n)
	if err != nil {
		return err
	}
	type tag struct{ Key, Value string }
	shown := make([]tag, len(tags))
	for i, t := range tags {
		shown[i] = tag(t)
	}
	return c.answer(struct {
		HasMoreTags bool
		Tags        []tag
	}{more, shown})
}
