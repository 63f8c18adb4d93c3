package function_test

import (
	"testing"

	"github.com/shardmill/shardmill/function"
)

// An account is told what it has in one region, and nothing of another; versions count with their packages.
func TestAccountsAreToldTheirOwn(t *testing.T) {
	t.Parallel()
	b := start(t)
	size := b.provided("f", "echo").CodeBytes
	b.publish("f")
	in := function.CreateInput{
		Name: "f", Runtime: "provided.al2023", Handler: "h", Role: testRole,
		Zip: zipOf(file{"bootstrap", bootstrapScript(t, "echo"), 0o755}),
	}
	for _, c := range []function.Caller{
		{Account: "222222222222", Region: testRegion}, {Account: testAccount, Region: "eu-west-1"},
	} {
		in.Caller = c
		if _, err := b.Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.PutConcurrency(t.Context(), ref("f"), 7); err != nil {
		t.Fatal(err)
	}

	got := b.Account(testAccount, testRegion)

	if want := (function.Account{Concurrency: 1000, Unreserved: 993, Functions: 1, CodeBytes: 2 * size}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if all, more := b.ListAll(testAccount, testRegion, "", "", 10); len(all) != 2 || more {
		t.Errorf("%d versions are listed, more %t", len(all), more)
	}
}
