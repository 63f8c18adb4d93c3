package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
)

// Quotas of a role. Source: IAM User Guide, IAM and AWS STS quotas.
const (
	maxInlineBytes = 10_240
	maxAttached    = 20
)

// putRolePolicy adds or replaces a policy inside a role. Source: IAM API Reference, PutRolePolicy.
func (h *Handler) putRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	name, document := v.name(r, "PolicyName", maxName), v.text(r, "PolicyDocument", maxDocument)
	return nil, h.changeRole(ctx, r, &v, func(ro *role) error {
		if err := checkPolicy(document); err != nil {
			return err
		}
		if ro.Inline == nil {
			ro.Inline = map[string]string{}
		}
		ro.Inline[name] = document
		size := 0
		for _, d := range ro.Inline {
			size += sizeOf(d)
		}
		if size > maxInlineBytes {
			return fault.New(codeLimit, "Maximum policy size of %d bytes exceeded for role %s", maxInlineBytes, ro.Name)
		}
		return nil
	})
}

func noSuchRolePolicy(name string) error {
	return fault.New(codeNoSuchEntity, "The role policy with name %s cannot be found.", clip(name))
}

type rolePolicyAnswer struct {
	RoleName, PolicyName, PolicyDocument string
}

// getRolePolicy answers a policy inside a role. Source: IAM API Reference, GetRolePolicy.
func (h *Handler) getRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	name := v.name(r, "PolicyName", maxName)
	ro, _, err := h.role(ctx, r, &v)
	if err != nil {
		return nil, err
	}
	document, ok := ro.Inline[name]
	if !ok {
		return nil, noSuchRolePolicy(name)
	}
	return rolePolicyAnswer{ro.Name, name, encoded(document)}, nil
}

// deleteRolePolicy deletes a policy inside a role. Source: IAM API Reference, DeleteRolePolicy.
func (h *Handler) deleteRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	name := v.name(r, "PolicyName", maxName)
	return nil, h.changeRole(ctx, r, &v, func(ro *role) error {
		if _, ok := ro.Inline[name]; !ok {
			return noSuchRolePolicy(name)
		}
		delete(ro.Inline, name)
		return nil
	})
}

type listRolePoliciesAnswer struct {
	PolicyNames []string `xml:"PolicyNames>member"`
	listing
}

// listRolePolicies names the policies inside a role. Source: IAM API Reference, ListRolePolicies.
func (h *Handler) listRolePolicies(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	ro, _, err := h.role(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	members, end, err := page(r, slices.Sorted(maps.Keys(ro.Inline)), func(s string) string { return s })
	return listRolePoliciesAnswer{members, end}, err
}

// attachRolePolicy attaches a managed policy: one that was created, or any of AWS's. Once attached, again is no error.
// Source: IAM API Reference, AttachRolePolicy.
func (h *Handler) attachRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	arn := v.text(r, "PolicyArn", maxARN)
	return nil, h.changeRole(ctx, r, &v, func(ro *role) error {
		if !r.ownedByAWS(arn) {
			if p, _, err := h.policy(ctx, r, arn); err != nil {
				return err
			} else if p == nil {
				return fault.New(codeNoSuchEntity, "Policy %s does not exist or is not attachable.", clip(arn))
			}
		}
		if !slices.Contains(ro.Attached, arn) {
			ro.Attached = append(ro.Attached, arn)
			slices.Sort(ro.Attached)
		}
		if len(ro.Attached) > maxAttached {
			return fault.New(codeLimit, "Cannot exceed quota for PoliciesPerRole: %d", maxAttached)
		}
		return nil
	})
}

// detachRolePolicy detaches a managed policy. Source: IAM API Reference, DetachRolePolicy.
func (h *Handler) detachRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	arn := v.text(r, "PolicyArn", maxARN)
	return nil, h.changeRole(ctx, r, &v, func(ro *role) error {
		i := slices.Index(ro.Attached, arn)
		if i < 0 {
			return fault.New(codeNoSuchEntity, "Policy %s was not found.", clip(arn))
		}
		ro.Attached = slices.Delete(ro.Attached, i, i+1)
		return nil
	})
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
	ro, _, err := h.role(ctx, r, new(violations))
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
