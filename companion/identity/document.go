package identity

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/shardmill/shardmill/fault"
)

// statement holds what is checked in a statement of a policy. Actions, conditions and resources are stored as they are
// and never evaluated.
type statement struct {
	Effect                  string
	Action, NotAction       json.RawMessage
	Resource, NotResource   json.RawMessage
	Principal, NotPrincipal json.RawMessage
}

// statements reads the statements of a document: one object, or a list of them.
func statements(document string) ([]statement, error) {
	var d struct {
		Version   *string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(document), &d); err != nil || !strings.HasPrefix(strings.TrimSpace(document), "{") {
		return nil, malformed("This policy contains invalid Json")
	}
	if d.Version != nil && *d.Version != "2012-10-17" && *d.Version != "2008-10-17" {
		return nil, malformed("Policy document must be version 2012-10-17 or greater.")
	}
	var all []statement
	if err := json.Unmarshal(d.Statement, &all); err != nil {
		var one statement
		if err := json.Unmarshal(d.Statement, &one); err != nil {
			return nil, malformed("Syntax errors in policy.")
		}
		all = []statement{one}
	}
	if len(all) == 0 {
		return nil, malformed("Syntax errors in policy.")
	}
	for _, s := range all {
		if s.Effect != "Allow" && s.Effect != "Deny" {
			return nil, malformed("Syntax errors in policy.")
		}
		if s.Action == nil && s.NotAction == nil {
			return nil, malformed("Policy statement must contain actions.")
		}
	}
	return all, nil
}

// checkTrust checks the document that says who may assume a role.
func checkTrust(document string) error {
	all, err := statements(document)
	if err != nil {
		return err
	}
	for _, s := range all {
		switch {
		case s.Resource != nil || s.NotResource != nil:
			return malformed("Has prohibited field Resource")
		case s.Principal == nil && s.NotPrincipal == nil:
			return malformed("Missing required field Principal")
		}
	}
	return nil
}

// checkPolicy checks the document of a policy for a role.
func checkPolicy(document string) error {
	all, err := statements(document)
	if err != nil {
		return err
	}
	for _, s := range all {
		switch {
		case s.Resource == nil && s.NotResource == nil:
			return malformed("Policy statement must contain resources.")
		case s.Principal != nil || s.NotPrincipal != nil:
			return malformed("Policy document should not specify a principal.")
		}
	}
	return nil
}

// sizeOf returns the length of a document as quotas count it: without white space.
func sizeOf(document string) (n int) {
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

func checkManaged(document string) error {
	if err := checkPolicy(document); err != nil {
		return err
	}
	if sizeOf(document) > maxPolicyBytes {
		return fault.New(CodeLimit, "Cannot exceed quota for PolicySize: %d", maxPolicyBytes)
	}
	return nil
}
