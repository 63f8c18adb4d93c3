package policy

import (
	"errors"
	"strings"

	"github.com/shardmill/shardmill/fault"
)

// Rules are what a service asks of a policy that is put on one of its resources.
type Rules struct {
	Service string // the prefix of its actions, in lower case: kinesis
	Name    string // of the service, for people
	Code    string // of the fault of a policy that is not valid
	Most    int    // bytes of a policy
	// Shared are the actions, without prefix, that a policy can open to other accounts; nil: every action
	Shared map[string]bool
}

// Check parses a policy, and refuses one that the service does not have, or that says something which would have no
// effect. The error is a fault that says what is wrong.
func (r *Rules) Check(text string) (*Document, error) {
	if len(text) > r.Most {
		return nil, fault.New(r.Code, "The policy has %d bytes; a resource policy has at most %d.", len(text), r.Most)
	}
	d, err := Parse(text)
	if err == nil {
		err = r.check(d)
	}
	if err != nil {
		return nil, fault.New(r.Code, "The policy is not valid: %s.", clip(err.Error()))
	}
	return d, nil
}

func (r *Rules) check(d *Document) error {
	if unknown := d.Unknown(); len(unknown) > 0 {
		return errors.New(strings.Join(unknown, " and ") +
			" cannot be evaluated by shardmill and would be ignored; leave it out")
	}
	for _, pattern := range d.Actions(false) {
		if !r.covers(pattern) {
			return errors.New(pattern + " cannot be shared with another account on this resource")
		}
	}
	for _, pattern := range d.Actions(true) {
		if service, _, ok := strings.Cut(pattern, ":"); ok && !Match(service, r.Service) {
			return errors.New(pattern + " is no action of " + r.Name)
		}
	}
	return nil
}

// covers reports whether a pattern in lower case names any action that can be shared.
func (r *Rules) covers(pattern string) bool {
	if r.Shared == nil {
		service, _, ok := strings.Cut(pattern, ":")
		return !ok || Match(service, r.Service)
	}
	for action := range r.Shared {
		if Match(pattern, r.Service+":"+strings.ToLower(action)) {
			return true
		}
	}
	return false
}
