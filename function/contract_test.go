package function_test

import (
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/functiontest"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// The room keeps what the fakes of it are held to.
func TestRoomKeepsItsContract(t *testing.T) {
	t.Parallel()
	functiontest.Run(t, func(t *testing.T) *functiontest.Bench {
		store := memory.New(memory.Options{})
		values := &storagetest.SlowCoord{Coord: store.Coord()}
		b := start(t, func(o *function.Options) {
			o.Store = storagetest.With(store, values)
			o.AccountConcurrency, o.UnreservedMinimum = 4, 1
		})
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		return &functiontest.Bench{
			Functions: b.Functions, Ref: ref("f"), Account: 4,
			Create: func() { b.provided("f", "obey") },
			Delete: func() { must(b.Delete(t.Context(), ref("f"))) },
			Reserve: func(n int) {
				if n < 0 {
					must(b.DeleteConcurrency(t.Context(), ref("f")))
					return
				}
				must(b.PutConcurrency(t.Context(), ref("f"), n))
			},
			Update: func() (finish func()) {
				reached, release := values.Hold(2) // the first announces it, the second says that it is in effect
				_, err := b.UpdateConfiguration(t.Context(), function.UpdateConfigurationInput{
					Ref: ref("f"), Environment: map[string]string{"VERSION": "2"},
				})
				must(err)
				eventually.Comes(t, "the end of the update", reached)
				return func() {
					release()
					b.settled("f")
				}
			},
			Publish: func() string {
				conf, err := b.Publish(t.Context(), function.PublishInput{Ref: ref("f")})
				must(err)
				return conf.Version
			},
			Point: func(alias, version string, weights map[string]float64) {
				in := function.AliasInput{Ref: ref("f"), Name: alias, Version: &version, Weights: weights}
				if in.Weights == nil {
					in.Weights = map[string]float64{}
				}
				_, err := b.CreateAlias(t.Context(), in)
				if fault.CodeOf(err) == fault.CodeConflict {
					_, err = b.UpdateAlias(t.Context(), in)
				}
				must(err)
			},
			Remove: func(qualifier string) {
				if _, err := b.Alias(ref("f"), qualifier); err == nil {
					must(b.DeleteAlias(t.Context(), ref("f"), qualifier))
					return
				}
				must(b.DeleteVersion(t.Context(), ref("f"), qualifier))
			},
			Stop: func() { b.Stop(t.Context()) },
		}
	})
}

var _ functiontest.Functions = (*function.Functions)(nil)
