package table

import (
	"context"
	"strconv"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
)

// maxPolicy is how many bytes a policy may have. Source: DynamoDB Developer Guide, "Resource-based policy
// considerations".
const maxPolicy = 20 << 10

// NoPolicy is an expected revision: that of a table without a policy.
const NoPolicy = "NO_POLICY"

var policyRules = policy.Rules{
	Service: "dynamodb", Name: "Amazon DynamoDB", Code: CodeValidation, Most: maxPolicy,
}

// mends are the operations by which the owner of a table gets out of a policy that denies too much.
var mends = map[string]bool{"DeleteResourcePolicy": true, "GetResourcePolicy": true, "PutResourcePolicy": true}

// Authorize returns why a caller may not carry out an operation, such as PutItem, on a table, or on an index of it if
// index is not ""; nil if it may. The owner may do what the table's policy does not deny, another account what it
// allows. A table of another account that does not exist is not told apart from one that is not shared. Fault:
// AccessDeniedException.
func (ts *Tables) Authorize(ctx context.Context, who policy.Caller, name Name, index, operation string) error {
	owns := who.Account == name.Account
	if owns && mends[operation] {
		return nil
	}
	document, err := ts.document(ctx, name)
	switch {
	case err != nil && fault.CodeOf(err) != CodeNotFound:
		return err
	case owns && document == nil:
		return nil
	}
	resource := name.ARN()
	if index != "" {
		resource += "/index/" + index
	}
	refusal := document.Judge(
		policy.Request{Caller: who, Action: "dynamodb:" + operation, Resource: resource}, name.Account, false,
	)
	if refusal == nil {
		return nil
	}
	return refusal.Fault(fault.CodeAccessDenied)
}

func (ts *Tables) document(_ context.Context, name Name) (*policy.Document, error) {
	leave, err := ts.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	t, release, err := ts.use(name)
	if err != nil {
		return nil, err
	}
	defer release()
	return t.meta.document, nil
}

// Policy returns the policy of a table as it was put, and its revision. Faults: ResourceNotFoundException;
// PolicyNotFoundException.
func (ts *Tables) Policy(_ context.Context, name Name) (text, revision string, err error) {
	leave, err := ts.enter()
	if err != nil {
		return "", "", err
	}
	defer leave()
	t, release, err := ts.look(name, noTagged(name))
	if err != nil {
		return "", "", err
	}
	defer release()
	if t.meta.Policy == "" {
		return "", "", noPolicy(name)
	}
	return t.meta.Policy, revisionOf(t.meta), nil
}

// SetPolicy replaces the policy of a table, durably, and returns its revision, which putting the same again does not
// change; "" removes it, and returns the revision that it had, "" for none. expected is the revision that it must have,
// "" for any. Faults: ResourceNotFoundException; PolicyNotFoundException for another revision; ValidationException for
// a document that is no policy, is too long, or says something that is not evaluated, which is named.
func (ts *Tables) SetPolicy(ctx context.Context, name Name, text, expected string) (revision string, err error) {
	leave, err := ts.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	t, release, err := ts.own(name, noTagged(name))
	if err != nil {
		return "", err
	}
	defer release()
	document, err := checkPolicy(text)
	if err != nil {
		return "", err
	}
	has := revisionOf(t.meta)
	switch {
	case expected == NoPolicy && has != "" || expected != "" && expected != NoPolicy && expected != has:
		return "", noPolicy(name)
	case text == t.meta.Policy:
		return has, nil
	}
	m := t.meta.change()
	m.Policy, m.document = text, document
	m.Revision = max(m.Revision+1, ts.clock.Now().UnixMilli())
	if err := ts.redefine(context.WithoutCancel(ctx), t, m); err != nil {
		return "", storageFault("change the policy of table "+name.ARN(), err)
	}
	if text == "" {
		return has, nil
	}
	return revisionOf(m), nil
}

// revisionOf returns the revision of a table's policy; "" without one.
func revisionOf(m *meta) string {
	if m.Policy == "" {
		return ""
	}
	return strconv.FormatInt(m.Revision, 10)
}

func noPolicy(name Name) error {
	return fault.New(CodeNoPolicy, "Resource-based policy not found for the provided ResourceArn: %s", name.ARN())
}

// checkPolicy parses a policy; "" is none.
func checkPolicy(text string) (*policy.Document, error) {
	if text == "" {
		return nil, nil
	}
	return policyRules.Check(text)
}
