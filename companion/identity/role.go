package identity

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Quotas of a role. Source: IAM User Guide, IAM and AWS STS quotas.
const (
	maxInlineBytes = 10_240 // of all policies inside, without white space
	maxAttached    = 20
)

// Role is a role as stored.
type Role struct {
	Format      int               `json:"v"` // set by this room
	Path        string            `json:"path"`
	Name        string            `json:"name"`
	ID          string            `json:"id"`      // set by this room
	Created     time.Time         `json:"created"` // set by this room
	Trust       string            `json:"trust"`   // the document that says who may assume it
	Description string            `json:"description,omitempty"`
	MaxSession  int               `json:"maxSession"` // seconds
	Boundary    string            `json:"boundary,omitempty"`
	Tags        []Tag             `json:"tags,omitempty"`
	Inline      map[string]string `json:"inline,omitempty"`   // documents by policy name
	Attached    []string          `json:"attached,omitempty"` // ARNs of policies, in order
}

// ARN returns the role's Amazon resource name.
func (r *Role) ARN(a Account) string { return a.arn("role", r.Path, r.Name) }

// Policy returns the document of a policy inside the role. Faults: CodeNoSuchEntity.
func (r *Role) Policy(name string) (document string, err error) {
	document, ok := r.Inline[name]
	if !ok {
		return "", noSuchRolePolicy(name)
	}
	return document, nil
}

// CreateRole stores a role and returns it. Faults: CodeMalformed, CodeExists.
func (s *Store) CreateRole(ctx context.Context, a Account, r Role) (Role, error) {
	if err := checkTrust(r.Trust); err != nil {
		return Role{}, err
	}
	r.Format, r.ID, r.Created = formatVersion, newID("AROA"), s.now()
	s.change.Lock()
	defer s.change.Unlock()
	k := key(a.ID, kindRole, r.Name)
	switch _, _, ok, err := load[Role](ctx, s, k); {
	case err != nil:
		return Role{}, err
	case ok:
		return Role{}, fault.New(CodeExists, "Role with name %s already exists.", r.Name)
	}
	return r, s.save(ctx, k, r, storage.Absent)
}

// Role returns the role with a name, in whatever case. Faults: CodeNoSuchEntity.
func (s *Store) Role(ctx context.Context, a Account, name string) (Role, error) {
	r, _, err := s.role(ctx, a, name)
	return r, err
}

func (s *Store) role(ctx context.Context, a Account, name string) (Role, storage.Revision, error) {
	r, revision, ok, err := load[Role](ctx, s, key(a.ID, kindRole, name))
	if err == nil && !ok {
		err = noSuchRole(name)
	}
	return r, revision, err
}

// Roles returns the roles of an account, in order of name.
func (s *Store) Roles(ctx context.Context, a Account) ([]Role, error) {
	return all[Role](ctx, s, a.ID, kindRole)
}

// changeRole stores a role after change.
func (s *Store) changeRole(ctx context.Context, a Account, name string, change func(*Role) error) error {
	s.change.Lock()
	defer s.change.Unlock()
	r, revision, err := s.role(ctx, a, name)
	if err != nil {
		return err
	}
	if err := change(&r); err != nil {
		return err
	}
	return s.save(ctx, key(a.ID, kindRole, r.Name), r, revision)
}

// DeleteRole deletes a role that has no policies. Faults: CodeNoSuchEntity, CodeConflict.
func (s *Store) DeleteRole(ctx context.Context, a Account, name string) error {
	s.change.Lock()
	defer s.change.Unlock()
	r, revision, err := s.role(ctx, a, name)
	switch {
	case err != nil:
		return err
	case len(r.Attached) > 0:
		return fault.New(CodeConflict, "Cannot delete entity, must detach all policies first.")
	case len(r.Inline) > 0:
		return fault.New(CodeConflict, "Cannot delete entity, must delete policies first.")
	}
	return s.save(ctx, key(a.ID, kindRole, r.Name), nil, revision)
}

// UpdateTrust replaces the document that says who may assume a role. Faults: CodeNoSuchEntity, CodeMalformed.
func (s *Store) UpdateTrust(ctx context.Context, a Account, name, document string) error {
	return s.changeRole(ctx, a, name, func(r *Role) error {
		r.Trust = document
		return checkTrust(document)
	})
}

// UpdateRole changes what is not nil. Faults: CodeNoSuchEntity.
func (s *Store) UpdateRole(ctx context.Context, a Account, name string, description *string, maxSession *int) error {
	return s.changeRole(ctx, a, name, func(r *Role) error {
		if description != nil {
			r.Description = *description
		}
		if maxSession != nil {
			r.MaxSession = *maxSession
		}
		return nil
	})
}

// TagRole adds tags to a role. Faults: CodeNoSuchEntity, CodeLimit.
func (s *Store) TagRole(ctx context.Context, a Account, name string, tags []Tag) error {
	return s.changeRole(ctx, a, name, func(r *Role) error { return addTags(&r.Tags, tags) })
}

// UntagRole removes tags from a role; missing ones are no error. Faults: CodeNoSuchEntity.
func (s *Store) UntagRole(ctx context.Context, a Account, name string, keys []string) error {
	return s.changeRole(ctx, a, name, func(r *Role) error { removeTags(&r.Tags, keys); return nil })
}

// PutRolePolicy adds or replaces a policy inside a role. Faults: CodeNoSuchEntity, CodeMalformed, CodeLimit.
func (s *Store) PutRolePolicy(ctx context.Context, a Account, role, name, document string) error {
	return s.changeRole(ctx, a, role, func(r *Role) error {
		if err := checkPolicy(document); err != nil {
			return err
		}
		if r.Inline == nil {
			r.Inline = map[string]string{}
		}
		r.Inline[name] = document
		size := 0
		for d := range maps.Values(r.Inline) {
			size += sizeOf(d)
		}
		if size > maxInlineBytes {
			return fault.New(
				CodeLimit, "Maximum policy size of %d bytes exceeded for role %s", maxInlineBytes, r.Name,
			)
		}
		return nil
	})
}

// DeleteRolePolicy deletes a policy inside a role. Faults: CodeNoSuchEntity.
func (s *Store) DeleteRolePolicy(ctx context.Context, a Account, role, name string) error {
	return s.changeRole(ctx, a, role, func(r *Role) error {
		if _, err := r.Policy(name); err != nil {
			return err
		}
		delete(r.Inline, name)
		return nil
	})
}

// AttachPolicy attaches a managed policy to a role: one that was created, or any of AWS's. Attaching it again is no
// error. Faults: CodeNoSuchEntity, CodeLimit.
func (s *Store) AttachPolicy(ctx context.Context, a Account, role, arn string) error {
	return s.changeRole(ctx, a, role, func(r *Role) error {
		if !OwnedByAWS(arn) {
			switch _, _, err := s.policy(ctx, a, arn); {
			case fault.CodeOf(err) == CodeNoSuchEntity:
				return fault.New(CodeNoSuchEntity, "Policy %s does not exist or is not attachable.", clip(arn))
			case err != nil:
				return err
			}
		}
		if !slices.Contains(r.Attached, arn) {
			r.Attached = append(r.Attached, arn)
			slices.Sort(r.Attached)
		}
		if len(r.Attached) > maxAttached {
			return fault.New(CodeLimit, "Cannot exceed quota for PoliciesPerRole: %d", maxAttached)
		}
		return nil
	})
}

// DetachPolicy detaches a managed policy from a role. Faults: CodeNoSuchEntity.
func (s *Store) DetachPolicy(ctx context.Context, a Account, role, arn string) error {
	return s.changeRole(ctx, a, role, func(r *Role) error {
		i := slices.Index(r.Attached, arn)
		if i < 0 {
			return noSuchPolicy(arn)
		}
		r.Attached = slices.Delete(r.Attached, i, i+1)
		return nil
	})
}
