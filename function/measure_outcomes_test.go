package function_test

import (
	"context"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/function/functiontest"
	"github.com/shardmill/shardmill/metric"
)

// What each outcome adds to each metric, in each set of dimensions: how many values, and their sum. -1 is any sum: a
// duration. Source: Lambda Developer Guide, "Types of metrics for Lambda functions"; that Throttles has a 0 with each
// invocation, as Errors has, is inferred.
func TestEveryOutcomeIsMeasuredInEverySetOfDimensions(t *testing.T) {
	t.Parallel()
	type values struct{ count, sum float64 }
	none, zero, one, some := values{}, values{1, 0}, values{1, 1}, values{1, -1}
	kinds := []metric.Kind{
		metric.Invocations, metric.Errors, metric.Throttles, metric.Duration, metric.ConcurrentExecutions,
		metric.ColdStarts, metric.InitDuration, metric.OutOfMemory,
	}
	for _, c := range []struct {
		name string
		role string // of the bootstrap
		run  func(b measured) function.Result
		want function.Class
		add  [8]values // in the order of kinds
	}{
		{
			"a success", "obey", func(b measured) function.Result { return b.invoke("f", functiontest.Echo) },
			function.Success,
			[8]values{one, zero, zero, some, one, one, some, none},
		},
		{
			"a failure", "obey", func(b measured) function.Result { return b.invoke("f", functiontest.Fail) },
			function.FunctionError,
			[8]values{one, one, zero, some, one, one, some, none},
		},
		{
			"a timeout", "obey", func(b measured) function.Result { return b.invoke("f", functiontest.Hang) },
			function.FunctionError,
			[8]values{one, one, zero, some, one, one, some, none},
		},
		{
			"an exit", "exit-on-event", func(b measured) function.Result { return b.invoke("f", `1`) },
			function.FunctionError,
			[8]values{one, one, zero, some, one, one, some, none},
		},
		{
			"an exit before the first event", "exit-in-init",
			func(b measured) function.Result { return b.invoke("f", `1`) }, function.FunctionError,
			[8]values{one, one, zero, none, one, none, none, none},
		},
		{"an attempt beyond the reservation", "obey", func(b measured) function.Result {
			if err := b.PutConcurrency(b.t.Context(), ref("f"), 0); err != nil {
				b.t.Fatal(err)
			}
			return b.invoke("f", functiontest.Echo)
		}, function.NotAdmitted, [8]values{none, none, one, none, none, none, none, none}},
		{"a deleted function", "obey", func(b measured) function.Result {
			if err := b.Delete(b.t.Context(), ref("f")); err != nil {
				b.t.Fatal(err)
			}
			return b.invoke("f", functiontest.Echo)
		}, function.ConfigError, [8]values{}},
		{"a caller that does not wait", "obey", func(b measured) function.Result {
			ctx, cancel := context.WithTimeout(b.t.Context(), 300*time.Millisecond)
			defer cancel()
			return b.Invoke(ctx, function.Invocation{Ref: ref("f"), Payload: []byte(functiontest.Hang)})
		}, function.PlatformError, [8]values{none, none, none, none, one, none, none, none}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startMeasured(t)
			b.provided("f", c.role, func(in *function.CreateInput) {
				if c.name == "a timeout" {
					in.Timeout = number(1)
				}
			})

			if got := c.run(b); got.Class != c.want {
				t.Fatalf("got %s (%s), want %s", got.Class, got.Detail, c.want)
			}

			for i, k := range kinds {
				for _, name := range []string{"f", ""} {
					got, want := b.total(k, name), c.add[i]
					if got.Count != want.count || want.sum >= 0 && got.Sum != want.sum {
						t.Errorf(
							"%s of %q: %g in %g values, want %g in %g", k.Name, name, got.Sum, got.Count, want.sum,
							want.count,
						)
					}
				}
			}
		})
	}
}
