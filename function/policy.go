package function

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/ids"
)

// Policy says who may call a function, a version or an alias. It is stored and shown; what it allows to other accounts
// is its reader's to enforce. Its JSON form is stored. A value handed out is not modified.
type Policy struct {
	RevisionID string
	Statements []Statement
}

// Statement is one permission of a Policy, as it is stored and shown.
type Statement struct {
	Sid, Effect string
	Principal   json.RawMessage
	Action      string
	Resource    string
	Condition   map[string]map[string]string `json:",omitempty"` // by operator, then key
}

// maxPolicy is how long a policy may be, in bytes. Source: Lambda Developer Guide, "Lambda quotas".
const maxPolicy = 20480

// codePolicyLength is the code of a policy beyond maxPolicy.
const codePolicyLength = "PolicyLengthExceededException"

// Document returns the policy as AWS shows it.
func (p *Policy) Document() string {
	return encode(struct {
		Version, Id string
		Statement   []Statement
	}{"2012-10-17", "default", p.Statements})
}

// Document returns the statement as AWS shows it.
func (s *Statement) Document() string { return encode(s) }

func encode(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("encode a policy: %v", err)) // it is made of texts
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// PermissionInput is the input of AddPermission. Empty texts were not given.
type PermissionInput struct {
	Ref                                   Ref
	Qualifier                             string // "": the function itself
	Sid, Action, Principal                string
	SourceARN, SourceAccount              string
	EventSourceToken, PrincipalOrgID, URL string // URL is FunctionUrlAuthType
	RevisionID                            string // expected of the policy; "" for any
}

// Patterns of the service model.
var permissionForms = sync.OnceValue(func() map[string]*regexp.Regexp {
	forms := map[string]*regexp.Regexp{}
	for member, pattern := range permissionPatterns {
		forms[member] = regexp.MustCompile("^(?:" + pattern + ")$")
	}
	return forms
})

var permissionPatterns = map[string]string{
	"statementId":         `([a-zA-Z0-9-_]+)`,
	"action":              `(lambda:[*]|lambda:[a-zA-Z]+|[*])`,
	"principal":           `[^\s]+`,
	"sourceArn":           `arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)`,
	"sourceAccount":       `\d{12}`,
	"eventSourceToken":    `[a-zA-Z0-9._\-]+`,
	"principalOrgID":      `o-[a-z0-9]{10,32}`,
	"functionUrlAuthType": `NONE|AWS_IAM`,
}

// model records violations of AWS's service model.
func (in *PermissionInput) model() error {
	var v fault.Violations
	for _, m := range []struct {
		path, value string
		most        int // characters; 0: no limit of its own
		required    bool
	}{
		{"statementId", in.Sid, 100, true},
		{"action", in.Action, 0, true},
		{"principal", in.Principal, 0, true},
		{"sourceArn", in.SourceARN, 0, false},
		{"sourceAccount", in.SourceAccount, 12, false},
		{"eventSourceToken", in.EventSourceToken, 256, false},
		{"principalOrgID", in.PrincipalOrgID, 34, false},
		{"functionUrlAuthType", in.URL, 0, false},
	} {
		switch {
		case m.value == "" && m.required:
			v.Null(m.path)
		case m.value == "":
		case m.most > 0 && len(m.value) > m.most:
			v.Add(
				m.path, fault.Clip(m.value, 200),
				fmt.Sprintf("Member must have length less than or equal to %d", m.most),
			)
		case m.path == "functionUrlAuthType" && !permissionForms()[m.path].MatchString(m.value):
			v.Add(m.path, fault.Clip(m.value, 200), "Member must satisfy enum value set: [NONE, AWS_IAM]")
		case !permissionForms()[m.path].MatchString(m.value):
			v.Add(
				m.path, fault.Clip(m.value, 200),
				"Member must satisfy regular expression pattern: "+permissionPatterns[m.path],
			)
		}
	}
	return v.Err()
}

// statement returns the permission as a statement.
func (in *PermissionInput) statement() (Statement, error) {
	principal, err := in.principal()
	if err != nil {
		return Statement{}, err
	}
	s := Statement{
		Sid: in.Sid, Effect: "Allow", Principal: principal, Action: in.Action,
		Resource: in.Ref.ARN() + suffixOf(in.Qualifier),
	}
	for _, c := range []struct{ operator, key, value string }{
		{"ArnLike", "AWS:SourceArn", in.SourceARN},
		{"StringEquals", "AWS:SourceAccount", in.SourceAccount},
		{"StringEquals", "aws:PrincipalOrgID", in.PrincipalOrgID},
		{"StringEquals", "lambda:EventSourceToken", in.EventSourceToken},
		{"StringEquals", "lambda:FunctionUrlAuthType", in.URL},
	} {
		if c.value == "" {
			continue
		}
		if s.Condition == nil {
			s.Condition = map[string]map[string]string{}
		}
		if s.Condition[c.operator] == nil {
			s.Condition[c.operator] = map[string]string{}
		}
		s.Condition[c.operator][c.key] = c.value
	}
	return s, nil
}

// principal returns the principal in its form in a policy.
func (in *PermissionInput) principal() (json.RawMessage, error) {
	p := in.Principal
	a, isARN := arn.Parse(p)
	member := "AWS"
	switch {
	case p == "*":
		return json.RawMessage(`"*"`), nil
	case arn.IsAccount(p):
		p = arn.New("iam", "", p, "root").String()
	case isARN && (a.Service == "iam" || a.Service == "sts") && arn.IsAccount(a.Account):
	case !isARN && strings.Contains(p, ".") && word(p, "."):
		member = "Service"
	default:
		return nil, fault.New(
			fault.CodeInvalidParameter, "The provided principal was invalid. Please check the principal and try again.",
		)
	}
	return json.RawMessage(encode(map[string]string{member: p})), nil
}

// errPolicyRevision is AWS's fault for a revision id that is not the policy's.
var errPolicyRevision = fault.New(
	fault.CodePrecondition,
	"The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id",
).WithStatus(412)

// policyOf checks that a policy may belong to a qualifier, and returns what there is.
func (f *Functions) policyOf(ref Ref, qualifier string) (*entry, Policy, error) {
	e := f.entry(ref)
	if e == nil {
		return nil, Policy{}, NotFound(ref, "")
	}
	if qualifier != "" {
		if _, ok := e.resolve(qualifier, 1); !ok {
			return nil, Policy{}, QualifierNotFound(ref, qualifier)
		}
	}
	return e, e.policies[qualifier], nil
}

// AddPermission adds a statement to the policy of a function, a version or an alias, and returns it. Faults:
// ValidationException; InvalidParameterValueException; ResourceNotFoundException; PreconditionFailedException;
// ResourceConflictException when the statement id is taken; PolicyLengthExceededException. Source: Lambda API
// Reference, AddPermission.
func (f *Functions) AddPermission(ctx context.Context, in PermissionInput) (Statement, error) {
	if err := in.model(); err != nil {
		return Statement{}, err
	}
	if in.Qualifier == Latest {
		return Statement{}, fault.New(
			fault.CodeInvalidParameter, "We currently do not support adding policies for $LATEST.",
		)
	}
	f.change.Lock()
	defer f.change.Unlock()
	e, p, err := f.policyOf(in.Ref, in.Qualifier)
	if err != nil {
		return Statement{}, err
	}
	s, err := in.statement()
	if err != nil {
		return Statement{}, err
	}
	if in.RevisionID != "" && in.RevisionID != p.RevisionID {
		return Statement{}, errPolicyRevision
	}
	if p.find(in.Sid) >= 0 {
		return Statement{}, fault.New(fault.CodeConflict,
			"The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.",
			in.Sid)
	}
	p.Statements = append(slices.Clip(p.Statements), s)
	if n := len(p.Document()); n > maxPolicy {
		return Statement{}, fault.New(
			codePolicyLength, "The final policy size (%d) is bigger than the limit (%d).", n, maxPolicy,
		)
	}
	return s, f.savePolicy(ctx, e, in.Qualifier, p)
}

// find returns the index of a statement, or -1.
func (p *Policy) find(sid string) int {
	return slices.IndexFunc(p.Statements, func(s Statement) bool { return s.Sid == sid })
}

// savePolicy stores a policy; one without statements is gone. f.change is held.
func (f *Functions) savePolicy(ctx context.Context, e *entry, qualifier string, p Policy) error {
	p.RevisionID = ids.New()
	policies := maps.Clone(e.policies)
	if policies == nil {
		policies = map[string]Policy{}
	}
	if policies[qualifier] = p; len(p.Statements) == 0 {
		delete(policies, qualifier)
	}
	e.policies = policies
	if err := f.save(ctx, e); err != nil {
		return conflict(e.conf.Ref, err)
	}
	f.replace(e.conf.Ref, e)
	return nil
}

// RemovePermission removes a statement. Faults: ResourceNotFoundException for the function, the policy or the
// statement; PreconditionFailedException.
func (f *Functions) RemovePermission(ctx context.Context, ref Ref, qualifier, sid, revisionID string) error {
	f.change.Lock()
	defer f.change.Unlock()
	e, p, err := f.policyOf(ref, qualifier)
	if err != nil {
		return err
	}
	at := p.find(sid)
	switch {
	case len(p.Statements) == 0:
		return fault.New(fault.CodeNotFound, "No policy is associated with the given resource.")
	case at < 0:
		return fault.New(fault.CodeNotFound, "Statement %s is not found in resource policy.", fault.Clip(sid, 200))
	case revisionID != "" && revisionID != p.RevisionID:
		return errPolicyRevision
	}
	p.Statements = slices.Delete(slices.Clone(p.Statements), at, at+1)
	return f.savePolicy(ctx, e, qualifier, p)
}

// Policy returns the policy of a function, a version or an alias. Faults: ResourceNotFoundException.
func (f *Functions) Policy(ref Ref, qualifier string) (Policy, error) {
	_, p, err := f.policyOf(ref, qualifier)
	if err == nil && len(p.Statements) == 0 {
		err = fault.New(fault.CodeNotFound, "The resource you requested does not exist.")
	}
	return p, err
}
