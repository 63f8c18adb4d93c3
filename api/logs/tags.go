package logs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/fault"
)

// tags checks the number and the lengths of tags.
func (v *violations) tags(tags map[string]string) {
	if len(tags) > logstore.MaxTags {
		v.Hidden("tags", fmt.Sprintf("Member must have length less than or equal to %d", logstore.MaxTags))
	}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		if n := utf8.RuneCountInString(k); n < 1 || n > 128 {
			v.Hidden("tags", "Map keys must have length between 1 and 128, inclusive")
		}
		if utf8.RuneCountInString(tags[k]) > 256 {
			v.Hidden("tags", "Map values must have length less than or equal to 256")
		}
	}
}

type tagsAnswer struct {
	Tags map[string]string `json:"tags"`
}

type resourceInput struct {
	ResourceARN *string `json:"resourceArn"`
	Tags        map[string]string
	TagKeys     []string
}

// resource finds the group that an ARN means; of this service's other resources there are none here.
func (in *resourceInput) resource(c wire.Caller) (logstore.Group, error) {
	if in.ResourceARN == nil {
		var v violations
		v.Null("resourceArn")
		return logstore.Group{}, v.err()
	}
	g, ok := parseARN(*in.ResourceARN)
	if !ok {
		return logstore.Group{}, invalid("Invalid resource arn: %s", clip(*in.ResourceARN))
	}
	if g.Account != c.Account || g.Region != c.Region {
		return logstore.Group{}, fault.New(logstore.CodeNotFound, "The specified resource does not exist.")
	}
	return g, nil
}

// listTagsForResource answers the tags of a group. Source: CloudWatch Logs API Reference, ListTagsForResource.
func (h *Handler) listTagsForResource(_ context.Context, c wire.Caller, in *resourceInput) (any, error) {
	g, err := in.resource(c)
	if err != nil {
		return nil, err
	}
	return h.tagsOf(g)
}

func (h *Handler) tagsOf(g logstore.Group) (any, error) {
	tags, err := h.store.Tags(g)
	if err != nil {
		return nil, err
	}
	if tags == nil {
		tags = map[string]string{}
	}
	return tagsAnswer{tags}, nil
}

// tagResource adds tags to a group. Source: CloudWatch Logs API Reference, TagResource.
func (h *Handler) tagResource(_ context.Context, c wire.Caller, in *resourceInput) (any, error) {
	g, err := in.resource(c)
	if err != nil {
		return nil, err
	}
	return h.tag(g, in.Tags)
}

func (h *Handler) tag(g logstore.Group, tags map[string]string) (any, error) {
	var v violations
	if tags == nil {
		v.Null("tags")
	}
	v.tags(tags)
	if err := v.err(); err != nil {
		return nil, err
	}
	return nil, h.store.Tag(g, tags)
}

// untagResource removes tags from a group. Source: CloudWatch Logs API Reference, UntagResource.
func (h *Handler) untagResource(_ context.Context, c wire.Caller, in *resourceInput) (any, error) {
	g, err := in.resource(c)
	if err != nil {
		return nil, err
	}
	return nil, h.store.Untag(g, in.TagKeys)
}

type (
	tagLogGroupInput struct {
		groupInput
		Tags map[string]string
	}
	untagLogGroupInput struct {
		groupInput
		Tags []string
	}
)

// tagLogGroup returns the older form of TagResource. Source: CloudWatch Logs API Reference, TagLogGroup.
func (h *Handler) tagLogGroup(_ context.Context, c wire.Caller, in *tagLogGroupInput) (any, error) {
	var v violations
	v.group(in.LogGroupName)
	if err := v.err(); err != nil {
		return nil, err
	}
	return h.tag(group(c, *in.LogGroupName), in.Tags)
}

// untagLogGroup returns the older form of UntagResource. Source: CloudWatch Logs API Reference, UntagLogGroup.
func (h *Handler) untagLogGroup(_ context.Context, c wire.Caller, in *untagLogGroupInput) (any, error) {
	var v violations
	v.group(in.LogGroupName)
	if err := v.err(); err != nil {
		return nil, err
	}
	return nil, h.store.Untag(group(c, *in.LogGroupName), in.Tags)
}

// listTagsLogGroup returns the older form of ListTagsForResource. Source: CloudWatch Logs API Reference,
// ListTagsLogGroup.
func (h *Handler) listTagsLogGroup(_ context.Context, c wire.Caller, in *groupInput) (any, error) {
	var v violations
	v.group(in.LogGroupName)
	if err := v.err(); err != nil {
		return nil, err
	}
	return h.tagsOf(group(c, *in.LogGroupName))
}
