package table

import (
	"testing"

	"github.com/shardmill/shardmill/internal/policy"
)

// A policy is in effect and on disk when the call returns, outlives other changes, and ends with its table. Its table
// is stored in a version that a program without policies refuses. The owner is held to denials, but can mend the
// policy.
func TestAPolicyIsStoredWithItsTable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := Name{Account: "111122223333", Region: "eu-west-1", Table: "shared"}
	friend, owner := policy.Caller{Account: "222222222222"}, policy.Caller{Account: name.Account}
	may := func(who policy.Caller, operation string) bool {
		return b.Authorize(t.Context(), who, name, "", operation) == nil
	}
	version := func() byte {
		value, _, err := b.local.Get(metaKey(name))
		b.must(err)
		return value[0]
	}
	create := func() {
		_, err := b.Create(t.Context(), name, Definition{
			Billing: OnDemand, Attributes: []Attribute{{"k", "S"}}, Key: []KeyElement{{"k", "HASH"}},
		})
		b.must(err)
	}
	set := func(text string) {
		_, err := b.SetPolicy(t.Context(), name, text, "")
		b.must(err)
	}
	create()
	set(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"dynamodb:Get*","Resource":"*"},` +
		`{"Effect":"Deny","Principal":"*","Action":["dynamodb:PutItem","dynamodb:*Policy"],"Resource":"*"}]}`)
	b.must(b.Tag(t.Context(), name, map[string]string{"a": "b"}))
	b = open(t, b.local.Kill())
	for operation, want := range map[string][2]bool{ // of the friend, of the owner
		"GetItem": {true, true}, "PutItem": {false, false}, "Scan": {false, true},
		"DeleteResourcePolicy": {false, true},
	} {
		if got := [2]bool{may(friend, operation), may(owner, operation)}; got != want {
			t.Errorf("%s: friend and owner %v, want %v", operation, got, want)
		}
	}
	if got := version(); got != 2 {
		t.Errorf("stored in version %d", got)
	}
	set("")
	if may(friend, "GetItem") || !may(owner, "PutItem") || version() != 1 {
		t.Errorf("without its policy, in version %d", version())
	}
	set(`{"Statement":{"Effect":"Allow","Principal":"*","Action":"dynamodb:*","Resource":"*"}}`)
	_, err := b.Delete(t.Context(), name)
	b.must(err)
	create()
	if may(friend, "GetItem") {
		t.Error("the next table of that name is shared")
	}
}
