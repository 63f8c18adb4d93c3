package function_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// publish publishes f.
func (b *bench) publish(name string) *function.Configuration {
	b.t.Helper()
	c, err := b.Publish(b.t.Context(), function.PublishInput{Ref: ref(name)})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// recode gives a function the code of another role of this test binary.
func (b *bench) recode(name, role string) {
	b.t.Helper()
	_, err := b.UpdateCode(b.t.Context(), function.UpdateCodeInput{
		Ref: ref(name), Zip: zipOf(file{"bootstrap", bootstrapScript(b.t, role), 0o755}),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.settled(name)
}

func (b *bench) alias(name, alias, version string, weights map[string]float64) {
	b.t.Helper()
	in := function.AliasInput{Ref: ref(name), Name: alias, Version: &version, Weights: weights}
	if _, err := b.CreateAlias(b.t.Context(), in); err != nil {
		b.t.Fatal(err)
	}
}

// by invokes through a qualifier.
func by(qualifier string) func(*function.Invocation) {
	return func(i *function.Invocation) { i.Qualifier = qualifier }
}

// Versions, aliases and policies are kept over a restart, and versions run: also the code of one whose package $LATEST
// has left, which the start does not sweep away.
func TestRestartKeepsVersionsAliasesAndPolicies(t *testing.T) {
	t.Parallel()
	store, dir := memory.New(memory.Options{}), t.TempDir()
	same := func(o *function.Options) { o.Store, o.Dir = store, dir }
	b := start(t, same)
	b.provided("f", "echo", func(in *function.CreateInput) { in.Tags = map[string]string{"a": "b"} })
	if err := b.PutConcurrency(t.Context(), ref("f"), 9); err != nil {
		t.Fatal(err)
	}
	one := b.publish("f")
	if one.Tags != nil || one.Reserved != nil {
		t.Errorf("a version has what is the function's: %v, %v", one.Tags, one.Reserved)
	}
	b.recode("f", "obey")
	two := b.publish("f")
	b.alias("f", "live", "1", map[string]float64{"2": .25})
	statement, err := b.AddPermission(t.Context(), function.PermissionInput{
		Ref: ref("f"), Qualifier: "live", Sid: "s", Action: "*", Principal: "*",
	})
	if err != nil {
		t.Fatal(err)
	}
	policy, _ := b.Policy(ref("f"), "live")
	alias, _ := b.Alias(ref("f"), "live")
	if err := b.DeleteVersion(t.Context(), ref("f"), "3"); err != nil { // there is none
		t.Fatal(err)
	}
	b.Stop(t.Context())

	b = start(t, same)

	for _, v := range []*function.Configuration{one, two} {
		if c, ok := b.Find(ref("f"), v.Version); !ok || c.RevisionID != v.RevisionID || c.CodeSHA256 != v.CodeSHA256 ||
			c.State != function.Active {
			t.Errorf("version %s is %+v, %t", v.Version, c, ok)
		}
	}
	want(t, b.invoke("f", `"v"`, by("1")), function.Success, `"v"`)
	if a, err := b.Alias(ref("f"), "live"); err != nil || a.RevisionID != alias.RevisionID || a.Weights["2"] != .25 {
		t.Errorf("the alias is %+v, %v", a, err)
	}
	if p, err := b.Policy(ref("f"), "live"); err != nil || p.RevisionID != policy.RevisionID ||
		p.Statements[0].Document() != statement.Document() {
		t.Errorf("the policy is %+v, %v", p, err)
	}
	b.recode("f", "echo")
	if c := b.publish("f"); c.Version != "3" {
		t.Errorf("published as %s", c.Version)
	}
	b.Stop(t.Context())

	b = start(t, same) // version 2 alone holds its code

	want(t, b.invoke("f", `{"do":"echo"}`, by("2")), function.Success, `{"do":"echo"}`)
}

// A policy that was handed out stays as it was when a permission is removed or added: an answer may still be written
// from it.
func TestPoliciesThatReadersHoldStay(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "echo", func(*function.CreateInput) {})
	add := func(sid string) {
		t.Helper()
		_, err := b.AddPermission(t.Context(), function.PermissionInput{
			Ref: ref("f"), Sid: sid, Action: "*", Principal: "*",
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, sid := range []string{"a", "b", "c"} {
		add(sid)
	}
	held, err := b.Policy(ref("f"), "")
	if err != nil {
		t.Fatal(err)
	}
	before := held.Document()

	if err := b.RemovePermission(t.Context(), ref("f"), "", "a", ""); err != nil {
		t.Fatal(err)
	}
	add("d")

	if now := held.Document(); now != before {
		t.Errorf("the policy was %s\nand is %s", before, now)
	}
}

// A function that a program before versions has stored, in format 1, is read, runs, and can be published.
func TestFunctionsOfFormat1AreRead(t *testing.T) {
	t.Parallel()
	store, dir := memory.New(memory.Options{}), t.TempDir()
	same := func(o *function.Options) { o.Store, o.Dir = store, dir }
	b := start(t, same)
	b.provided("f", "echo")
	b.Stop(t.Context())
	all, err := store.Coord().List(t.Context(), "function/", "", 0)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	var row map[string]any
	if err := json.Unmarshal(all[0].Value, &row); err != nil {
		t.Fatal(err)
	}
	row["Format"] = 1
	delete(row, "Version")
	old, _ := json.Marshal(row)
	commit := func(value []byte) {
		t.Helper()
		op := storage.Op{Key: all[0].Key, Value: value, Expect: storage.Any}
		if _, err := store.Coord().Commit(t.Context(), "function/", op); err != nil {
			t.Fatal(err)
		}
	}
	commit(old)

	b = start(t, same)

	res := b.invoke("f", `1`)
	want(t, res, function.Success, `1`)
	if res.ExecutedVersion != function.Latest || b.publish("f").Version != "1" {
		t.Errorf("%q ran", res.ExecutedVersion)
	}
	b.Stop(t.Context())
	row["Format"] = 3
	newer, _ := json.Marshal(row)
	commit(newer)
	f, err := function.New(function.Options{Store: store, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err == nil {
		t.Error("a newer format is read")
	}
	f.Stop(t.Context())
}

// With the version that holds it last, a package goes: after the environments on it have ended. A package that another
// version uses stays.
func TestDeletingAVersionEndsItsEnvironmentsAndFreesItsCode(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.provided("f", "echo")
	one := b.publish("f")
	if _, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
		Ref: ref("f"), Description: new("other"),
	}); err != nil {
		t.Fatal(err)
	}
	b.settled("f")
	b.publish("f")
	b.recode("f", "obey")
	want(t, b.invoke("f", `2`, by("2")), function.Success, `2`) // version 1 has no environment, and ends at once

	for _, version := range []string{"1", "2"} {
		if _, err := b.Package(one.CodeSHA256); err != nil {
			t.Fatalf("before version %s is deleted: %v", version, err)
		}
		if err := b.DeleteVersion(t.Context(), ref("f"), version); err != nil {
			t.Fatal(err)
		}
	}

	eventually.Holds(t, "the package of both versions is gone", func() bool {
		_, err := b.Package(one.CodeSHA256)
		return err != nil
	})
	want(t, b.invoke("f", `{"do":"echo"}`), function.Success, `{"do":"echo"}`)
}

// Versions have environments of their own, which an update of $LATEST does not end.
func TestAVersionKeepsItsEnvironmentsOverAnUpdate(t *testing.T) {
	t.Parallel()
	b := start(t)
	count := `
		n = 0
		def handler(event, context):
		    global n
		    n += 1
		    return n
	`
	b.python("f", count)
	b.publish("f")
	want(t, b.invoke("f", `1`, by("1")), function.Success, `1`)
	want(t, b.invoke("f", `1`), function.Success, `1`) // not the one of version 1

	if _, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
		Ref: ref("f"), Timeout: number(9),
	}); err != nil {
		t.Fatal(err)
	}
	b.settled("f")

	want(t, b.invoke("f", `1`, by("1")), function.Success, `2`)
	want(t, b.invoke("f", `1`), function.Success, `1`)
}

// §11: with a qualifier values are also counted for {FunctionName, Resource}, and behind an alias for {FunctionName,
// Resource, ExecutedVersion}; iterator age, too.
func TestQualifiedInvocationsAreMeasured(t *testing.T) {
	t.Parallel()
	m := startMeasured(t)
	m.provided("f", "obey")
	m.publish("f")
	m.alias("f", "live", "1", nil)
	old := func(i *function.Invocation) { i.LastArrival = m.clock.Now().Add(-time.Second) }
	m.invoke("f", `{"do":"echo"}`, old)
	m.invoke("f", `{"do":"echo"}`, by("1"), old)
	m.invoke("f", `{"do":"fail"}`, by("live"), old)
	m.invoke("f", `{"do":"echo"}`, by("live"), old)
	m.invoke("f", `{"do":"echo"}`, by(function.Latest), old)
	if err := m.PutConcurrency(t.Context(), ref("f"), 0); err != nil {
		t.Fatal(err)
	}
	m.invoke("f", `1`, by("live"))

	for _, c := range []struct {
		of                             []string
		invocations, errors, throttles float64
	}{
		{nil, 5, 1, 1},
		{[]string{"FunctionName", "f"}, 5, 1, 1},
		{[]string{"FunctionName", "f", "Resource", "f:1"}, 1, 0, 0},
		{[]string{"FunctionName", "f", "Resource", "f:$LATEST"}, 1, 0, 0},
		{[]string{"FunctionName", "f", "Resource", "f:live"}, 2, 1, 1},
		{[]string{"ExecutedVersion", "1", "FunctionName", "f", "Resource", "f:live"}, 2, 1, 1},
		{[]string{"ExecutedVersion", "1", "FunctionName", "f", "Resource", "f:1"}, 0, 0, 0},
	} {
		got := m.sums(c.of, metric.Invocations, metric.Errors, metric.Throttles, metric.Duration, metric.IteratorAge)
		ages := c.invocations
		if c.of == nil {
			ages = 0
		}
		if got[0].Sum != c.invocations || got[1].Sum != c.errors || got[2].Sum != c.throttles ||
			got[3].Count != c.invocations || got[4].Count != ages {
			t.Errorf("%v: %+v", c.of, got)
		}
	}
}

// An invocation that waits in line as its alias is pointed to another version, and the first one deleted, runs on the
// other one and counts there: ExecutedVersion tells which code ran.
func TestInvocationsCountUnderTheVersionThatRan(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, func(o *function.Options) { o.MaxEnvironments = 1 }, unconfined)
	m.provided("busy", "obey")
	m.provided("f", "echo")
	m.publish("f")
	m.recode("f", "obey")
	m.publish("f")
	m.alias("f", "live", "1", nil)
	came, goOn := make(chan struct{}), make(chan struct{})
	gate := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(came)
		<-goOn
	}))
	defer gate.Close()
	busy, waits := make(chan function.Result, 1), make(chan function.Result, 1)
	go func() { busy <- m.invoke("busy", `{"do":"hold","url":"`+gate.URL+`"}`) }()
	<-came
	go func() {
		waits <- m.invoke("f", `{"do":"echo"}`, by("live"), func(i *function.Invocation) { i.Wait = true })
	}()
	eventually.Holds(t, "an invocation in line", func() bool { return m.Busy() == 2 })

	two := function.AliasInput{Ref: ref("f"), Name: "live", Version: new("2")}
	if _, err := m.UpdateAlias(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if err := m.DeleteVersion(t.Context(), ref("f"), "1"); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	want(t, <-busy, function.Success, `{"do":"hold","url":"`+gate.URL+`"}`)

	if res := <-waits; res.Class != function.Success || res.ExecutedVersion != "2" {
		t.Fatalf("got %+v", res)
	}
	for version, want := range map[string]float64{"1": 0, "2": 1} {
		of := []string{"ExecutedVersion", version, "FunctionName", "f", "Resource", "f:live"}
		if got := m.sums(of, metric.Invocations)[0].Sum; got != want {
			t.Errorf("%g invocations of version %s, want %g", got, version, want)
		}
	}
	m.metrics.Each(func(id metric.ID, _ string, _ metric.Total) {
		if slices.Contains(id.Dimensions, metric.Dimension{Name: metric.ExecutedVersion, Value: "1"}) {
			t.Errorf("%v of the deleted version is kept", id)
		}
	})
}

// sums returns all that was ever recorded of metrics under dimensions, which are given in order of their names.
func (m measured) sums(dimensions []string, kinds ...metric.Kind) (sums []metric.Summary) {
	m.t.Helper()
	for _, k := range kinds {
		id := metric.ID{Account: testAccount, Region: testRegion, Namespace: k.Namespace, Name: k.Name}
		for i := 0; i < len(dimensions); i += 2 {
			id.Dimensions = append(id.Dimensions, metric.Dimension{Name: dimensions[i], Value: dimensions[i+1]})
		}
		now := m.clock.Now()
		points, err := m.metrics.Points(metric.Query{
			ID: id, Unit: k.Unit, Start: now.Add(-time.Hour).Truncate(time.Minute), End: now.Add(time.Hour),
			Period: 24 * time.Hour,
		})
		if err != nil {
			m.t.Fatal(err)
		}
		sum := metric.Summary{}
		if len(points) > 0 {
			sum = points[0].Summary
		}
		sums = append(sums, sum)
	}
	return sums
}

// The keys of an environment belong to its version: they hold the role that the version has.
func TestKeysHoldTheRoleOfTheirVersion(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.python("f", `
		import os
		def handler(event, context):
		    return os.environ["AWS_ACCESS_KEY_ID"]
	`)
	b.publish("f")
	other := "arn:aws:iam::123456789012:role/other"
	if _, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
		Ref: ref("f"), Role: &other,
	}); err != nil {
		t.Fatal(err)
	}
	b.settled("f")
	for qualifier, role := range map[string]string{"1": testRole, "": other} {
		var key string
		if err := json.Unmarshal(b.invoke("f", `1`, by(qualifier)).Payload, &key); err != nil {
			t.Fatal(err)
		}
		if of, holds, ok := b.Holder(key); !ok || of != ref("f") || holds != role {
			t.Errorf("a key of %q holds %s of %s, %t", qualifier, holds, of, ok)
		}
	}
}

// A version whose activation a crash has cut off is activated by the next start.
func TestPendingVersionIsActivatedByTheNextStart(t *testing.T) {
	t.Parallel()
	store, dir := memory.New(memory.Options{}), t.TempDir()
	same := func(o *function.Options) { o.Store, o.Dir = store, dir }
	b := start(t, same)
	b.provided("f", "echo")
	b.publish("f")
	b.Stop(t.Context())
	const key = "function/" + testAccount + "/" + testRegion + "/f/1"
	e, err := store.Coord().Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var row map[string]any
	if err := json.Unmarshal(e.Value, &row); err != nil {
		t.Fatal(err)
	}
	row["State"], row["UpdateStatus"] = function.Pending, ""
	value, _ := json.Marshal(row)
	op := storage.Op{Key: key, Value: value, Expect: e.Revision}
	if _, err := store.Coord().Commit(context.Background(), "function/", op); err != nil {
		t.Fatal(err)
	}

	b = start(t, same)

	want(t, b.invoke("f", `1`, by("1")), function.Success, `1`) // waits for it
	if c, ok := b.Find(ref("f"), "1"); !ok || c.State != function.Active || c.UpdateStatus != function.Successful {
		t.Errorf("the version is %+v, %t", c, ok)
	}
}
