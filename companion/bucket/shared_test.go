package bucket

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// The owner is held to what the policy of its bucket denies, but for the policy itself, which nobody else gets. A
// policy is about its bucket; one that is refused leaves the one before in effect.
func TestAPolicyIsAboutItsBucketAndMendedByItsOwner(t *testing.T) {
	t.Parallel()
	b := begin(t, t.TempDir())
	set := func(effect, action, resource string) error {
		return b.SetPolicy(t.Context(), "bbb", `{"Statement":{"Effect":"`+effect+`","Principal":"*","Action":"`+action+
			`","Resource":"`+resource+`"}}`)
	}
	may := func(account, action string) bool {
		t.Helper()
		i, err := b.Look(t.Context(), "bbb")
		if err != nil {
			t.Fatal(err)
		}
		return i.Authorize(policy.Caller{Account: account}, action, "") == nil
	}
	const owner, friend = "000000000000", "222222222222"
	if err := set("Deny", "s3:*", "arn:aws:s3:::bbb*"); err != nil {
		t.Fatal(err)
	}
	if may(owner, "s3:ListBucket") || !may(owner, "s3:PutBucketPolicy") || !may(owner, "s3:DeleteBucketPolicy") {
		t.Error("a denial does not hold for the owner, or for what mends it")
	}
	if err := set("Allow", "s3:*", "arn:aws:s3:::bbb"); err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"arn:aws:s3:::bbbb", "arn:aws:s3:::bb", "arn:aws:s3:::bbb-2/*", "arn:aws:s3:::*"} {
		if err := set("Deny", "s3:*", resource); fault.CodeOf(err) != CodeMalformedPolicy {
			t.Errorf("a policy about %s: %v", resource, err)
		}
	}
	if !may(friend, "s3:ListBucket") || may(friend, "s3:GetBucketPolicy") || may(friend, "s3:PutBucketPolicy") {
		t.Error("a policy that allows all does not open the bucket, or opens itself")
	}
}

// Where no room is left, no policy is added and the one before stays in effect; it can still be taken away.
func TestAFullStoreLetsAPolicyGo(t *testing.T) {
	t.Parallel()
	local := memory.New(memory.Options{Limit: 1 << 20}).Local()
	bs, err := New(Options{Local: local})
	if err == nil {
		err = bs.Start(t.Context())
	}
	if err == nil {
		err = bs.Create(t.Context(), "000000000000", "us-east-1", "bbb", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	set := func(text string) error { return bs.SetPolicy(t.Context(), "bbb", text) }
	open := func() bool {
		i, err := bs.Look(t.Context(), "bbb")
		return err == nil && i.Authorize(policy.Caller{Account: "222222222222"}, "s3:ListBucket", "") == nil
	}
	const allow = `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::bbb"}}`
	if err := set(strings.Replace(allow, "Allow", "Deny", 1)); err != nil {
		t.Fatal(err)
	}
	for n := byte(0); err == nil; n++ {
		err = local.Apply(t.Context(), storage.Sync, storage.LocalOp{
			Key: []byte{'x', n}, Value: make([]byte, 100_000), Refusable: true,
		})
	}
	if set(allow) == nil || open() {
		t.Errorf("a longer policy in a full store: open %t", open())
	}
	if err := set(""); err != nil || open() {
		t.Errorf("the policy cannot be taken away: %v, open %t", err, open())
	}
}
