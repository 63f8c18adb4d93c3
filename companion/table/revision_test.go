package table

import (
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
)

// A revision is never given twice, also in one millisecond; it is asked for before anything else is compared, and who
// takes the policy away gets the one that it had. Source: DynamoDB API Reference, PutResourcePolicy,
// DeleteResourcePolicy.
func TestRevisionsOfAPolicy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const one = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"dynamodb:Query","Resource":"` +
		`arn:aws:dynamodb:eu-west-1:111122223333:table/orders/index/*"}}`
	set := func(text, expected string) string {
		t.Helper()
		revision, err := b.SetPolicy(t.Context(), orders, text, expected)
		b.must(err)
		return revision
	}
	first := set(one, NoPolicy)
	if same := set(one, first); same != first {
		t.Errorf("the same has the revision %s after %s", same, first)
	}
	second := set(one+" ", first)
	for text, expected := range map[string]string{one: first, one + " ": NoPolicy, one + "  ": NoPolicy, "": first} {
		if _, err := b.SetPolicy(t.Context(), orders, text, expected); fault.CodeOf(err) != CodeNoPolicy {
			t.Errorf("%q at the revision %s: %v", text, expected, err)
		}
	}
	friend := policy.Caller{Account: "222222222222"}
	b.must(b.Authorize(t.Context(), friend, orders, "g", "Query"))
	if b.Authorize(t.Context(), friend, orders, "", "Query") == nil {
		t.Error("an index opens its table")
	}
	if gone := set("", second); gone != second || first == second {
		t.Errorf("revisions %s, %s, and %s is taken away", first, second, gone)
	}
	if _, err := b.SetPolicy(t.Context(), orders, one, second); fault.CodeOf(err) != CodeNoPolicy {
		t.Errorf("the revision of a policy that is gone: %v", err)
	}
	if third := set(one, ""); third == first || third == second {
		t.Errorf("the revision %s comes again", third)
	}
}
