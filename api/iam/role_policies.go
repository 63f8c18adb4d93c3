package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
)

// putRolePolicy adds or replaces a policy inside a role. Source: IAM API Reference, PutRolePolicy.
func (h *Handler) putRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	name, document := v.name(r, "PolicyName", maxName), v.text(r, "PolicyDocument", maxDocument)
	role, err := v.roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.PutRolePolicy(ctx, r.account, role, name, document)
}

type rolePolicyAnswer struct {
	RoleName, PolicyName, PolicyDocument string
}

// getRolePolicy answers a policy inside a role. Source: IAM API Reference, GetRolePolicy.
func (h *Handler) getRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	name := v.name(r, "PolicyName", maxName)
	ro, err := h.role(ctx, r, &v)
	if err != nil {
		return nil, err
	}
	document, err := ro.Policy(name)
	if err != nil {
		return nil, err
	}
	return rolePolicyAnswer{ro.Name, name, encoded(document)}, nil
}

// deleteRolePolicy deletes a policy inside a role. Source: IAM API Reference, DeleteRolePolicy.
func (h *Handler) deleteRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	name := v.name(r, "PolicyName", maxName)
	role, err := v.roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.DeleteRolePolicy(ctx, r.account, role, name)
}

type listRolePoliciesAnswer struct {
	PolicyNames []string `xml:"PolicyNames>member"`
	listing
}

// listRolePolicies names the policies inside a role. Source: IAM API Reference, ListRolePolicies.
func (h *Handler) listRolePolicies(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	ro, err := h.role(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	members, end, err := page(r, slices.Sorted(maps.Keys(ro.Inline)), func(s string) string { return s })
	return listRolePoliciesAnswer{members, end}, err
}

// attachRolePolicy attaches a managed policy. Source: IAM API Reference, AttachRolePolicy.
func (h *Handler) attachRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	arn := v.text(r, "PolicyArn", maxARN)
	role, err := v.roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.AttachPolicy(ctx, r.account, role, arn)
}

// detachRolePolicy detaches a managed policy. Source: IAM API Reference, DetachRolePolicy.
func (h *Handler) detachRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	arn := v.text(r, "PolicyArn", maxARN)
	role, err := v.roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.DetachPolicy(ctx, r.account, role, arn)
}

type attachedXML struct {
	PolicyName string
	PolicyARN  string `xml:"PolicyArn"`
}

type listAttachedAnswer struct {
	Attached []attachedXML `xml:"AttachedPolicies>member"`
	listing
}

// listAttachedRolePolicies lists the managed policies of a role. Source: IAM API Reference, ListAttachedRolePolicies.
func (h *Handler) listAttachedRolePolicies(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	ro, err := h.role(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	var members []attachedXML
	for _, arn := range ro.Attached {
		_, path, _ := strings.Cut(arn, ":policy")
		name := path[strings.LastIndexByte(path, '/')+1:]
		if strings.HasPrefix(path[:len(path)-len(name)], r.Get("PathPrefix")) {
			members = append(members, attachedXML{name, arn})
		}
	}
	members, end, err := page(r, members, func(x attachedXML) string { return x.PolicyARN })
	return listAttachedAnswer{members, end}, err
}
