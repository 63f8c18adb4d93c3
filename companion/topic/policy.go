package topic

import (
	"context"

	"github.com/shardmill/shardmill/internal/policy"
)

// shared are the actions that a topic's policy can open to other accounts. Source: SNS Developer Guide, "Amazon SNS API
// permissions".
var shared = map[string]bool{
	"DeleteTopic": true, "GetTopicAttributes": true, "ListSubscriptionsByTopic": true, "Publish": true,
	"SetTopicAttributes": true, "Subscribe": true,
}

// Authorize returns why a caller may not carry out an action, such as Publish, on a topic; nil if it may. The owner may
// do everything: what a topic's policy says is kept for its account and not carried out there. Another account may do
// what the policy allows. A topic that is not there is not told apart from one that is not shared. Fault:
// AuthorizationError.
func (ts *Topics) Authorize(_ context.Context, who policy.Caller, name Name, action string) error {
	if name.Account == who.Account {
		return nil
	}
	leave, err := ts.enter()
	if err != nil {
		return err
	}
	defer leave()
	m, _, err := ts.find(name)
	if err != nil {
		return err
	}
	var document *policy.Document
	if m.Policy != "" {
		document, _ = policy.Parse(m.Policy) // one that cannot be read opens nothing
	}
	refusal := document.Judge(
		policy.Request{Caller: who, Action: "SNS:" + action, Resource: name.ARN()}, name.Account, !shared[action],
	)
	if refusal == nil {
		return nil
	}
	return refusal.Fault(CodeAuthorization)
}
