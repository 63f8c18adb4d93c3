package bucket

import (
	"strings"
	"testing"

	"github.com/shardmill/shardmill/internal/policy"
	"github.com/shardmill/shardmill/storage/memory"
)

// A policy is in effect and stored when the call returns, outlives a change of tags, and ends with its bucket. Its
// bucket is stored in a version that a program without policies refuses.
func TestAPolicyIsStoredWithItsBucket(t *testing.T) {
	t.Parallel()
	local := memory.New(memory.Options{}).Local()
	bs, err := New(Options{Local: local})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	must(bs.Start(t.Context()))
	may := func() bool {
		i, err := bs.Look(t.Context(), "shared")
		return err == nil && i.Authorize(policy.Caller{Account: "222222222222"}, "s3:GetObject", "k") == nil
	}
	version := func() byte {
		value, _, err := local.Get(bucketKey("shared"))
		must(err)
		return value[0]
	}
	create := func() { must(bs.Create(t.Context(), "111111111111", "eu-west-1", "shared", nil)) }
	create()
	must(bs.SetPolicy(t.Context(), "shared", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",`+
		`"Resource":"arn:aws:s3:::shared/*"}}`))
	if !may() || version() != 2 {
		t.Errorf("shared: %t, version %d", may(), version())
	}
	must(bs.TagBucket(t.Context(), "shared", []Tag{{"a", "b"}}))
	bs.Stop()
	must(bs.Start(t.Context()))
	if !may() || version() != 2 {
		t.Errorf("after a change of tags and a start: %t, version %d", may(), version())
	}
	must(bs.SetPolicy(t.Context(), "shared", ""))
	if may() || version() != 1 {
		t.Errorf("without its policy: %t, version %d", may(), version())
	}
	must(bs.SetPolicy(t.Context(), "shared", strings.Replace(`{"Statement":{"Effect":"Allow","Principal":"*",`+
		`"Action":"s3:*","Resource":"arn:aws:s3:::X/*"}}`, "X", "shared", 1)))
	must(bs.Delete(t.Context(), "shared"))
	create()
	if may() {
		t.Error("the next bucket of that name is shared")
	}
	if _, err := decodeMeta([]byte("\x02" + `{"Policy":"{}"}`)); err == nil {
		t.Errorf("a policy that is none: %v", err)
	}
}
