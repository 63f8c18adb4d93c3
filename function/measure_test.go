package function_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/internal/eventually"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage/memory"
)

// measured is a bench with a store of metrics.
type measured struct {
	*bench
	metrics *metric.Store
	clock   *clock.Clock
}

func startMeasured(t *testing.T, change ...func(*function.Options)) measured {
	t.Helper()
	c := clock.New(0)
	st, err := metric.New(metric.Options{Local: memory.New(memory.Options{}).Local(), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Stop)
	b := start(t, append(change, func(o *function.Options) { o.Metrics, o.Clock = st, c })...)
	return measured{b, st, c}
}

// total returns all that was ever recorded of a metric, for a function or with "" for all.
func (m measured) total(k metric.Kind, name string) metric.Summary {
	m.t.Helper()
	id := metric.ID{Account: testAccount, Region: testRegion, Namespace: k.Namespace, Name: k.Name}
	if name != "" {
		id.Dimensions = []metric.Dimension{{Name: metric.FunctionName, Value: name}}
	}
	now := m.clock.Now()
	points, err := m.metrics.Points(metric.Query{
		ID: id, Unit: k.Unit, Start: now.Add(-time.Hour).Truncate(time.Minute), End: now.Add(time.Hour),
		Period: 24 * time.Hour,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	if len(points) == 0 {
		return metric.Summary{}
	}
	return points[0].Summary
}

func (m measured) want(k metric.Kind, name string, count, sum float64) {
	m.t.Helper()
	if got := m.total(k, name); got.Count != count || got.Sum != sum {
		m.t.Errorf("%s of %q: %g in %g values, want %g in %g", k.Name, name, got.Sum, got.Count, sum, count)
	}
}

// Concurrent invocations are counted as each begins, for each function and for the whole account.
func TestConcurrencyIsMeasuredExactly(t *testing.T) {
	t.Parallel()
	b := startMeasured(t, unconfined)
	b.python("f", untilGo)
	b.python("g", untilGo)
	dir := t.TempDir()
	results := make(chan function.Result, 3)
	for i, name := range []string{"f", "f", "g"} {
		id := fmt.Sprint(i)
		go func() { results <- b.invoke(name, quote(dir), func(i *function.Invocation) { i.RequestID = id }) }()
		waitForFile(t, filepath.Join(dir, "started"+id))
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		want(t, <-results, function.Success, `null`)
	}
	for name, most := range map[string]float64{"f": 2, "g": 1, "": 3} {
		if got := b.total(metric.ConcurrentExecutions, name); got.Max != most {
			t.Errorf("%q: at most %g at once, want %g", name, got.Max, most)
		}
	}
	b.want(metric.Invocations, "", 3, 3)
	b.want(metric.ColdStarts, "", 3, 3)
	if got := b.invoke("g", quote(dir)); got.Class != function.Success {
		t.Fatal(got)
	}
	b.want(metric.ConcurrentExecutions, "g", 2, 2) // 1 each time
}

// An invocation whose caller has gone is counted when it ends, and runs until then.
func TestAbandonedInvocationIsCountedAtItsEnd(t *testing.T) {
	t.Parallel()
	b := startMeasured(t, unconfined)
	b.python("f", untilGo)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan function.Result, 1)
	go func() {
		result <- b.Invoke(ctx, function.Invocation{Ref: ref("f"), RequestID: "id", Payload: []byte(quote(dir))})
	}()
	waitForFile(t, filepath.Join(dir, "startedid"))
	cancel()
	<-result
	b.want(metric.Invocations, "f", 0, 0)
	if err := b.PutConcurrency(t.Context(), ref("f"), 1); err != nil {
		t.Fatal(err)
	}
	freed := make(chan struct{})
	b.Enrol(ref("f"), func() { close(freed) })
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-freed
	b.want(metric.Invocations, "f", 1, 1)
	b.want(metric.Errors, "f", 1, 0)
}

// S-111: what is refused for lack of concurrency, or because the machine is full, is a throttle; an invocation that
// waits for the machine is not, and does not run yet.
func TestThrottlesAreMeasured(t *testing.T) {
	t.Parallel()
	b := startMeasured(t, unconfined, func(o *function.Options) { o.MaxEnvironments = 1 })
	b.python("f", untilGo)
	b.provided("g", "echo")
	dir := t.TempDir()
	first := make(chan function.Result, 1)
	go func() {
		first <- b.invoke("f", quote(dir), func(i *function.Invocation) { i.RequestID = "id" })
	}()
	waitForFile(t, filepath.Join(dir, "startedid"))
	if r := b.invoke("g", `1`); r.Class != function.NotAdmitted {
		t.Fatal(r)
	}
	b.want(metric.Throttles, "g", 1, 1)
	waiting := make(chan function.Result, 1)
	go func() { waiting <- b.invoke("g", `2`, func(i *function.Invocation) { i.Wait = true }) }()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-first
	want(t, <-waiting, function.Success, `2`)
	b.want(metric.Throttles, "g", 2, 1) // 0 with the invocation
	if got := b.total(metric.ConcurrentExecutions, ""); got.Max != 1 {
		t.Errorf("%g at once on a machine for one", got.Max)
	}
	if err := b.PutConcurrency(t.Context(), ref("g"), 0); err != nil {
		t.Fatal(err)
	}
	b.invoke("g", `3`)
	b.want(metric.Throttles, "g", 3, 2)
	b.want(metric.Throttles, "", 4, 2)
	b.want(metric.Invocations, "g", 1, 1)
}

// A function that cannot start through its own fault counts as an invocation and an error without a duration; a missing
// one does not count.
func TestFailedStartsAreErrors(t *testing.T) {
	t.Parallel()
	b := startMeasured(t)
	b.python("f", `raise ValueError("at import")`)
	if r := b.invoke("f", `1`); r.Class != function.FunctionError {
		t.Fatal(r)
	}
	b.want(metric.Invocations, "f", 1, 1)
	b.want(metric.Errors, "f", 1, 1)
	b.want(metric.Duration, "f", 0, 0)
	b.invoke("none", `1`)
	b.want(metric.Invocations, "none", 0, 0)
	b.want(metric.Invocations, "", 1, 1)
}

// S-109: the age of a batch's last record, by the steered clock; invocations that come from no stream have none.
func TestIteratorAgeOfAnInvocation(t *testing.T) {
	t.Parallel()
	b := startMeasured(t)
	b.provided("f", "echo")
	arrival := b.clock.Now()
	b.clock.SetOffset(time.Minute)
	b.invoke("f", `1`)
	b.want(metric.IteratorAge, "f", 0, 0)
	b.invoke("f", `1`, func(i *function.Invocation) { i.LastArrival = arrival })
	got := b.total(metric.IteratorAge, "f")
	if got.Count != 1 || got.Max < 60_000 || got.Max > float64(b.clock.Now().Sub(arrival).Milliseconds())+1 {
		t.Errorf("%+v", got)
	}
	b.want(metric.Invocations, "f", 2, 2)
}

// Metrics embedded in what a function prints carry the function's own time, which is real; they are kept under the
// steered one.
func TestEmbeddedMetricsGoByTheClock(t *testing.T) {
	t.Parallel()
	b := startMeasured(t)
	b.clock.SetOffset(30 * 24 * time.Hour)
	b.python("f", `
		import json, time
		def handler(event, context):
		    print("no metric")
		    print(json.dumps({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{"Namespace": "Shop", "Metrics": [{"Name": "sold"}]}]}, "sold": [1, 2]}))
	`)
	want(t, b.invoke("f", `{}`), function.Success, `null`)
	var got metric.Summary
	eventually.Holds(t, "a metric", func() bool {
		got = b.total(metric.Kind{Namespace: "Shop", Name: "sold", Unit: metric.None}, "")
		return got.Count != 0
	})
	if got.Count != 2 || got.Sum != 3 {
		t.Errorf("%+v", got)
	}
}
