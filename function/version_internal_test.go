package function

import (
	"archive/zip"
	"bytes"
	"context"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function/launcher"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// F-47: a weight of .5 over 1,000 invocations gives each version 400 to 600; a weight is the extra version's share.
func TestWeightsAreKept(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(47, 0))
	e := &entry{versions: map[string]version{}}
	for _, n := range []string{"1", "2"} {
		e.versions[n] = version{live: live{conf: &Configuration{Version: n}}}
	}
	for weight, most := range map[float64][2]int{.5: {400, 600}, .1: {60, 140}, 0: {0, 0}, 1: {1000, 1000}} {
		e.aliases = map[string]Alias{"live": {Name: "live", Version: "1", Weights: map[string]float64{"2": weight}}}
		got := map[string]int{}
		for range 1000 {
			v, ok := e.resolve("live", rng.Float64())
			if !ok {
				t.Fatal("it is not there")
			}
			got[v.conf.Version]++
		}
		if got["2"] < most[0] || got["2"] > most[1] || got["1"]+got["2"] != 1000 {
			t.Errorf("with a weight of %v: %v", weight, got)
		}
	}
	if v, _ := e.resolve("live", 1); v.conf.Version != "1" {
		t.Error("what an alias stands for is not its main version")
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	t.Parallel()
	order := []string{"", Latest, "1", "2", "9", "10", "11", "100"}
	for i, a := range order {
		for j, b := range order {
			if got := CompareVersions(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%q and %q compare as %d", a, b, got)
			}
		}
	}
}

// §2.6: publishing with code and configuration unchanged is no new version, and with any member of them changed it is:
// all but those that say where the function is, how it stands and what belongs to no version.
func TestEveryMemberOfTheConfigurationMakesAnotherVersion(t *testing.T) {
	t.Parallel()
	none := map[string]bool{
		"Ref": true, "Version": true, "CodeBytes": true, "LastModified": true, "RevisionID": true, "Generation": true,
		"Created": true, "Reserved": true, "State": true, "StateReason": true, "StateCode": true, "UpdateStatus": true,
		"UpdateReason": true, "UpdateCode": true, "RuntimeDigest": true, "Tags": true, "Hint": true, "Owner": true,
	}
	plain := fingerprint(&Configuration{})
	for _, member := range reflect.VisibleFields(reflect.TypeFor[Configuration]()) {
		c := &Configuration{}
		v := reflect.ValueOf(c).Elem().FieldByIndex(member.Index)
		switch v.Interface().(type) {
		case string:
			v.SetString("x")
		case int, int64, time.Duration:
			v.SetInt(1)
		case uint64:
			v.SetUint(1)
		case map[string]string:
			v.Set(reflect.ValueOf(map[string]string{"k": "v"}))
		case *int:
			v.Set(reflect.ValueOf(new(int)))
		case time.Time:
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
		case Ref:
			v.Set(reflect.ValueOf(Ref{Name: "x"}))
		default:
			t.Fatalf("%s has a type that this test does not know", member.Name)
		}

		if got := fingerprint(c) != plain; got == none[member.Name] {
			t.Errorf("another %s makes another version: %t", member.Name, got)
		}
	}
}

// What readers hold of a function does not change under them.
func TestVersionsThatReadersHoldStay(t *testing.T) {
	t.Parallel()
	e := &entry{versions: map[string]version{"1": {print: "old"}}}
	held := *e

	e.set(version{live: live{conf: &Configuration{Version: "1"}}, print: "new"})
	e.set(version{live: live{conf: &Configuration{Version: "2"}}})

	if len(held.versions) != 1 || held.versions["1"].print != "old" {
		t.Errorf("a reader sees %v", held.versions)
	}
	if len(e.versions) != 2 || e.versions["1"].print != "new" {
		t.Errorf("there are %v", e.versions)
	}
}

// A function that is made again under the name of one that was deleted in its transition is Pending for its own time:
// the end of the other's transition, which comes late, is none of its own.
func TestTransitionOfADeletedFunctionEndsNoOther(t *testing.T) {
	t.Parallel()
	f := startInside(t, Options{})
	conf := &Configuration{Ref: Ref{"000000000000", "us-east-1", "f"}, Version: Latest, State: Pending}
	deleted := live{conf: conf.clone(), settled: make(chan struct{})}
	again := live{conf: conf, settled: make(chan struct{})}
	f.publish(conf.Ref, &entry{live: again, versions: map[string]version{"1": {live: again}}})

	for _, number := range []string{Latest, "1"} {
		deleted.conf.Version = number
		f.conclude(t.Context(), deleted, launcher.Plan{}, nil)
	}

	select {
	case <-again.settled:
		t.Error("its transition has ended")
	default:
	}
	if e := f.entry(conf.Ref); e.conf != conf || e.versions["1"].conf != conf {
		t.Errorf("it is %s, and its version %s", e.conf.State, e.versions["1"].conf.State)
	}
}

// Whoever waits for the end of a transition is let go when what is in it is deleted: the function, or a version alone.
func TestDeletionEndsWaitingForTransitions(t *testing.T) {
	t.Parallel()
	f := startInside(t, Options{Transition: time.Hour})
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	_, _ = z.Create("bootstrap")
	_ = z.Close()
	in := CreateInput{
		Name: "f", Caller: Caller{"000000000000", "us-east-1"}, Role: "arn:aws:iam::000000000000:role/r",
		Runtime: "provided.al2023", Handler: "bootstrap", Zip: zipped.Bytes(), Publish: true,
	}
	if _, err := f.Create(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	ref := Ref{"000000000000", "us-east-1", "f"}
	e := f.entry(ref)
	ended := func(l live) bool {
		select {
		case <-l.settled:
			return true
		default:
			return false
		}
	}

	if err := f.DeleteVersion(t.Context(), ref, "1"); err != nil {
		t.Fatal(err)
	}
	if !ended(e.versions["1"].live) || ended(e.live) {
		t.Errorf("after the version: it has ended %t, $LATEST %t", ended(e.versions["1"].live), ended(e.live))
	}
	if err := f.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if !ended(e.live) {
		t.Error("the deleted function is still waited for")
	}
}

// A version that is published from a function that cannot run cannot run either: it says why, and nothing is started.
func TestVersionOfAFailedFunctionIsFailed(t *testing.T) {
	t.Parallel()
	f := startInside(t, Options{})
	ref := Ref{"000000000000", "us-east-1", "f"}
	failed := &Configuration{
		Ref: ref, Version: Latest, State: Failed, StateReason: "no interpreter", StateCode: "InvalidRuntime",
	}
	e := &entry{
		live:     live{conf: failed, revision: storage.Absent, settled: make(chan struct{})},
		versions: map[string]version{},
	}
	close(e.settled)
	f.publish(ref, e)

	if _, err := f.Publish(t.Context(), PublishInput{Ref: ref}); err != nil {
		t.Fatal(err)
	}

	res := f.Invoke(t.Context(), Invocation{Ref: ref, Qualifier: "1"})
	if res.Class != ConfigError || res.Reason != "InvalidRuntime" || res.Detail != "no interpreter" {
		t.Errorf("got %+v", res)
	}
}

func startInside(t *testing.T, o Options) *Functions {
	t.Helper()
	o.Store, o.Dir = memory.New(memory.Options{}), t.TempDir()
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Stop(context.Background()) })
	return f
}

// §2.7: what an update of an alias does not name stays, its weights too; an empty map removes them.
func TestUpdatesOfAnAliasKeepWhatTheyDoNotName(t *testing.T) {
	t.Parallel()
	a := Alias{Name: "live", Version: "1", Weights: map[string]float64{"2": .25}}

	(&AliasInput{Description: new("x")}).apply(&a)
	if a.Version != "1" || a.Description != "x" || a.Weights["2"] != .25 {
		t.Errorf("after another description: %+v", a)
	}
	(&AliasInput{Weights: map[string]float64{}}).apply(&a)
	if a.Version != "1" || a.Description != "x" || a.Weights != nil {
		t.Errorf("without weights: %+v", a)
	}
}
