package iam

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Quotas of a managed policy. Source: IAM User Guide, IAM and AWS STS quotas.
const (
	maxPolicyBytes    = 6144
	maxPolicyVersions = 5
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

func (r *request) show(p *policy, roles []role) policyXML {
	x := policyXML{
		PolicyName: p.Name, PolicyID: p.ID, ARN: r.arn("policy", p.Path, p.Name), Path: p.Path,
		DefaultVersionID: p.Default, IsAttachable: true,
		Description: p.Description, CreateDate: stamp(p.Created), UpdateDate: stamp(p.Updated),
	}
	for _, ro := range roles {
		if slices.Contains(ro.Attached, x.ARN) {
			x.AttachmentCount++
		}
		if ro.Boundary == x.ARN {
			x.BoundaryCount++
		}
	}
	if len(p.Tags) > 0 {
		x.Tags = &tagsXML{p.Tags}
	}
	return x
}

var awsPolicies = wire.Pattern(`^arn:aws[a-z-]*:iam::aws:policy/[!-~]*[\w+=,.@-]$`)

// ownedByAWS recognises the policies that AWS makes. They count as existing, whatever their names; their documents are
// not here.
func (r *request) ownedByAWS(arn string) bool { return awsPolicies.MatchString(arn) }

// policy finds a policy of the caller's account by its ARN; nil when there is none.
func (h *Handler) policy(ctx context.Context, r *request, arn string) (*policy, storage.Revision, error) {
	p, revision, ok, err := load[policy](ctx, h, key(r.account, kindPolicy, arn[strings.LastIndexByte(arn, '/')+1:]))
	if err != nil || !ok || r.arn("policy", p.Path, p.Name) != arn {
		return nil, 0, err
	}
	return &p, revision, nil
}

// named finds the policy that a request names.
func (h *Handler) named(ctx context.Context, r *request, v *violations) (*policy, storage.Revision, error) {
	arn := v.text(r, "PolicyArn", maxARN)
	if err := v.err(); err != nil {
		return nil, 0, err
	}
	if r.ownedByAWS(arn) {
		return nil, 0, fault.New(
			fault.CodeNotImplemented,
			"shardmill does not have the documents of AWS's own policies, of which %s is one; it can be attached.",
			clip(arn),
		).WithStatus(http.StatusNotImplemented)
	}
	p, revision, err := h.policy(ctx, r, arn)
	if err == nil && p == nil {
		err = fault.New(codeNoSuchEntity, "Policy %s was not found.", clip(arn))
	}
	return p, revision, err
}

func (h *Handler) changePolicy(ctx context.Context, r *request, v *violations, change func(*policy) error) error {
	h.change.Lock()
	defer h.change.Unlock()
	p, revision, err := h.named(ctx, r, v)
	if err != nil {
		return err
	}
	if err := change(p); err != nil {
		return err
	}
	return h.save(ctx, key(r.account, kindPolicy, p.Name), p, revision)
}

func checkManaged(document string) error {
	if err := checkPolicy(document); err != nil {
		return err
	}
	if sizeOf(document) > maxPolicyBytes {
		return fault.New(codeLimit, "Cannot exceed quota for PolicySize: %d", maxPolicyBytes)
	}
	return nil
}

// createPolicy stores a managed policy, whose first version is v1. Source: IAM API Reference, CreatePolicy.
func (h *Handler) createPolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	now := h.now()
	p := policy{
		Version: formatVersion, Name: v.name(r, "PolicyName", maxName), Path: v.path(r), ID: newID("ANPA"),
		Created: now, Updated: now, Description: v.description(r),
		Default: "v1", Next: 2, Versions: []policyVersion{{"v1", v.text(r, "PolicyDocument", maxDocument), now}},
	}
	var err error
	if p.Tags, err = v.tags(r); err != nil {
		return nil, err
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	if err := checkManaged(p.Versions[0].Document); err != nil {
		return nil, err
	}
	h.change.Lock()
	defer h.change.Unlock()
	k := key(r.account, kindPolicy, p.Name)
	if _, _, ok, err := load[policy](ctx, h, k); err != nil || ok {
		if ok {
			err = fault.New(codeExists, "A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		}
		return nil, err
	}
	if err := h.save(ctx, k, p, storage.Absent); err != nil {
		return nil, err
	}
	return policyAnswer{r.show(&p, nil)}, nil
}

// getPolicy answers a policy without its document. Source: IAM API Reference, GetPolicy.
func (h *Handler) getPolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	p, _, err := h.named(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	roles, err := all[role](ctx, h, r.account, kindRole)
	return policyAnswer{r.show(p, roles)}, err
}

type listPoliciesAnswer struct {
	Policies []policyXML `xml:"Policies>member"`
	listing
}

// listPolicies lists the account's own policies; of AWS's there is no list. Source: IAM API Reference, ListPolicies.
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
	policies, err := all[policy](ctx, h, r.account, kindPolicy)
	if err != nil {
		return nil, err
	}
	roles, err := all[role](ctx, h, r.account, kindRole)
	if err != nil {
		return nil, err
	}
	var members []policyXML
	for _, p := range policies {
		x := r.show(&p, roles)
		x.Tags = nil
		if r.Get("Scope") != "AWS" && strings.HasPrefix(p.Path, r.Get("PathPrefix")) &&
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
	h.change.Lock()
	defer h.change.Unlock()
	p, revision, err := h.named(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	roles, err := all[role](ctx, h, r.account, kindRole)
	if err != nil {
		return nil, err
	}
	if x := r.show(p, roles); x.AttachmentCount+x.BoundaryCount > 0 {
		return nil, fault.New(codeConflict, "Cannot delete a policy attached to entities.")
	}
	if len(p.Versions) > 1 {
		return nil, fault.New(
			codeConflict,
			"This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
		)
	}
	return nil, h.save(ctx, key(r.account, kindPolicy, p.Name), nil, revision)
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

func (p *policy) version(id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v policyVersion) bool { return v.ID == id })
	if i < 0 {
		return 0, fault.New(codeNoSuchEntity, "Policy version %s does not exist or is not attachable.", clip(id))
	}
	return i, nil
}

// getPolicyVersion answers a version with its document. Source: IAM API Reference, GetPolicyVersion.
func (h *Handler) getPolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	id := v.text(r, "VersionId", maxName)
	p, _, err := h.named(ctx, r, &v)
	if err != nil {
		return nil, err
	}
	i, err := p.version(id)
	if err != nil {
		return nil, err
	}
	return versionAnswer{
		versionXML{encoded(p.Versions[i].Document), id, id == p.Default, stamp(p.Versions[i].Created)},
	}, nil
}

type listVersionsAnswer struct {
	Versions []versionXML `xml:"Versions>member"`
	listing
}

// listPolicyVersions lists versions, the newest first. Source: IAM API Reference, ListPolicyVersions.
func (h *Handler) listPolicyVersions(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	p, _, err := h.named(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	var out listVersionsAnswer // five at the most, so there is one page
	for _, v := range slices.Backward(p.Versions) {
		out.Versions = append(out.Versions, versionXML{"", v.ID, v.ID == p.Default, stamp(v.Created)})
	}
	return out, nil
}

// createPolicyVersion adds a version. Source: IAM API Reference, CreatePolicyVersion.
func (h *Handler) createPolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	document := v.text(r, "PolicyDocument", maxDocument)
	var out versionAnswer
	err := h.changePolicy(ctx, r, &v, func(p *policy) error {
		if err := checkManaged(document); err != nil {
			return err
		}
		if len(p.Versions) >= maxPolicyVersions {
			return fault.New(
				codeLimit,
				"A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.",
				maxPolicyVersions,
			)
		}
		added := policyVersion{"v" + strconv.Itoa(p.Next), document, h.now()}
		p.Next++
		p.Versions = append(p.Versions, added)
		if r.Get("SetAsDefault") == "true" {
			p.Default = added.ID
		}
		p.Updated = added.Created
		out.PolicyVersion = versionXML{"", added.ID, added.ID == p.Default, stamp(added.Created)}
		return nil
	})
	return out, err
}

// setDefaultPolicyVersion puts a version into force. Source: IAM API Reference, SetDefaultPolicyVersion.
func (h *Handler) setDefaultPolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	id := v.text(r, "VersionId", maxName)
	return nil, h.changePolicy(ctx, r, &v, func(p *policy) error {
		if _, err := p.version(id); err != nil {
			return err
		}
		p.Default, p.Updated = id, h.now()
		return nil
	})
}

// deletePolicyVersion deletes a version that is not in force. Source: IAM API Reference, DeletePolicyVersion.
func (h *Handler) deletePolicyVersion(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	id := v.text(r, "VersionId", maxName)
	return nil, h.changePolicy(ctx, r, &v, func(p *policy) error {
		i, err := p.version(id)
		if err != nil {
			return err
		}
		if id == p.Default {
			return fault.New(codeConflict, "Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}
