package function_test

import (
	"testing"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/functiontest"
)

// The room keeps what the fakes of it are held to.
func TestRoomKeepsItsContract(t *testing.T) {
	t.Parallel()
	functiontest.Run(t, func(t *testing.T) *functiontest.Bench {
		b := start(t)
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		return &functiontest.Bench{
			Functions: b.Functions, Ref: ref("f"),
			Create: func() { b.provided("f", "obey") },
			Delete: func() { must(b.Delete(t.Context(), ref("f"))) },
			Reserve: func(n int) {
				if n < 0 {
					must(b.DeleteConcurrency(t.Context(), ref("f")))
					return
				}
				must(b.PutConcurrency(t.Context(), ref("f"), n))
			},
		}
	})
}

var _ functiontest.Functions = (*function.Functions)(nil)
