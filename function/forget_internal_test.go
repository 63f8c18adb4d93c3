package function

import (
	"archive/zip"
	"bytes"
	"fmt"
	"testing"

	"github.com/shardmill/shardmill/function/fleet"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage/memory"
)

// Functions that come and go leave nothing behind: nothing in the fleet, no channel of a watcher, no series, no key.
func TestDeletedFunctionsLeaveNothing(t *testing.T) {
	t.Parallel()
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	if _, err := z.Create("bootstrap"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := metric.New(metric.Options{Local: memory.New(memory.Options{}).Local()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Stop)
	f, err := New(Options{Store: memory.New(memory.Options{}), Dir: t.TempDir(), Metrics: store})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Stop(t.Context()) })

	for i := range 20 {
		ref := Ref{Account: fmt.Sprintf("%012d", i), Region: "us-east-1", Name: "f"}
		before := f.Changed(ref)
		_, err := f.Create(t.Context(), CreateInput{
			Name: "f", Caller: Caller{ref.Account, ref.Region}, Runtime: "provided.al2023", Handler: "h",
			Role: "arn:aws:iam::000000000000:role/r", Zip: code.Bytes(),
		})
		if err != nil {
			t.Fatal(err)
		}
		<-before
		f.Changed(ref)
		if err := f.PutConcurrency(t.Context(), ref, 0); err != nil {
			t.Fatal(err)
		}
		version, err := f.Publish(t.Context(), PublishInput{Ref: ref})
		if err != nil {
			t.Fatal(err)
		}
		alias := AliasInput{Ref: ref, Name: "live", Version: &version.Version}
		if _, err := f.CreateAlias(t.Context(), alias); err != nil {
			t.Fatal(err)
		}
		for _, qualifier := range []string{"", "1", "live"} {
			f.Invoke(t.Context(), Invocation{Ref: ref, Qualifier: qualifier, Wait: true}) // refused
			_, err := f.AddPermission(t.Context(), PermissionInput{
				Ref: ref, Qualifier: qualifier, Sid: "s", Action: "*", Principal: "*",
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 { // else they go with the function
			if err := f.DeleteAlias(t.Context(), ref, "live"); err != nil {
				t.Fatal(err)
			}
			if err := f.DeleteVersion(t.Context(), ref, "1"); err != nil {
				t.Fatal(err)
			}
			if n := len(f.entry(ref).policies); n != 1 {
				t.Errorf("%d policies are left, want the function's", n)
			}
			if n := len(f.meter.scopes); n != 1 {
				t.Errorf("%d meters are left, want the function's", n)
			}
		}
		store.Of(metric.DeliveryFailures, ref.Account, ref.Region, metric.FunctionName, ref.Name)
		if err := f.Delete(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		f.Changed(ref)
		f.Invoke(t.Context(), Invocation{Ref: ref})
	}

	f.fleet.mu.Lock()
	defer f.fleet.mu.Unlock()
	if c := f.fleet.machine.Counts(); c != (fleet.Counts{}) {
		t.Errorf("the fleet counts %+v", c)
	}
	if n := len(f.fleet.generations) + len(f.fleet.environments) + len(f.fleet.waiters) + len(f.fleet.inLine); n != 0 {
		t.Errorf("the fleet's shell holds %d things", n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.entries) != 0 || len(f.watched) != 0 {
		t.Errorf("%d functions and %d watchers are left", len(f.entries), len(f.watched))
	}
	if len(f.meter.scopes) != 0 || len(f.keys.holders) != 0 {
		t.Errorf("%d meters and %d keys are left", len(f.meter.scopes), len(f.keys.holders))
	}
	store.Each(func(id metric.ID, _ string, _ metric.Total) {
		for _, d := range id.Dimensions {
			if d.Name == metric.FunctionName {
				t.Errorf("a series is left: %+v", id)
			}
		}
	})
}
