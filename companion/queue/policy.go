package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage"
)

// Limits of policies. Source: SQS Developer Guide, "Quotas related to policies"; AWS gives no number of bytes.
const (
	maxPolicyBytes   = 20 << 10
	maxPolicyActions = 7 // of a permission
	maxLabel         = 80
)

// shared are the actions that a queue's policy can open to other accounts. Source: SQS Developer Guide, "Limitations of
// custom policies".
var shared = map[string]bool{
	"ChangeMessageVisibility": true, "DeleteMessage": true, "GetQueueAttributes": true, "GetQueueUrl": true,
	"ListDeadLetterSourceQueues": true, "PurgeQueue": true, "ReceiveMessage": true, "SendMessage": true,
}

var policyRules = policy.Rules{
	Service: "sqs", Name: "Amazon SQS", Code: CodeInvalidAttribute, Most: maxPolicyBytes, Shared: shared,
}

// mends are the operations by which the owner of a queue gets out of a policy that denies too much.
var mends = map[string]bool{"AddPermission": true, "RemovePermission": true, "SetQueueAttributes": true}

// Authorize returns why a caller may not carry out an operation, such as SendMessage, on a queue; nil if it may. The
// owner may do what the queue's policy does not deny, another account what it allows. A queue of another account that
// does not exist is not told apart from one that is not shared. Faults: AccessDeniedException.
func (qs *Queues) Authorize(ctx context.Context, who policy.Caller, name Name, operation string) error {
	owns := who.Account == name.Account
	if owns && mends[operation] {
		return nil
	}
	_, document, err := qs.policyOf(ctx, name)
	if err != nil && fault.CodeOf(err) != CodeNoSuchQueue {
		return err
	}
	if owns && document == nil {
		return nil
	}
	return judge(document, name, policy.Request{Caller: who, Action: "sqs:" + operation}, !shared[operation])
}

// AuthorizeService returns why a service of AWS, such as sns.amazonaws.com, may not send what the resource with the ARN
// source brings forth; nil if the policy of the queue allows it. Fault: AccessDeniedException.
func (qs *Queues) AuthorizeService(ctx context.Context, service, source string, name Name) error {
	_, document, err := qs.policyOf(ctx, name)
	if err != nil {
		return err
	}
	return judge(document, name, policy.Request{
		Caller: policy.Caller{Service: service}, Source: source, Action: "sqs:SendMessage",
	}, false)
}

// judge applies the policy of a queue. alone says that the action is the owner's.
func judge(document *policy.Document, name Name, r policy.Request, alone bool) error {
	r.Resource = name.ARN()
	refusal := document.Judge(r, name.Account, alone)
	if refusal == nil {
		return nil
	}
	return refusal.Fault(fault.CodeAccessDenied)
}

// policyOf returns the policy of a queue as it was put and in its parsed form; "" and nil if there is none.
func (qs *Queues) policyOf(_ context.Context, name Name) (string, *policy.Document, error) {
	_, leave, err := qs.enter()
	if err != nil {
		return "", nil, err
	}
	defer leave()
	if !validName(name) {
		return "", nil, noSuchQueue()
	}
	q, err := qs.find(name)
	if err != nil {
		return "", nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.meta.policy, q.meta.document, nil
}

// SetPolicy replaces the policy of a queue, and returns when that is durable; "" removes it. Faults: QueueDoesNotExist;
// InvalidAttributeValue for a document that is no policy, is too long, or says something that is not evaluated, which
// is named.
func (qs *Queues) SetPolicy(ctx context.Context, name Name, text string) error {
	return qs.repolicy(ctx, name, func(string) (string, error) { return text, nil })
}

// Permission is a statement of a queue's policy in the form of AddPermission.
type Permission struct {
	Label    string
	Accounts []string
	Actions  []string // without prefix; * is every one
}

// AddPermission adds a statement to the policy of a queue, durably. Faults: QueueDoesNotExist;
// InvalidParameterValueException; MissingRequiredParameterException; OverLimit; InvalidAttributeValue if the policy
// becomes too long. Source: SQS API Reference, AddPermission.
func (qs *Queues) AddPermission(ctx context.Context, name Name, p Permission) error {
	if err := p.validate(); err != nil {
		return err
	}
	return qs.repolicy(ctx, name, func(text string) (string, error) {
		d := readPermissions(text, name)
		if d.find(p.Label) >= 0 {
			return "", invalid("Value %s for parameter Label is invalid. Reason: Already exists.", p.Label)
		}
		d.Statement = append(d.Statement, p.statement(name))
		return d.text(), nil
	})
}

// RemovePermission removes the statement with a label from the policy of a queue, durably. Faults: QueueDoesNotExist;
// InvalidParameterValueException if there is none. Source: SQS API Reference, RemovePermission.
func (qs *Queues) RemovePermission(ctx context.Context, name Name, label string) error {
	return qs.repolicy(ctx, name, func(text string) (string, error) {
		d := readPermissions(text, name)
		at := d.find(label)
		if text == "" || at < 0 {
			return "", invalid("Value %s for parameter Label is invalid. Reason: can't find label on existing policy.",
				fault.Clip(label, 100))
		}
		if d.Statement = slices.Delete(d.Statement, at, at+1); len(d.Statement) == 0 {
			return "", nil
		}
		return d.text(), nil
	})
}

// repolicy stores another policy of a queue.
func (qs *Queues) repolicy(ctx context.Context, name Name, change func(text string) (string, error)) error {
	q, release, err := qs.own(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	m := q.meta
	if m.policy, err = change(m.policy); err != nil {
		return err
	}
	if m.document, err = checkPolicy(m.policy); err != nil || m.policy == q.meta.policy {
		return err
	}
	op := storage.LocalOp{Key: metaKey(name), Value: encodeMeta(m), Refusable: len(m.policy) > len(q.meta.policy)}
	if err := qs.local.Apply(context.WithoutCancel(ctx), storage.Sync, op); err != nil {
		return storageFault("change the policy of queue "+name.ARN(), err)
	}
	q.mu.Lock()
	q.meta.policy, q.meta.document = m.policy, m.document
	q.mu.Unlock()
	return nil
}

// checkPolicy parses a policy; "" is none.
func checkPolicy(text string) (*policy.Document, error) {
	if text == "" {
		return nil, nil
	}
	return policyRules.Check(text)
}

func (p *Permission) validate() error {
	word := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
	}
	switch {
	case p.Label == "" || len(p.Label) > maxLabel || strings.ContainsFunc(p.Label, word):
		return invalid("Value %s for parameter Label is invalid. Reason: Can only include alphanumeric characters, "+
			"hyphens, or underscores. 1 to %d in length.", fault.Clip(p.Label, 100), maxLabel)
	case len(p.Actions) == 0:
		return fault.New(CodeMissingParameter, "The request must contain the parameter Actions.")
	case len(p.Actions) > maxPolicyActions:
		return fault.New(
			CodeOverLimit, "%d Actions were found, maximum allowed is %d.", len(p.Actions), maxPolicyActions,
		)
	case len(p.Accounts) == 0 || slices.ContainsFunc(p.Accounts, func(a string) bool { return !arn.IsAccount(a) }):
		return invalid("Value %s for parameter PrincipalId is invalid. Reason: Unable to verify.",
			fault.Clip(fmt.Sprint(p.Accounts), 200))
	}
	for _, action := range p.Actions {
		if action != "*" && !shared[action] {
			return invalid("Value SQS:%s for parameter ActionName is invalid. Reason: Only the queue owner is allowed "+
				"to invoke this action.", fault.Clip(action, 100))
		}
	}
	return nil
}

// statement returns the permission as AWS writes it into a policy: a list of one is that one.
func (p *Permission) statement(name Name) json.RawMessage {
	one := func(list []string) any {
		if len(list) == 1 {
			return list[0]
		}
		return list
	}
	var principals, actions []string
	for _, a := range p.Accounts {
		principals = append(principals, arn.ARN{
			Partition: arn.PartitionOf(name.Region), Service: "iam", Account: a, Resource: "root",
		}.String())
	}
	for _, a := range p.Actions {
		actions = append(actions, "SQS:"+a)
	}
	return encodeJSON(struct {
		Sid, Effect string
		Principal   map[string]any
		Action      any
		Resource    string
	}{p.Label, "Allow", map[string]any{"AWS": one(principals)}, one(actions), name.ARN()})
}

// permissions is a policy whose statements are added and removed; those that stay are not touched.
type permissions struct {
	Version   string `json:",omitempty"`
	ID        string `json:"Id,omitempty"`
	Statement []json.RawMessage
}

// readPermissions takes a policy apart, which has been checked; "" begins one.
func readPermissions(text string, name Name) *permissions {
	if text == "" {
		return &permissions{Version: "2012-10-17", ID: name.ARN() + "/SQSDefaultPolicy"}
	}
	var top struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	_ = json.Unmarshal([]byte(text), &top)
	d := &permissions{Version: top.Version, ID: top.ID}
	if json.Unmarshal(top.Statement, &d.Statement) != nil {
		d.Statement = []json.RawMessage{top.Statement}
	}
	return d
}

// find returns the index of the statement with a label, or -1.
func (d *permissions) find(label string) int {
	return slices.IndexFunc(d.Statement, func(raw json.RawMessage) bool {
		var s struct{ Sid *string }
		return json.Unmarshal(raw, &s) == nil && s.Sid != nil && *s.Sid == label
	})
}

func (d *permissions) text() string { return string(encodeJSON(d)) }

func encodeJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made of texts
	}
	return b
}
