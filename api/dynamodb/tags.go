package dynamodb

import (
	"context"
	"maps"
	"slices"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

// resource reads ResourceArn, the ARN of a table.
func (in *input) resource(c wire.Caller) table.Name {
	in.need("ResourceArn")
	n := in.tableNamed("ResourceArn", in.text("ResourceArn"), c)
	if in.has("ResourceArn") && n.Table == in.text("ResourceArn") {
		in.fail(invalid("Invalid TableArn: Invalid ResourceArn provided as input %s", clip(n.Table)))
	}
	return n
}

// tagResource adds tags to a table. Source: DynamoDB API Reference, TagResource.
func (h *Handler) tagResource(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name, tags := in.resource(c), in.tags("Tags")
	in.need("Tags")
	if err := in.err(); err != nil {
		return nil, err
	}
	return struct{}{}, h.tables.Tag(ctx, name, tags)
}

// untagResource takes tags away. Source: DynamoDB API Reference, UntagResource.
func (h *Handler) untagResource(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name, keys := in.resource(c), in.texts("TagKeys")
	in.need("TagKeys")
	if err := in.err(); err != nil {
		return nil, err
	}
	return struct{}{}, h.tables.Untag(ctx, name, keys)
}

type tag struct{ Key, Value string }

// listTagsOfResource answers all tags of a table on one page. Source: DynamoDB API Reference, ListTagsOfResource.
func (h *Handler) listTagsOfResource(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.resource(c)
	in.refuse("NextToken") // no answer here has one
	if err := in.err(); err != nil {
		return nil, err
	}
	have, err := h.tables.Tags(ctx, name)
	if err != nil {
		return nil, err
	}
	tags := []tag{}
	for _, k := range slices.Sorted(maps.Keys(have)) {
		tags = append(tags, tag{k, have[k]})
	}
	return struct{ Tags []tag }{tags}, nil
}
