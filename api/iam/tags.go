package iam

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/identity"
)

type tagsXML struct {
	Members []identity.Tag `xml:"member"`
}

// tagsOf returns tags as an answer carries them; nil for none.
func tagsOf(tags []identity.Tag) *tagsXML {
	if len(tags) == 0 {
		return nil
	}
	return &tagsXML{tags}
}

type listTagsAnswer struct {
	Tags []identity.Tag `xml:"Tags>member"`
	listing
}

func listTags(r *request, tags []identity.Tag) (any, error) {
	members, end, err := page(r, tags, func(t identity.Tag) string { return t.Key })
	return listTagsAnswer{members, end}, err
}

// tagRole adds tags to a role. Source: IAM API Reference, TagRole.
func (h *Handler) tagRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	tags, err := v.tags(r)
	if err != nil {
		return nil, err
	}
	name, err := v.roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.TagRole(ctx, r.account, name, tags)
}

// untagRole removes tags from a role. Source: IAM API Reference, UntagRole.
func (h *Handler) untagRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := new(violations).roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.UntagRole(ctx, r.account, name, r.Strings("TagKeys.member"))
}

// listRoleTags lists a role's tags. Source: IAM API Reference, ListRoleTags.
func (h *Handler) listRoleTags(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	ro, err := h.role(ctx, r, new(violations))
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
	arn, err := v.policyARN(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.TagPolicy(ctx, r.account, arn, tags)
}

// untagPolicy removes tags from a policy. Source: IAM API Reference, UntagPolicy.
func (h *Handler) untagPolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	arn, err := new(violations).policyARN(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.UntagPolicy(ctx, r.account, arn, r.Strings("TagKeys.member"))
}

// listPolicyTags lists a policy's tags. Source: IAM API Reference, ListPolicyTags.
func (h *Handler) listPolicyTags(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	p, err := h.policy(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	return listTags(r, p.Tags)
}
