package iam

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/identity"
	"github.com/shardmill/shardmill/fault"
)

type policyXML struct {
	PolicyName       string
	PolicyID         string `xml:"PolicyId"`
	ARN              string `xml:"Arn"`
	Path             string
	DefaultVersionID string `xml:"DefaultVersionId"`
	AttachmentCount  int
	BoundaryCount    int `xml:"PermissionsBoundaryUsageCount"`
	IsAttachable     bool
	Description      string `xml:",omitempty"`
	CreateDate       string
	UpdateDate       string
	Tags             *tagsXML
}

type policyAnswer struct {
	Policy policyXML
}

func (r *request) show(p *identity.Policy, uses identity.Uses) policyXML {
	return policyXML{
		PolicyName: p.Name, PolicyID: p.ID, ARN: p.ARN(r.account), Path: p.Path, DefaultVersionID: p.Default,
		AttachmentCount: uses.Attached, BoundaryCount: uses.Boundaries, IsAttachable: true,
		Description: p.Description, CreateDate: stamp(p.Created), UpdateDate: stamp(p.Updated), Tags: tagsOf(p.Tags),
	}
}

// policyARN reads the policy that a request names, after everything else in it. AWS's own policies have no documents
// here.
func (v *violations) policyARN(r *request) (string, error) {
	arn := v.text(r, "PolicyArn", maxARN)
	if err := v.err(); err != nil {
		return "", err
	}
	if identity.OwnedByAWS(arn) {
		return "", fault.New(
			fault.CodeNotImplemented,
			"shardmill does not have the documents of AWS's own policies, of which %s is one; it can be attached.",
			clip(arn),
		).WithStatus(http.StatusNotImplemented)
	}
	return arn, nil
}

// policy returns the policy that a request names.
func (h *Handler) policy(ctx context.Context, r *request, v *violations) (p identity.Policy, err error) {
	arn, err := v.policyARN(r)
	if err != nil {
		return p, err
	}
	return h.identities.Policy(ctx, r.account, arn)
}

// createPolicy stores a managed policy, whose first version is v1. Source: IAM API Reference, CreatePolicy.
func (h *Handler) createPolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	p := identity.Policy{Name: v.name(r, "PolicyName", maxName), Path: v.path(r), Description: v.description(r)}
	document := v.text(r, "PolicyDocument", maxDocument)
	var err error
	if p.Tags, err = v.tags(r); err != nil {
		return nil, err
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	made, err := h.identities.CreatePolicy(ctx, r.account, p, document)
	if err != nil {
		return nil, err
	}
	return policyAnswer{r.show(&made, identity.Uses{})}, nil
}

// getPolicy answers a policy without its document. Source: IAM API Reference, GetPolicy.
func (h *Handler) getPolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	p, err := h.policy(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	uses, err := h.identities.Uses(ctx, r.account)
	return policyAnswer{r.show(&p, uses[p.ARN(r.account)])}, err
}

type listPoliciesAnswer struct {
	Policies []policyXML `xml:"Policies>member"`
	listing
}

// listPolicies lists the account's own policies, but none of AWS's. Source: IAM API Reference, ListPolicies.
func (h *Handler) listPolicies(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	if scope := r.Get("Scope"); scope != "" && scope != "All" && scope != "AWS" && scope != "Local" {
		v.Add("scope", clip(scope), "Member must satisfy enum value set: [All, AWS, Local]")
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if r.Has("PolicyUsageFilter") {
		return nil, absent.Parameter(codeValidation, "the parameter PolicyUsageFilter")
	}
	policies, err := h.identities.Policies(ctx, r.account)
	if err != nil {
		return nil, err
	}
	uses, err := h.identities.Uses(ctx, r.account)
	if err != nil {
		return nil, err
	}
	var members []policyXML
	for i := range policies {
		x := r.show(&policies[i], uses[policies[i].ARN(r.account)])
		x.Tags = nil
		if r.Get("Scope") != "AWS" && strings.HasPrefix(x.Path, r.Get("PathPrefix")) &&
			(r.Get("OnlyAttached") != "true" || x.AttachmentCount > 0) {
			members = append(members, x)
		}
	}
	members, end, err := page(r, members, func(x policyXML) string { return strings.ToLower(x.PolicyName) })
	return listPoliciesAnswer{members, end}, err
}

// deletePolicy deletes a policy that is attached to nothing and has one version. Source: IAM API Reference,
// DeletePolicy.
func (h *Handler) deletePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	arn, err := new(violations).policyARN(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.DeletePolicy(ctx, r.account, arn)
}

type versionXML struct {
	Document         string `xml:",omitempty"` // lists leave it out
	VersionID        string `xml:"VersionId"`
	IsDefaultVersion bool
	CreateDate       string
}

type versionAnswer struct {
	PolicyVersion versionXML
}

// getPolicyVersion answers a version with its document. Source: IAM API Reference, GetPolicyVersion.
func (h *Handler) getPolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	id := v.text(r, "VersionId", maxName)
	p, err := h.policy(ctx, r, &v)
	if err != nil {
		return nil, err
	}
	found, err := p.Version(id)
	if err != nil {
		return nil, err
	}
	return versionAnswer{versionXML{encoded(found.Document), id, id == p.Default, stamp(found.Created)}}, nil
}

type listVersionsAnswer struct {
	Versions []versionXML `xml:"Versions>member"`
	listing
}

// listPolicyVersions lists versions, the newest first. Source: IAM API Reference, ListPolicyVersions.
func (h *Handler) listPolicyVersions(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	p, err := h.policy(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	var out listVersionsAnswer // at most five, so there is one page
	for _, v := range slices.Backward(p.Versions) {
		out.Versions = append(out.Versions, versionXML{"", v.ID, v.ID == p.Default, stamp(v.Created)})
	}
	return out, nil
}

// createPolicyVersion adds a version. Source: IAM API Reference, CreatePolicyVersion.
func (h *Handler) createPolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	document := v.text(r, "PolicyDocument", maxDocument)
	arn, err := v.policyARN(r)
	if err != nil {
		return nil, err
	}
	inForce := r.Get("SetAsDefault") == "true"
	added, err := h.identities.AddVersion(ctx, r.account, arn, document, inForce)
	if err != nil {
		return nil, err
	}
	return versionAnswer{versionXML{"", added.ID, inForce, stamp(added.Created)}}, nil
}

// setDefaultPolicyVersion puts a version into force. Source: IAM API Reference, SetDefaultPolicyVersion.
func (h *Handler) setDefaultPolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	arn, id, err := versionOf(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.SetDefaultVersion(ctx, r.account, arn, id)
}

// deletePolicyVersion deletes a version that is not in force. Source: IAM API Reference, DeletePolicyVersion.
func (h *Handler) deletePolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	arn, id, err := versionOf(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.DeleteVersion(ctx, r.account, arn, id)
}

// versionOf reads the version of a policy that a request names.
func versionOf(r *request) (arn, id string, err error) {
	var v violations
	id = v.text(r, "VersionId", maxName)
	arn, err = v.policyARN(r)
	return arn, id, err
}
