package function_test

import (
	"errors"
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/functiontest"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// A change of a function whose reply is lost returns what really happened. If nothing happened, or that is unknown, it
// can be repeated, and the function runs in any case: no change conflicts with the one before.
func TestChangesOfFunctionsWhoseAnswersAreLost(t *testing.T) {
	t.Parallel()
	for name, c := range storagetest.Losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.New(memory.Options{})
			f := &storagetest.Faulty{Coord: store.Coord()}
			b := start(t, func(o *function.Options) { o.Store = storagetest.With(store, f) })
			do := func(what string, call func() error) {
				t.Helper()
				f.Unread(func(string) bool { return c.Unread })
				f.FailNext(1, c.Fault)
				err := call()
				f.Unread(nil)
				if sure := c.Fault == storagetest.LoseWord && !c.Unread; (err == nil) != sure {
					t.Fatalf("%s: %v", what, err)
				}
				if c.Unread != errors.Is(err, storage.ErrUnknown) {
					t.Fatalf("%s: %v", what, err)
				}
				if err != nil {
					err = call()
				}
				if err != nil {
					t.Fatalf("%s again: %v", what, err)
				}
			}
			in := function.CreateInput{
				Name: "f", Caller: function.Caller{Account: testAccount, Region: testRegion}, Role: testRole,
				Runtime: "provided.al2023", Handler: "bootstrap",
				Zip: zipOf(file{"bootstrap", bootstrapScript(t, "obey"), 0o755}), Timeout: number(10),
			}
			do("create", func() error { _, err := b.Create(t.Context(), in); return err })
			b.settled("f")
			want(t, b.invoke("f", functiontest.Echo), function.Success, functiontest.Echo)
			do("concurrency", func() error { return b.PutConcurrency(t.Context(), ref("f"), 5) })
			do("no concurrency", func() error { return b.DeleteConcurrency(t.Context(), ref("f")) })
			do("configuration", func() error {
				_, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
					Ref: ref("f"), MemoryMB: number(256),
				})
				return err
			})
			b.settled("f")
			do("code", func() error {
				_, err := b.UpdateCode(t.Context(), function.UpdateCodeInput{
					Ref: ref("f"), Zip: zipOf(file{"bootstrap", bootstrapScript(t, "echo"), 0o755}),
				})
				return err
			})
			b.settled("f")
			want(t, b.invoke("f", `"new"`), function.Success, `"new"`)
			do("delete", func() error { return b.Delete(t.Context(), ref("f")) })
			if _, ok := b.Lookup(ref("f")); ok {
				t.Error("it is there after it was deleted")
			}
		})
	}
}
