package queue

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
)

const sharing = `{"Statement":{"Sid":"a","Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sqs:SendMessage",` +
	`"Resource":"*"}}`

var friend = policy.Caller{Account: "222222222222"}

// A policy is in effect and on disk when the call returns, and ends with its queue.
func TestAPolicySurvivesACrashAndEndsWithItsQueue(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{Policy: sharing})
	may := func(operation string) bool { return b.Authorize(t.Context(), friend, orders, operation) == nil }
	b = open(t, b.local.Kill())
	if !may("SendMessage") || may("ReceiveMessage") {
		t.Error("the policy with which the queue was made does not decide")
	}
	b.must(b.AddPermission(t.Context(), orders, Permission{"b", []string{friend.Account}, []string{"ReceiveMessage"}}))
	b = open(t, b.local.Kill())
	if !may("SendMessage") || !may("ReceiveMessage") {
		t.Error("a permission that was added does not decide")
	}
	b.must(b.RemovePermission(t.Context(), orders, "a"))
	b = open(t, b.local.Kill())
	if may("SendMessage") || !may("ReceiveMessage") {
		t.Error("a permission that was removed decides")
	}
	b.must(b.DeleteQueue(t.Context(), orders))
	if may("ReceiveMessage") {
		t.Error("a queue that is gone is shared")
	}
	b.must(b.Create(t.Context(), orders, Given{}))
	if may("ReceiveMessage") {
		t.Error("the next queue of that name is shared")
	}
}

// The owner may do what is not denied, and can always mend a policy that denies too much.
func TestTheOwnerOfAQueueIsHeldToDenials(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{Policy: `{"Statement":{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"*"}}`})
	owner := policy.Caller{Account: orders.Account}
	err := b.Authorize(t.Context(), owner, orders, "SendMessage")
	if fault.CodeOf(err) != fault.CodeAccessDenied || !strings.HasSuffix(err.Error(), "is not authorized to perform: "+
		"sqs:SendMessage on resource: "+orders.ARN()+" with an explicit deny in a resource-based policy") {
		t.Errorf("a denial: %v", err)
	}
	for _, operation := range []string{"SetQueueAttributes", "AddPermission", "RemovePermission"} {
		b.must(b.Authorize(t.Context(), owner, orders, operation))
	}
	b.must(b.SetPolicy(t.Context(), orders, ""))
	b.must(b.Authorize(t.Context(), owner, orders, "SendMessage"))
}
