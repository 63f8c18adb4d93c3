package function_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/storage/memory"
)

// F-22: each tag call changes RevisionId. It changes nothing else, wakes nobody who waits for another configuration,
// and is kept.
func TestEachChangeOfTagsIsARevision(t *testing.T) {
	t.Parallel()
	store, dir := memory.New(memory.Options{}), t.TempDir()
	same := func(o *function.Options) { o.Store, o.Dir = store, dir }
	b := start(t, same)
	b.provided("f", "echo", func(in *function.CreateInput) { in.Tags = map[string]string{"team": "a"} })
	before, _ := b.Lookup(ref("f"))
	changed := b.Changed(ref("f"))
	revisions := map[string]bool{before.RevisionID: true}
	for _, c := range []struct {
		more map[string]string
		gone []string
		want map[string]string
	}{
		{map[string]string{"team": "b", "cost": "7"}, nil, map[string]string{"team": "b", "cost": "7"}},
		{map[string]string{"team": "b"}, nil, map[string]string{"team": "b", "cost": "7"}},
		{nil, []string{"cost", "absent"}, map[string]string{"team": "b"}},
	} {
		if err := b.ChangeTags(t.Context(), ref("f"), c.more, c.gone); err != nil {
			t.Fatal(err)
		}

		now, _ := b.Lookup(ref("f"))
		if !maps.Equal(now.Tags, c.want) || revisions[now.RevisionID] {
			t.Errorf("tags %v at revision %s, want %v at a new one", now.Tags, now.RevisionID, c.want)
		}
		if now.Generation != before.Generation || !now.LastModified.Equal(before.LastModified) {
			t.Error("a change of tags counts as one of the configuration")
		}
		revisions[now.RevisionID] = true
	}
	select {
	case <-changed:
		t.Error("a change of tags woke those that wait for another configuration")
	default:
	}
	if !maps.Equal(before.Tags, map[string]string{"team": "a"}) {
		t.Error("a snapshot that was handed out has changed")
	}
	if again, _ := start(t, same).Lookup(ref("f")); !maps.Equal(again.Tags, map[string]string{"team": "b"}) {
		t.Errorf("after a restart: %v", again.Tags)
	}
}

// A function that is tagged while it is created becomes Active all the same, with its tags.
func TestTagsDoNotDisturbATransition(t *testing.T) {
	t.Parallel()
	for range 20 {
		b := start(t)
		in := function.CreateInput{
			Name: "f", Caller: function.Caller{Account: testAccount, Region: testRegion}, Role: testRole,
			Runtime: "provided.al2023", Handler: "bootstrap", Zip: zipOf(file{"bootstrap", "#!/bin/sh\n", 0o755}),
		}
		if _, err := b.Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}

		if err := b.ChangeTags(t.Context(), ref("f"), map[string]string{"k": "v"}, nil); err != nil {
			t.Fatal(err)
		}

		if got := b.settled("f"); got.State != function.Active || got.Tags["k"] != "v" {
			t.Fatalf("%s with tags %v", got.State, got.Tags)
		}
	}
}

// F-22: more than 50 tags are refused, at creation and later; an unknown function is not found.
func TestTagsThatAreRefused(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "echo")
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprintf("k%d", i)] = ""
	}

	for what, err := range map[string]error{
		"51 tags": b.ChangeTags(t.Context(), ref("f"), many, nil),
		"at first": second(b.Create(t.Context(), function.CreateInput{
			Name: "g", Caller: function.Caller{Account: testAccount, Region: testRegion}, Role: testRole,
			Runtime: "provided.al2023", Handler: "bootstrap", Zip: zipOf(file{"bootstrap", "#!/bin/sh\n", 0o755}),
			Tags: many,
		})),
	} {
		if fault.CodeOf(err) != fault.CodeInvalidParameter {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := b.ChangeTags(t.Context(), ref("g"), nil, []string{"k"}); fault.CodeOf(err) != fault.CodeNotFound {
		t.Errorf("an unknown function: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
