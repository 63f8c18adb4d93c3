package iam

import (
	"context"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/identity"
)

// roleXML is a role in answers; lists leave tags and boundary out.
type roleXML struct {
	Path               string
	RoleName           string
	RoleID             string `xml:"RoleId"`
	ARN                string `xml:"Arn"`
	CreateDate         string
	Trust              string `xml:"AssumeRolePolicyDocument"`
	Description        string `xml:",omitempty"`
	MaxSessionDuration int
	Boundary           *boundaryXML `xml:"PermissionsBoundary"`
	Tags               *tagsXML
	LastUsed           *struct{} `xml:"RoleLastUsed"`
}

type boundaryXML struct {
	Type string `xml:"PermissionsBoundaryType"`
	ARN  string `xml:"PermissionsBoundaryArn"`
}

func (r *request) short(v *identity.Role) roleXML {
	return roleXML{
		Path: v.Path, RoleName: v.Name, RoleID: v.ID, ARN: v.ARN(r.account), CreateDate: stamp(v.Created),
		Trust: encoded(v.Trust), Description: v.Description, MaxSessionDuration: v.MaxSession,
	}
}

func (r *request) whole(v *identity.Role) roleXML {
	x := r.short(v)
	if v.Boundary != "" {
		x.Boundary = &boundaryXML{"Policy", v.Boundary}
	}
	x.Tags = tagsOf(v.Tags)
	return x
}

type roleAnswer struct {
	Role roleXML
}

// refuseSignin refuses what roles do not keep: how long one who has signed in to AWS's console stays so.
func refuseSignin(r *request) error {
	for _, name := range []string{"MaxSigninSessionDuration", "ResetMaxSigninSessionDuration"} {
		if r.Has(name) {
			return absent.Parameter(codeValidation, "the parameter "+name)
		}
	}
	return nil
}

// createRole stores a role. Source: IAM API Reference, CreateRole.
func (h *Handler) createRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	if err := refuseSignin(r); err != nil {
		return nil, err
	}
	var v violations
	ro := identity.Role{
		Name: v.name(r, "RoleName", maxRoleName), Path: v.path(r), Description: v.description(r),
		Trust:      v.text(r, "AssumeRolePolicyDocument", maxDocument),
		MaxSession: v.integer(r, "MaxSessionDuration", minSession, maxSession, minSession),
	}
	if r.Has("PermissionsBoundary") {
		ro.Boundary = v.text(r, "PermissionsBoundary", maxARN)
	}
	var err error
	if ro.Tags, err = v.tags(r); err != nil {
		return nil, err
	}
	if err := v.err(); err != nil {
		return nil, err
	}
	made, err := h.identities.CreateRole(ctx, r.account, ro)
	if err != nil {
		return nil, err
	}
	return roleAnswer{r.whole(&made)}, nil
}

// roleName reads the role that a request names, after everything else in it.
func (v *violations) roleName(r *request) (string, error) {
	name := v.name(r, "RoleName", maxRoleName)
	return name, v.err()
}

// role returns the role that a request names.
func (h *Handler) role(ctx context.Context, r *request, v *violations) (identity.Role, error) {
	name, err := v.roleName(r)
	if err != nil {
		return identity.Role{}, err
	}
	return h.identities.Role(ctx, r.account, name)
}

// getRole answers a role. Source: IAM API Reference, GetRole.
func (h *Handler) getRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	ro, err := h.role(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	x := r.whole(&ro)
	x.LastUsed = &struct{}{} // it is not recorded when roles are used
	return roleAnswer{x}, nil
}

type listRolesAnswer struct {
	Roles []roleXML `xml:"Roles>member"`
	listing
}

// listRoles lists roles by name. Source: IAM API Reference, ListRoles.
func (h *Handler) listRoles(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	roles, err := h.identities.Roles(ctx, r.account)
	if err != nil {
		return nil, err
	}
	var members []roleXML
	for i := range roles {
		if strings.HasPrefix(roles[i].Path, r.Get("PathPrefix")) {
			members = append(members, r.short(&roles[i]))
		}
	}
	members, end, err := page(r, members, func(x roleXML) string { return strings.ToLower(x.RoleName) })
	return listRolesAnswer{members, end}, err
}

// deleteRole deletes a role that has no policies. Source: IAM API Reference, DeleteRole.
func (h *Handler) deleteRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := new(violations).roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.DeleteRole(ctx, r.account, name)
}

// updateAssumeRolePolicy replaces the document that says who may assume a role. Source: IAM API Reference,
// UpdateAssumeRolePolicy.
func (h *Handler) updateAssumeRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	trust := v.text(r, "PolicyDocument", maxDocument)
	name, err := v.roleName(r)
	if err != nil {
		return nil, err
	}
	return nil, h.identities.UpdateTrust(ctx, r.account, name, trust)
}

// updateRole changes description and longest session. Source: IAM API Reference, UpdateRole.
func (h *Handler) updateRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	if err := refuseSignin(r); err != nil {
		return nil, err
	}
	var v violations
	var description *string
	if text := v.description(r); r.Has("Description") {
		description = &text
	}
	var session *int
	if seconds := v.integer(r, "MaxSessionDuration", minSession, maxSession, 0); seconds > 0 {
		session = &seconds
	}
	name, err := v.roleName(r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, h.identities.UpdateRole(ctx, r.account, name, description, session)
}

type listInstanceProfilesAnswer struct {
	InstanceProfiles struct{}
	listing
}

// listInstanceProfilesForRole answers that there are none: instances do not exist here. Source: IAM API Reference,
// ListInstanceProfilesForRole.
func (h *Handler) listInstanceProfilesForRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	_, err := h.role(ctx, r, new(violations))
	return listInstanceProfilesAnswer{}, err
}
