package mapping

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// manyTags returns n tags.
func manyTags(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprintf("k%d", i)] = "v"
	}
	return out
}

// S-23: when tags are given at Create, then ListTags shows them; tags that are there get new values, and absent ones
// may be removed.
func TestTagsAreAddedReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t, func(in *CreateInput) { in.Tags = map[string]string{"team": "a", "stage": "dev"} })
	check := func(what string, want map[string]string) {
		t.Helper()
		got, err := b.Tags(t.Context(), me, m.UUID)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", what, err, d)
		}
	}
	change := func(more map[string]string, gone ...string) {
		t.Helper()
		if err := b.ChangeTags(t.Context(), me, m.UUID, more, gone); err != nil {
			t.Fatal(err)
		}
	}

	check("at Create", map[string]string{"team": "a", "stage": "dev"})
	change(map[string]string{"team": "b", "cost": ""})
	check("added and replaced", map[string]string{"team": "b", "stage": "dev", "cost": ""})
	change(nil, "team", "absent")
	check("removed, with one that is not there", map[string]string{"stage": "dev", "cost": ""})
	change(nil, "stage", "cost")
	check("all removed", nil)

	if err := b.ChangeTags(t.Context(), me, m.UUID, manyTags(50), nil); err != nil {
		t.Error(err)
	}
	err := b.ChangeTags(t.Context(), me, m.UUID, map[string]string{"one more": ""}, nil)
	wantFault(t, err, parameter, "Number of tags exceeds resource tag limit.")
	check("as many as there may be", manyTags(50))
}

// Tags are no part of the configuration: they change in every state, and neither the state, the version that the engine
// waits for, nor LastModified changes with them.
func TestTagsLeaveTheStateAlone(t *testing.T) {
	t.Parallel()
	var steered *clock.Clock
	b := setup(t, func(o *Options) { o.AWSPace, steered = true, o.Clock })
	created := *b.create(t)
	steered.SetOffset(time.Hour) // LastModified stays

	err := b.ChangeTags(t.Context(), me, created.UUID, map[string]string{"k": "v"}, nil)

	want := created
	want.Tags = map[string]string{"k": "v"}
	if d := cmp.Diff(want, *b.get(t, created.UUID)); err != nil || d != "" {
		t.Error(err, d)
	}
	if err := b.Settled(t.Context(), created.UUID, created.Version, Enabled); err != nil {
		t.Fatal(err)
	}
	settled := b.get(t, created.UUID)
	if settled.State != Enabled || settled.Tags["k"] != "v" {
		t.Errorf("%s with %v, want Enabled with its tag", settled.State, settled.Tags)
	}
}

// V26: tag operations name the mapping that they do not find, by its ARN.
func TestTagsOfAnUnknownMapping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	const unknown = "00000000-0000-4000-8000-00000000dead"
	elsewhere := Caller{Account: me.Account, Region: "eu-west-1"}
	for name, c := range map[string]struct {
		caller Caller
		uuid   string
		region string
	}{
		"one that was never there": {me, unknown, me.Region}, "one of another region": {elsewhere, m.UUID, "eu-west-1"},
	} {
		want := "Event source mapping not found: arn:aws:lambda:" + c.region + ":000000000000:event-source-mapping:" +
			c.uuid

		_, listed := b.Tags(t.Context(), c.caller, c.uuid)
		changed := b.ChangeTags(t.Context(), c.caller, c.uuid, map[string]string{"k": "v"}, nil)

		t.Log(name)
		wantFault(t, listed, fault.CodeNotFound, want)
		wantFault(t, changed, fault.CodeNotFound, want)
	}
}

// A change of tags that an Update overtakes loses neither.
func TestTagsThatWereOvertakenKeepBothChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	b.coord.before = func() {
		if _, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{Knobs{BatchSize: new(int64(7))}}); err != nil {
			t.Error(err)
		}
	}

	err := b.ChangeTags(t.Context(), me, m.UUID, map[string]string{"k": "v"}, nil)

	if got := b.get(t, m.UUID); err != nil || got.BatchSize != 7 || got.Tags["k"] != "v" {
		t.Errorf("%v: BatchSize %d, tags %v", err, got.BatchSize, got.Tags)
	}
}

// Tags are stored with the mapping and outlive a restart.
func TestTagsAreStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t, func(in *CreateInput) { in.Tags = map[string]string{"k": "v"} })

	again := store{coord: storage.Sure(b.coord), cache: map[string]cached{}}
	got, _, err := again.get(t.Context(), m.UUID)

	if err != nil || got.Tags["k"] != "v" {
		t.Errorf("%v: tags %v", err, got.Tags)
	}
}
