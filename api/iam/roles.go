package iam

import (
	"context"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

func noSuchRole(name string) error {
	return fault.New(codeNoSuchEntity, "The role with name %s cannot be found.", clip(name))
}

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

type tagsXML struct {
	Members []tag `xml:"member"`
}

func (r *request) arn(kind, path, name string) string {
	return "arn:" + r.partition + ":iam::" + r.account + ":" + kind + path + name
}

func (r *request) short(v role) roleXML {
	return roleXML{
		Path: v.Path, RoleName: v.Name, RoleID: v.ID, ARN: r.arn("role", v.Path, v.Name), CreateDate: stamp(v.Created),
		Trust:       encoded(v.Trust),
		Description: v.Description, MaxSessionDuration: v.MaxSession,
	}
}

func (r *request) whole(v role) roleXML {
	x := r.short(v)
	if v.Boundary != "" {
		x.Boundary = &boundaryXML{"Policy", v.Boundary}
	}
	if len(v.Tags) > 0 {
		x.Tags = &tagsXML{v.Tags}
	}
	return x
}

type roleAnswer struct {
	Role roleXML
}

// createRole stores a role. Source: IAM API Reference, CreateRole.
func (h *Handler) createRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	ro := role{
		Version: formatVersion, Name: v.name(r, "RoleName", maxRoleName), Path: v.path(r), ID: newID("AROA"),
		Created: h.now(), Description: v.description(r),
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
	if err := checkTrust(ro.Trust); err != nil {
		return nil, err
	}
	h.change.Lock()
	defer h.change.Unlock()
	k := key(r.account, kindRole, ro.Name)
	if _, _, ok, err := load[role](ctx, h, k); err != nil || ok {
		if ok {
			err = fault.New(codeExists, "Role with name %s already exists.", ro.Name)
		}
		return nil, err
	}
	if err := h.save(ctx, k, ro, storage.Absent); err != nil {
		return nil, err
	}
	return roleAnswer{r.whole(ro)}, nil
}

// role finds the role that a request names.
func (h *Handler) role(ctx context.Context, r *request, v *violations) (role, storage.Revision, error) {
	name := v.name(r, "RoleName", maxRoleName)
	if err := v.err(); err != nil {
		return role{}, 0, err
	}
	ro, revision, ok, err := load[role](ctx, h, key(r.account, kindRole, name))
	if err == nil && !ok {
		err = noSuchRole(name)
	}
	return ro, revision, err
}

// changeRole stores the role that a request names as change leaves it.
func (h *Handler) changeRole(ctx context.Context, r *request, v *violations, change func(*role) error) error {
	h.change.Lock()
	defer h.change.Unlock()
	ro, revision, err := h.role(ctx, r, v)
	if err != nil {
		return err
	}
	if err := change(&ro); err != nil {
		return err
	}
	return h.save(ctx, key(r.account, kindRole, ro.Name), ro, revision)
}

// getRole answers a role. Source: IAM API Reference, GetRole.
func (h *Handler) getRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	ro, _, err := h.role(ctx, r, new(violations))
	if err != nil {
		return nil, err
	}
	x := r.whole(ro)
	x.LastUsed = &struct{}{} // it is not recorded when roles are used
	return roleAnswer{x}, nil
}

type listRolesAnswer struct {
	Roles []roleXML `xml:"Roles>member"`
	listing
}

// listRoles lists roles by name. Source: IAM API Reference, ListRoles.
func (h *Handler) listRoles(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	roles, err := all[role](ctx, h, r.account, kindRole)
	if err != nil {
		return nil, err
	}
	var members []roleXML
	for _, ro := range roles {
		if strings.HasPrefix(ro.Path, r.Get("PathPrefix")) {
			members = append(members, r.short(ro))
		}
	}
	members, end, err := page(r, members, func(x roleXML) string { return strings.ToLower(x.RoleName) })
	return listRolesAnswer{members, end}, err
}

// deleteRole deletes a role that has no policies. Source: IAM API Reference, DeleteRole.
func (h *Handler) deleteRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	h.change.Lock()
	defer h.change.Unlock()
	ro, revision, err := h.role(ctx, r, new(violations))
	switch {
	case err != nil:
		return nil, err
	case len(ro.Attached) > 0:
		return nil, fault.New(codeConflict, "Cannot delete entity, must detach all policies first.")
	case len(ro.Inline) > 0:
		return nil, fault.New(codeConflict, "Cannot delete entity, must delete policies first.")
	}
	return nil, h.save(ctx, key(r.account, kindRole, ro.Name), nil, revision)
}

// updateAssumeRolePolicy replaces the document that says who may assume a role. Source: IAM API Reference,
// UpdateAssumeRolePolicy.
func (h *Handler) updateAssumeRolePolicy(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	trust := v.text(r, "PolicyDocument", maxDocument)
	return nil, h.changeRole(ctx, r, &v, func(ro *role) error {
		ro.Trust = trust
		return checkTrust(trust)
	})
}

// updateRole changes description and longest session. Source: IAM API Reference, UpdateRole.
func (h *Handler) updateRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	var v violations
	description, session := v.description(r), v.integer(r, "MaxSessionDuration", minSession, maxSession, 0)
	return struct{}{}, h.changeRole(ctx, r, &v, func(ro *role) error {
		if r.Has("Description") {
			ro.Description = description
		}
		if session > 0 {
			ro.MaxSession = session
		}
		return nil
	})
}

type listInstanceProfilesAnswer struct {
	InstanceProfiles struct{}
	listing
}

// listInstanceProfilesForRole answers that there are none: instances do not exist here. Source: IAM API Reference,
// ListInstanceProfilesForRole.
func (h *Handler) listInstanceProfilesForRole(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	_, _, err := h.role(ctx, r, new(violations))
	return listInstanceProfilesAnswer{}, err
}

// RoleID returns the id of a role that was created; ok is false when there is none with that ARN.
func (h *Handler) RoleID(ctx context.Context, arn string) (id string, ok bool) {
	rest, isRole := strings.CutPrefix(arn, "arn:")
	part, rest, _ := strings.Cut(rest, ":iam::")
	account, path, found := strings.Cut(rest, ":role")
	if !isRole || !found {
		return "", false
	}
	ro, _, ok, err := load[role](ctx, h, key(account, kindRole, path[strings.LastIndexByte(path, '/')+1:]))
	r := request{account: account, partition: part}
	if err != nil || !ok || r.arn("role", ro.Path, ro.Name) != arn {
		return "", false
	}
	return ro.ID, true
}
