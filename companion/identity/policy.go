package identity

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Quotas of a managed policy. Source: IAM User Guide, IAM and AWS STS quotas.
const (
	maxPolicyBytes    = 6144 // without white space
	maxPolicyVersions = 5
)

// Policy is a managed policy as stored.
type Policy struct {
	Format      int       `json:"v"` // set by this room
	Path        string    `json:"path"`
	Name        string    `json:"name"`
	ID          string    `json:"id"`      // set by this room
	Created     time.Time `json:"created"` // set by this room
	Updated     time.Time `json:"updated"` // set by this room
	Description string    `json:"description,omitempty"`
	Tags        []Tag     `json:"tags,omitempty"`
	Default     string    `json:"default"`  // id of the version in force
	Next        int       `json:"next"`     // number of the next version
	Versions    []Version `json:"versions"` // oldest first, at least one
}

// Version is a version of a managed policy.
type Version struct {
	ID       string    `json:"id"` // v1, v2, ...
	Document string    `json:"document"`
	Created  time.Time `json:"created"`
}

// ARN returns the policy's Amazon resource name.
func (p *Policy) ARN(a Account) string { return a.arn("policy", p.Path, p.Name) }

// Version returns the version with an id. Faults: CodeNoSuchEntity.
func (p *Policy) Version(id string) (Version, error) {
	i, err := p.index(id)
	if err != nil {
		return Version{}, err
	}
	return p.Versions[i], nil
}

func (p *Policy) index(id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return 0, fault.New(CodeNoSuchEntity, "Policy version %s does not exist or is not attachable.", clip(id))
	}
	return i, nil
}

var awsPolicies = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:iam::aws:policy/[!-~]*[\w+=,.@-]$`)
})

// OwnedByAWS reports whether an ARN is of one of AWS's own policies. They count as existing, whatever their names, but
// without documents.
func OwnedByAWS(arn string) bool { return awsPolicies().MatchString(arn) }

// CreatePolicy stores a policy and returns it, with document as its first version, v1. Faults: CodeMalformed,
// CodeLimit, CodeExists.
func (s *Store) CreatePolicy(ctx context.Context, a Account, p Policy, document string) (Policy, error) {
	if err := checkManaged(document); err != nil {
		return Policy{}, err
	}
	now := s.now()
	p.Format, p.ID, p.Created, p.Updated = formatVersion, newID("ANPA"), now, now
	p.Default, p.Next, p.Versions = "v1", 2, []Version{{"v1", document, now}}
	s.change.Lock()
	defer s.change.Unlock()
	k := key(a.ID, kindPolicy, p.Name)
	switch _, _, ok, err := load[Policy](ctx, s, k); {
	case err != nil:
		return Policy{}, err
	case ok:
		return Policy{}, fault.New(
			CodeExists, "A policy called %s already exists. Duplicate names are not allowed.", p.Name,
		)
	}
	return p, s.save(ctx, k, p, storage.Absent)
}

// Policy returns an account's policy with that ARN. Faults: CodeNoSuchEntity.
func (s *Store) Policy(ctx context.Context, a Account, arn string) (Policy, error) {
	p, _, err := s.policy(ctx, a, arn)
	return p, err
}

func (s *Store) policy(ctx context.Context, a Account, arn string) (Policy, storage.Revision, error) {
	p, revision, ok, err := load[Policy](ctx, s, key(a.ID, kindPolicy, arn[strings.LastIndexByte(arn, '/')+1:]))
	switch {
	case err != nil:
		return Policy{}, 0, err
	case !ok || p.ARN(a) != arn:
		return Policy{}, 0, noSuchPolicy(arn)
	}
	return p, revision, nil
}

// Policies returns the policies of an account, in order of name, without AWS's own.
func (s *Store) Policies(ctx context.Context, a Account) ([]Policy, error) {
	return all[Policy](ctx, s, a.ID, kindPolicy)
}

// Uses counts the roles that have a policy.
type Uses struct {
	Attached, Boundaries int
}

// Uses returns how many roles of an account have each policy, by its ARN.
func (s *Store) Uses(ctx context.Context, a Account) (map[string]Uses, error) {
	roles, err := s.Roles(ctx, a)
	if err != nil {
		return nil, err
	}
	uses := map[string]Uses{}
	for _, r := range roles {
		for _, arn := range r.Attached {
			u := uses[arn]
			u.Attached++
			uses[arn] = u
		}
		if r.Boundary != "" {
			u := uses[r.Boundary]
			u.Boundaries++
			uses[r.Boundary] = u
		}
	}
	return uses, nil
}

// DeletePolicy deletes a policy that no role has and that has one version. Faults: CodeNoSuchEntity, CodeConflict.
func (s *Store) DeletePolicy(ctx context.Context, a Account, arn string) error {
	s.change.Lock()
	defer s.change.Unlock()
	p, revision, err := s.policy(ctx, a, arn)
	if err != nil {
		return err
	}
	uses, err := s.Uses(ctx, a)
	if err != nil {
		return err
	}
	if uses[arn] != (Uses{}) {
		return fault.New(CodeConflict, "Cannot delete a policy attached to entities.")
	}
	if len(p.Versions) > 1 {
		return fault.New(
			CodeConflict,
			"This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "+
				"The default version is deleted with the policy.",
		)
	}
	return s.save(ctx, key(a.ID, kindPolicy, p.Name), nil, revision)
}

// changePolicy stores a policy after change.
func (s *Store) changePolicy(ctx context.Context, a Account, arn string, change func(*Policy) error) error {
	s.change.Lock()
	defer s.change.Unlock()
	p, revision, err := s.policy(ctx, a, arn)
	if err != nil {
		return err
	}
	if err := change(&p); err != nil {
		return err
	}
	return s.save(ctx, key(a.ID, kindPolicy, p.Name), p, revision)
}

// AddVersion adds a version to a policy, in force if inForce is set, and returns it. Faults: CodeNoSuchEntity,
// CodeMalformed, CodeLimit.
func (s *Store) AddVersion(ctx context.Context, a Account, arn, document string, inForce bool) (
	added Version, err error,
) {
	err = s.changePolicy(ctx, a, arn, func(p *Policy) error {
		if err := checkManaged(document); err != nil {
			return err
		}
		if len(p.Versions) >= maxPolicyVersions {
			return fault.New(
				CodeLimit, "A managed policy can have up to %d versions. "+
					"Before you create a new version, you must delete an existing version.", maxPolicyVersions,
			)
		}
		added = Version{"v" + strconv.Itoa(p.Next), document, s.now()}
		p.Next++
		p.Versions = append(p.Versions, added)
		if inForce {
			p.Default = added.ID
		}
		p.Updated = added.Created
		return nil
	})
	return added, err
}

// SetDefaultVersion puts a version of a policy into force. Faults: CodeNoSuchEntity.
func (s *Store) SetDefaultVersion(ctx context.Context, a Account, arn, id string) error {
	return s.changePolicy(ctx, a, arn, func(p *Policy) error {
		if _, err := p.index(id); err != nil {
			return err
		}
		p.Default, p.Updated = id, s.now()
		return nil
	})
}

// DeleteVersion deletes a version of a policy that is not in force. Faults: CodeNoSuchEntity, CodeConflict.
func (s *Store) DeleteVersion(ctx context.Context, a Account, arn, id string) error {
	return s.changePolicy(ctx, a, arn, func(p *Policy) error {
		i, err := p.index(id)
		if err != nil {
			return err
		}
		if id == p.Default {
			return fault.New(CodeConflict, "Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}

// TagPolicy adds tags to a policy. Faults: CodeNoSuchEntity, CodeLimit.
func (s *Store) TagPolicy(ctx context.Context, a Account, arn string, tags []Tag) error {
	return s.changePolicy(ctx, a, arn, func(p *Policy) error { return addTags(&p.Tags, tags) })
}

// UntagPolicy removes tags from a policy; missing ones are no error. Faults: CodeNoSuchEntity.
func (s *Store) UntagPolicy(ctx context.Context, a Account, arn string, keys []string) error {
	return s.changePolicy(ctx, a, arn, func(p *Policy) error { removeTags(&p.Tags, keys); return nil })
}
