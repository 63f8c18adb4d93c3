package topic

import (
	"slices"
	"testing"

	"github.com/shardmill/shardmill/internal/policy"
)

// A policy opens six actions of a topic to another account, and none that is the owner's alone; a refusal names the
// action with the prefix that SNS gives it. (SNS Developer Guide, "Amazon SNS API permissions")
func TestATopicsPolicyOpensWhatCanBeOpened(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, other := t.Context(), policy.Caller{Account: "444455556666"}
	refused(t, "no policy", b.Authorize(ctx, other, orders, "Publish"), CodeAuthorization, "perform: SNS:Publish on")
	b.must(b.SetAttribute(ctx, orders, "Policy", `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"SNS:*","Resource":"`+orders.ARN()+`"}]}`))
	opened := []string{
		"DeleteTopic", "GetTopicAttributes", "ListSubscriptionsByTopic", "Publish", "SetTopicAttributes", "Subscribe",
	}
	for _, action := range append(
		[]string{"AddPermission", "RemovePermission", "CreateTopic", "TagResource", "Unsubscribe"}, opened...,
	) {
		err := b.Authorize(ctx, other, orders, action)
		if !slices.Contains(opened, action) {
			refused(t, action, err, CodeAuthorization, "perform: SNS:"+action+" on")
		} else if err != nil {
			t.Errorf("%s: %v", action, err)
		}
		if err := b.Authorize(ctx, policy.Caller{Account: orders.Account}, orders, action); err != nil {
			t.Errorf("%s by the owner: %v", action, err)
		}
		third := b.Authorize(ctx, policy.Caller{Account: "777788889999"}, orders, action)
		refused(t, action+" by a third", third, CodeAuthorization, action)
	}
}
