package function_test

import (
	"slices"
	"testing"

	"github.com/shardmill/shardmill/function"
)

// People see a name, with the account and the region where these are not the usual ones; namesakes have an order.
func TestFunctionsAreNamedForPeople(t *testing.T) {
	t.Parallel()
	refs := []function.Ref{
		{Account: "111122223333", Region: "eu-west-1", Name: "f"},
		{Account: "000000000000", Region: "us-east-1", Name: "g"},
		{Account: "111122223333", Region: "us-east-1", Name: "f"},
		{Account: "000000000000", Region: "us-east-1", Name: "f"},
		{Account: "000000000000", Region: "eu-west-1", Name: "f"},
	}
	slices.SortFunc(refs, function.Ref.Compare)
	var titles []string
	for _, r := range refs {
		titles = append(titles, r.Title())
	}
	if want := []string{
		"f (eu-west-1)", "f", "f (111122223333, eu-west-1)", "f (111122223333)", "g",
	}; !slices.Equal(titles, want) {
		t.Errorf("got %q", titles)
	}
}

// A function's own group holds only its own lines; in a shared group, the name of a stream says whose it is.
func TestStreamsBelongToOneFunction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		group, stream string
		owners        []string
	}{
		{"/aws/lambda/f", "2026/01/02/[$LATEST]0123", []string{"f"}},
		{"/aws/lambda/f", "2026/01/02/g[$LATEST]0123", []string{"g"}},
		{"/aws/lambda/f", "2026/01/02/[12]0123", []string{"f"}},
		{"/aws/lambda/f", "2026/01/02/g[12]0123", []string{"g"}},
		{"/aws/lambda/f", "2026/01/02/g[x]0123", []string{"f"}},
		{"/aws/lambda/f", "by hand", []string{"f"}},
		{"/aws/lambda/f", "a/b/c/d/e", []string{"f"}},
		{"/aws/lambda/f", "shardmill/replay", []string{"f"}},
		{"/aws/lambda/f", "shardmill/replay/g", []string{"g"}},
		{"shared", "2026/01/02/f[$LATEST]0123", []string{"f"}},
		{"shared", "2026/01/02/g[$LATEST]0123", []string{"g"}},
		{"shared", "2026/01/02/f[7]0123", []string{"f"}},
		{"shared", "2026/01/02/[$LATEST]0123", nil},
		{"shared", "shardmill/replay/f", []string{"f"}},
		{"shared", "shardmill/replay", nil},
		{"shared", "by hand", nil},
	} {
		var owners []string
		for _, name := range []string{"f", "g"} {
			if function.LogsTo(c.group, c.stream, name) {
				owners = append(owners, name)
			}
		}
		if !slices.Equal(owners, c.owners) {
			t.Errorf("%s in %s belongs to %v, want %v", c.stream, c.group, owners, c.owners)
		}
	}
	if got := function.ReplayStream("/aws/lambda/f", "f"); got != "shardmill/replay" {
		t.Errorf("replays of f in its own group go to %s", got)
	}
	if got := function.ReplayStream("/aws/lambda/f", "g"); got != "shardmill/replay/g" {
		t.Errorf("replays of g in f's group go to %s", got)
	}
}
