package queue

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// What a policy opens is what can be shared, to whom it names: mending a policy stays the owner's, and nobody else is
// told which queues there are. The owner is told.
func TestAPolicyOpensNoMoreThanCanBeShared(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{Policy: `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}}`})
	for operation, open := range map[string]bool{
		"SendMessage": true, "PurgeQueue": true, "DeleteQueue": false, "TagQueue": false, "SetQueueAttributes": false,
		"AddPermission": false, "RemovePermission": false,
	} {
		if err := b.Authorize(t.Context(), friend, orders, operation); (err == nil) != open {
			t.Errorf("%s: %v", operation, err)
		}
	}
	gone := orders
	gone.Name = "gone"
	if err := b.Authorize(t.Context(), friend, gone, "SendMessage"); fault.CodeOf(err) != fault.CodeAccessDenied {
		t.Errorf("a friend and a queue that is not there: %v", err)
	}
	// which is not found then
	b.must(b.Authorize(t.Context(), policy.Caller{Account: orders.Account}, gone, "SendMessage"))
}

// A service sends for what the policy names as its source, and for nothing else.
func TestAServiceSendsForItsSource(t *testing.T) {
	t.Parallel()
	const source = "arn:aws:sns:eu-west-1:222222222222:t"
	b := setup(t, Given{Policy: `{"Statement":{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},` +
		`"Action":"sqs:SendMessage","Resource":"*","Condition":{"ArnEquals":{"aws:SourceArn":"` + source + `"}}}}`})
	b.must(b.AuthorizeService(t.Context(), "sns.amazonaws.com", source, orders))
	for service, from := range map[string]string{"sns.amazonaws.com": source + "2", "s3.amazonaws.com": source} {
		if b.AuthorizeService(t.Context(), service, from, orders) == nil {
			t.Errorf("%s sends for %s", service, from)
		}
	}
}

// Seven actions and a label of 80 bytes are a permission, one more is none. The principals are of the partition of the
// queue.
func TestPermissionsAtTheirBounds(t *testing.T) {
	t.Parallel()
	b := setup(t, Given{})
	add := func(label string, actions int) error {
		return b.AddPermission(t.Context(), orders, Permission{
			label, []string{friend.Account}, strings.Split("SendMessage"+strings.Repeat(",*", actions-1), ","),
		})
	}
	long := strings.Repeat("l", 80)
	b.must(add(long, 7))
	if err := add("more", 8); fault.CodeOf(err) != CodeOverLimit {
		t.Errorf("eight actions: %v", err)
	}
	if add(long+"l", 1) == nil {
		t.Error("a label of 81 bytes")
	}
	p := Permission{"a", []string{friend.Account}, []string{"SendMessage"}}
	name := orders
	name.Region = "cn-north-1"
	if text := string(p.statement(name)); !strings.Contains(text, `"AWS":"arn:aws-cn:iam::222222222222:root"`) {
		t.Errorf("in China: %s", text)
	}
}

// Where no room is left, no permission is added, and each can still be taken away.
func TestAFullStoreLetsAPermissionGo(t *testing.T) {
	t.Parallel()
	b := open(t, storagetest.NewCrashable(func() storage.Local {
		return memory.New(memory.Options{Limit: 1 << 20}).Local()
	}))
	b.must(b.Create(t.Context(), orders, Given{Policy: sharing}))
	var err error
	for n := byte(0); err == nil; n++ {
		err = b.local.Apply(t.Context(), storage.Sync, storage.LocalOp{
			Key: []byte{'x', n}, Value: make([]byte, 100_000), Refusable: true,
		})
	}
	p := Permission{"b", []string{friend.Account}, []string{"ReceiveMessage"}}
	if b.AddPermission(t.Context(), orders, p) == nil ||
		b.Authorize(t.Context(), friend, orders, "ReceiveMessage") == nil {
		t.Error("a permission was added to a full store")
	}
	b.must(b.RemovePermission(t.Context(), orders, "a"))
	if b.Authorize(t.Context(), friend, orders, "SendMessage") == nil {
		t.Error("a permission that was removed decides")
	}
}
