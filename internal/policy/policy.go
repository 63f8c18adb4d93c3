// Package policy reads policies of resources, in IAM's language, and decides by them.
//
// A room keeps the document as text, parses it once and asks for a decision about each request. What a caller may do by
// policies of its own is not this package's matter: there, everybody may do everything. Where the language is
// described: IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic".
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/jsontext"
)

// Document is a policy of a resource. It never changes.
type Document struct{ statements []statement }

type statement struct {
	deny       bool
	anybody    bool
	accounts   []string // whose callers are all meant
	roles      []string // ARNs of single roles and users
	services   []string // of AWS
	conditions []condition
	actions    []string // in lower case, with wildcards
	notActions bool     // actions are those that are not meant
	resources  []string // with wildcards
	notThese   bool     // resources are those that are not meant
	unknown    []string // names of the elements that are not evaluated
}

// Decision is what a policy says about a request.
type Decision uint8

// The decisions. A statement that denies wins over all that allow.
const (
	Silent Decision = iota // no statement is about the request
	Allowed
	Denied
)

// Caller is whose request it is. Role is the ARN of a role, of a session of one, or of a user of the account; "": the
// account itself. Service is the name of a service of AWS that acts by itself, which is of no account.
type Caller struct{ Account, Role, Service string }

// arn returns the caller's name in messages.
func (c Caller) arn(partition string) string {
	switch {
	case c.Service != "":
		return c.Service
	case c.Role != "":
		return c.Role
	}
	return arn.ARN{Partition: partition, Service: "iam", Account: c.Account, Resource: "root"}.String()
}

// Request is what is asked of a policy. Action has the service's prefix: kinesis:PutRecord.
type Request struct {
	Caller   Caller
	Action   string
	Resource string // ARN
	Source   string // ARN of that for which a service acts; "": none does
}

// Judge returns nil if a request may be carried out under the policy of its resource, and else why not. The owner may
// do everything that d does not deny, another account what d allows. alone says that only the owner can have the
// action: no policy opens it to another account. A nil d is no policy.
func (d *Document) Judge(r Request, owner string, alone bool) *Refusal {
	decision, owns := Silent, r.Caller.Account == owner
	if owns || !alone {
		decision = d.Decide(r)
	}
	if decision == Denied || decision == Silent && !owns {
		return &Refusal{Request: r, Denied: decision == Denied, Alone: alone}
	}
	return nil
}

// Refusal says why a request may not be carried out.
type Refusal struct {
	Request
	Denied bool // a statement denies it; otherwise none allows it
	Alone  bool // none can
}

// Fault returns the refusal in AWS's words, under the code that the service has for it.
func (r *Refusal) Fault(code string) *fault.Error {
	a, _ := arn.Parse(r.Resource)
	lead := "User: " + r.Caller.arn(a.Partition) + " is not authorized to perform: " + r.Action + " on resource: " +
		r.Resource
	switch {
	case r.Denied:
		return fault.New(code, "%s with an explicit deny in a resource-based policy", lead)
	case r.Alone:
		return fault.New(code, "%s because no resource-based policy allows the %s action", lead, r.Action).WithHint(
			"%s is the owner's alone: a policy cannot open it to another account.", r.Action)
	}
	return fault.New(code, "%s because no resource-based policy allows the %s action", lead, r.Action).WithHint(
		"The owner of %s can allow it in a resource policy.", r.Resource)
}

// Decide returns what d says about a request. A statement with an element that is not evaluated allows nothing, and
// denies as if the element were not there. A nil d is silent.
func (d *Document) Decide(r Request) Decision {
	if d == nil {
		return Silent
	}
	decision, action := Silent, strings.ToLower(r.Action)
	for i := range d.statements {
		s := &d.statements[i]
		switch {
		case !s.means(r.Caller) || !s.covers(action, r.Resource) || !s.holds(&r):
		case s.deny:
			return Denied
		case len(s.unknown) == 0:
			decision = Allowed
		}
	}
	return decision
}

// Unknown returns the elements of d that are not evaluated, by name; nil if all are.
func (d *Document) Unknown() []string {
	var names []string
	for i := range d.statements {
		for _, name := range d.statements[i].unknown {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// Public reports whether a statement of d allows something to everybody.
func (d *Document) Public() bool {
	return d != nil && slices.ContainsFunc(d.statements, func(s statement) bool {
		return !s.deny && s.anybody && len(s.unknown)+len(s.conditions) == 0
	})
}

// Resources returns the resources that the statements of d name, meant or not.
func (d *Document) Resources() (names []string) {
	if d == nil {
		return nil
	}
	for i := range d.statements {
		names = append(names, d.statements[i].resources...)
	}
	return names
}

// Actions returns the actions of all statements that allow or deny, in lower case and as they were given.
func (d *Document) Actions(deny bool) []string {
	var names []string
	for i := range d.statements {
		if s := &d.statements[i]; s.deny == deny && !s.notActions {
			names = append(names, s.actions...)
		}
	}
	return names
}

func (s *statement) holds(r *Request) bool {
	return !slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(r) })
}

func (s *statement) means(c Caller) bool {
	if c.Service != "" {
		return s.anybody || slices.Contains(s.services, c.Service)
	}
	return s.anybody || slices.Contains(s.accounts, c.Account) || c.Role != "" && slices.ContainsFunc(s.roles, c.is)
}

// is reports whether the caller is a principal: it has the same ARN, or is a session of that role.
func (c Caller) is(principal string) bool {
	if c.Role == principal {
		return true
	}
	session, _ := arn.Parse(c.Role)
	role, assumed := strings.CutPrefix(session.Resource, "assumed-role/")
	if !assumed {
		return false
	}
	role, _, _ = strings.Cut(role, "/")
	a, _ := arn.Parse(principal)
	path, isRole := strings.CutPrefix(a.Resource, "role/")
	return isRole && a.Service == "iam" && a.Account == session.Account &&
		path[strings.LastIndexByte(path, '/')+1:] == role
}

func (s *statement) covers(action, resource string) bool {
	matches := func(text string) func(string) bool {
		return func(pattern string) bool { return Match(pattern, text) }
	}
	return slices.ContainsFunc(s.actions, matches(action)) != s.notActions &&
		slices.ContainsFunc(s.resources, matches(resource)) != s.notThese
}

// Match reports whether text matches a pattern of policies: * stands for any text, ? for any one byte.
func Match(pattern, text string) bool {
	star, from := -1, 0 // the last *, and where the text that it stands for ends
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Parse reads a document. An error says in one sentence what is wrong with it, for the service's fault. What is right
// but not evaluated here is no error: see Unknown.
func Parse(text string) (*Document, error) {
	if !jsontext.Faithful([]byte(text)) || !json.Valid([]byte(text)) {
		return nil, errors.New("the policy is not JSON")
	}
	top, err := members(json.RawMessage(text), "the policy", "Version", "Id", "Statement")
	if err != nil {
		return nil, err
	}
	if raw, ok := top["Version"]; ok {
		if v, ok := textOf(raw); !ok || v != "2012-10-17" && v != "2008-10-17" {
			return nil, errors.New("the Version of the policy is neither 2012-10-17 nor 2008-10-17")
		}
	}
	if raw, ok := top["Id"]; ok {
		if _, ok := textOf(raw); !ok {
			return nil, errors.New("the Id of the policy is not a text")
		}
	}
	raw, ok := top["Statement"]
	if !ok {
		return nil, errors.New("the policy has no Statement")
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	if len(list) == 0 {
		return nil, errors.New("the policy has no Statement")
	}
	d := &Document{statements: make([]statement, len(list))}
	for i, raw := range list {
		if err := d.statements[i].read(raw); err != nil {
			return nil, fmt.Errorf("statement %d of the policy %w", i+1, err)
		}
	}
	return d, nil
}

func (s *statement) read(raw json.RawMessage) error {
	m, err := members(raw, "it", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
		"NotResource", "Condition")
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if raw, ok := m["Sid"]; ok {
		if _, ok := textOf(raw); !ok {
			return errors.New("has a Sid that is not a text")
		}
	}
	switch effect, _ := textOf(m["Effect"]); effect {
	case "Allow":
	case "Deny":
		s.deny = true
	default:
		return errors.New("has an Effect that is neither Allow nor Deny")
	}
	if s.actions, s.notActions, err = oneOf(m, "Action"); err != nil {
		return err
	}
	for i, a := range s.actions {
		if service, name, ok := strings.Cut(a, ":"); a != "*" && (!ok || service == "" || name == "") {
			return fmt.Errorf("has the Action %q, which has no service", clip(a))
		}
		s.actions[i] = strings.ToLower(a)
	}
	if s.resources, s.notThese, err = oneOf(m, "Resource"); err != nil {
		return err
	}
	if slices.ContainsFunc(s.resources, func(r string) bool { return strings.Contains(r, "${") }) {
		s.unknown = append(s.unknown, "policy variables in Resource")
	}
	if raw, ok := m["Condition"]; ok {
		if s.conditions, ok = readCondition(raw); !ok {
			s.unknown = append(s.unknown, "Condition")
		}
	}
	return s.readPrincipal(m)
}

// readPrincipal reads whom a statement means. Where that is not evaluated it means everybody, which matters only if it
// denies.
func (s *statement) readPrincipal(m map[string]json.RawMessage) error {
	raw, ok := m["Principal"]
	not, without := m["NotPrincipal"]
	if ok == without {
		return errors.New("needs either Principal or NotPrincipal")
	}
	if without {
		var left statement
		if err := left.readPrincipal(map[string]json.RawMessage{"Principal": not}); err != nil {
			return err
		}
		s.unknown, s.anybody = append(s.unknown, "NotPrincipal"), true
		return nil
	}
	if all, ok := textOf(raw); ok {
		s.anybody = all == "*"
		if !s.anybody {
			return fmt.Errorf("has the principal %q, which is neither * nor of a kind", clip(all))
		}
		return nil
	}
	kinds, err := members(raw, "its Principal", "AWS", "Service", "Federated", "CanonicalUser")
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if len(kinds) == 0 {
		return errors.New("has no principal")
	}
	for _, kind := range []string{"AWS", "Service", "Federated", "CanonicalUser"} {
		raw, ok := kinds[kind]
		if !ok {
			continue
		}
		names, err := texts(raw)
		switch {
		case err != nil:
			return fmt.Errorf("has principals that are not texts: %s", kind)
		case kind == "AWS":
			for _, name := range names {
				if err := s.addPrincipal(name); err != nil {
					return err
				}
			}
		case kind == "Service":
			s.services = names
		default:
			s.unknown, s.anybody = append(s.unknown, "principals of the kind "+kind), true
		}
	}
	return nil
}

// addPrincipal adds one principal of the kind AWS.
func (s *statement) addPrincipal(name string) error {
	a, isARN := arn.Parse(name)
	switch {
	case name == "*":
		s.anybody = true
	case arn.IsAccount(name):
		s.accounts = append(s.accounts, name)
	case isARN && a.Service == "iam" && arn.IsAccount(a.Account) && a.Resource == "root":
		s.accounts = append(s.accounts, a.Account)
	case isARN && (a.Service == "iam" || a.Service == "sts") && arn.IsAccount(a.Account) &&
		!strings.Contains(a.Resource, "*"):
		s.roles = append(s.roles, name)
	default:
		return fmt.Errorf("has the principal %q, which is no account, role or user", clip(name))
	}
	return nil
}

// oneOf reads an element or its opposite; exactly one must be there.
func oneOf(m map[string]json.RawMessage, name string) (values []string, not bool, err error) {
	raw, ok := m[name]
	opposite, not := m["Not"+name]
	if ok == not {
		return nil, false, fmt.Errorf("needs either %s or Not%s", name, name)
	}
	if not {
		raw = opposite
	}
	if values, err = texts(raw); err != nil {
		return nil, false, fmt.Errorf("has a value of %s that is not a text", name)
	}
	return values, not, nil
}

// texts reads a text or a list of at least one.
func texts(raw json.RawMessage) ([]string, error) {
	if one, ok := textOf(raw); ok {
		return []string{one}, nil
	}
	var list []*string
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 || slices.Contains(list, nil) {
		return nil, errors.New("a value is missing")
	}
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = *s
	}
	return all, nil
}

func textOf(raw json.RawMessage) (s string, ok bool) {
	var text *string
	if json.Unmarshal(raw, &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}

// members reads an object that has members of these names only, each at most once.
func members(raw json.RawMessage, what string, names ...string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New(what + " is not an object")
	}
	found := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errors.New(what + " is not an object")
		}
		name, _ := key.(string)
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%s has the element %q, which is unknown", what, clip(name))
		}
		if _, again := found[name]; again {
			return nil, fmt.Errorf("%s has the element %s twice", what, name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New(what + " is not an object")
		}
		found[name] = value
	}
	return found, nil
}

func clip(s string) string { return fault.Clip(s, 200) }
