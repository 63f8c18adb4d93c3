package iam

import (
	"context"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// addTags adds tags to those that something has, within the quota.
func addTags(tags *[]tag, more []tag) error {
	merged := mergeTags(*tags, more)
	if len(merged) > maxTags {
		return fault.New(codeLimit, "The number of tags has reached the maximum limit.")
	}
	*tags = merged
	return nil
}

func removeTags(tags *[]tag, keys []string) {
	*tags = slices.DeleteFunc(slices.Clone(*tags), func(t tag) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(k, t.Key) })
	})
}

type listTagsAnswer struct {
	Tags []tag `xml:"Tags>member"`
	listing
}

func listTags(r *request, tags []tag) (any, error) {
	members, end, err := page(r, tags, func(t tag) string { return t.Key })
	return listTagsAnswer{members, end}, err
}

// tagRole adds tags to a role. Source: IAM API Reference, TagRole.
func (h *Handler) tagRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	tags, err := v.tags(r)
	if err != nil {
		return nil, err
	}
	return nil, h.changeRole(ctx, r, &v, func(ro *role) error { return addTags(&ro.Tags, tags) })
}

// untagRole removes tags from a role. Source: IAM API Reference, UntagRole.
func (h *Handler) untagRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	return nil, h.changeRole(
		ctx, r, new(violations), func(ro *role) error { removeTags(&ro.Tags, r.Strings("TagKeys.member")); return nil },
	)
}

// listRoleTags lists a role's tags. Source: IAM API Reference, ListRoleTags.
func (h *Handler) listRoleTags(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	ro, _, err := h.role(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	return listTags(r, ro.Tags)
}

// tagPolicy adds tags to a policy. Source: IAM API Reference, TagPolicy.
func (h *Handler) tagPolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	tags, err := v.tags(r)
	if err != nil {
		return nil, err
	}
	return nil, h.changePolicy(ctx, r, &v, func(p *policy) error { return addTags(&p.Tags, tags) })
}

// untagPolicy removes tags from a policy. Source: IAM API Reference, UntagPolicy.
func (h *Handler) untagPolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	return nil, h.changePolicy(
		ctx, r, new(violations), func(p *policy) error { removeTags(&p.Tags, r.Strings("TagKeys.member")); return nil },
	)
}

// listPolicyTags lists a policy's tags. Source: IAM API Reference, ListPolicyTags.
func (h *Handler) listPolicyTags(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	p, _, err := h.named(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	return listTags(r, p.Tags)
}
