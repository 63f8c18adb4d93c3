package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/internal/eventually"
)

// point is a data point of GetMetricStatistics.
type point struct{ Timestamp, SampleCount, Sum, Minimum, Maximum float64 }

func (b *bench) cloudwatch(operation string, in any, out any) {
	b.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		b.Fatal(err)
	}
	answer := b.ok(b.do("POST", "/", string(body), "X-Amz-Target", "GraniteServiceVersion20100801."+
		operation, "Content-Type", "application/x-amz-json-1.0",
		"Authorization", fmt.Sprintf(signature, "monitoring")))
	if err := json.Unmarshal([]byte(answer), out); err != nil {
		b.Fatalf("%s: %v", answer, err)
	}
}

// statistics returns the data points of a metric around now, with the tutorial's query: one period of five minutes is
// one data point, unless the clock passes from one to the next.
func (b *bench) statistics(namespace, name string, dimensions ...string) point {
	b.Helper()
	dims := []map[string]string{}
	for i := 0; i < len(dimensions); i += 2 {
		dims = append(dims, map[string]string{"Name": dimensions[i], "Value": dimensions[i+1]})
	}
	now := b.s.clock.Now()
	var out struct{ Datapoints []point }
	b.cloudwatch("GetMetricStatistics", map[string]any{
		"Namespace": namespace, "MetricName": name, "Dimensions": dims, "Period": 7200,
		"StartTime": now.Add(-time.Hour).Unix(), "EndTime": now.Add(time.Hour).Unix(),
		"Statistics": []string{"SampleCount", "Sum", "Minimum", "Maximum"},
	}, &out)
	switch len(out.Datapoints) {
	case 0:
		return point{}
	case 1:
		return out.Datapoints[0]
	}
	b.Fatalf("%d data points", len(out.Datapoints))
	return point{}
}

// lambdaPoint is of a function's metric.
func (b *bench) lambdaPoint(name string) point {
	b.Helper()
	return b.statistics("AWS/Lambda", name, "FunctionName", "f")
}

// settles waits until a number of batches has succeeded.
func settles() (observe func(engine.Observation), settled chan struct{}) {
	settled = make(chan struct{}, 100)
	return func(o engine.Observation) {
		if _, ok := o.What.(*esm.BatchSettled); ok {
			settled <- struct{}{}
		}
	}, settled
}

// F-72, S-109: after a failing and a passing batch there are two invocations, one error, and iterator ages no smaller
// than the real ones, for the function and for all.
func TestTutorialsStatistics(t *testing.T) {
	t.Parallel()
	observe, settled := settles()
	b := start(t, Config{Dev: true, Observe: observe})
	b.pipeline()
	began := b.s.clock.Now()
	b.put("fail once")
	<-settled
	elapsed := b.s.clock.Now().Sub(began)

	for name, want := range map[string]point{
		"Invocations":          {SampleCount: 2, Sum: 2, Minimum: 1, Maximum: 1},
		"Errors":               {SampleCount: 2, Sum: 1, Minimum: 0, Maximum: 1},
		"ConcurrentExecutions": {SampleCount: 2, Sum: 2, Minimum: 1, Maximum: 1},
		"Throttles":            {SampleCount: 2}, // a 0 with each invocation
	} {
		for _, got := range []point{b.lambdaPoint(name), b.statistics("AWS/Lambda", name)} {
			if got.Timestamp = 0; got != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
	}
	age := b.lambdaPoint("IteratorAge")
	// The first retry waits for about a second; the age is that at the moment the batch is sent. It and the elapsed
	// time are cut to whole milliseconds.
	if age.SampleCount != 2 || age.Maximum < 500 || age.Maximum > float64(elapsed.Milliseconds())+2 ||
		age.Minimum >= age.Maximum {
		t.Errorf("iterator age %+v after %s", age, elapsed)
	}
	if d := b.lambdaPoint("Duration"); d.SampleCount != 2 || d.Maximum <= 0 ||
		d.Maximum > float64(elapsed.Milliseconds()) {
		t.Errorf("duration %+v", d)
	}
	if c := b.statistics("Engine", "ColdStarts", "FunctionName", "f"); c.Sum != 1 {
		t.Errorf("cold starts %+v", c)
	}
}

// S-109: a record that has waited for four seconds before it goes to the function is four seconds old, once.
func TestIteratorAgeIsCountedAtSend(t *testing.T) {
	t.Parallel()
	observe, settled := settles()
	b := start(t, Config{Dev: true, Observe: observe})
	b.pipeline()
	b.put("k")
	<-settled
	b.reserve(0)
	began := b.s.clock.Now()
	b.put("waits")
	b.ok(b.control("POST", control.PathClock, `{"advanceMillis":4000}`))
	b.reserve(1)
	<-settled
	elapsed := b.s.clock.Now().Sub(began)
	age := b.lambdaPoint("IteratorAge")
	// both are cut to whole milliseconds
	if age.SampleCount != 2 || age.Maximum < 3990 || age.Maximum > float64(elapsed.Milliseconds())+2 {
		t.Errorf("%+v after %s", age, elapsed)
	}
}

func (b *bench) reserve(n int) {
	b.Helper()
	b.ok(b.lambda("PUT", "/2017-10-31/functions/f/concurrency", fmt.Sprintf(`{"ReservedConcurrentExecutions":%d}`, n)))
}

// S-110: a reported partial failure is an invocation and no error.
func TestPartialFailureIsNoError(t *testing.T) {
	t.Parallel()
	observe, settled := settles()
	b := start(t, Config{Dev: true, Observe: observe})
	b.pipeline()
	mapping := "/2015-03-31/event-source-mappings/" + b.mapping()
	b.ok(b.lambda("PUT", mapping, `{"FunctionResponseTypes":["ReportBatchItemFailures"]}`))
	b.inEffect(mapping)
	b.put("partial once")
	<-settled
	if n, e := b.lambdaPoint("Invocations"), b.lambdaPoint("Errors"); n.Sum != 2 || e.Sum != 0 || e.SampleCount != 2 {
		t.Errorf("invocations %+v, errors %+v", n, e)
	}
}

// S-111: attempts refused for lack of concurrency, three or more of them, are throttles and no invocations; the one
// that runs is an invocation.
func TestThrottledAttemptsAreNoInvocations(t *testing.T) {
	t.Parallel()
	throttled := make(chan struct{}, 100)
	settled := make(chan struct{}, 1)
	var attempts atomic.Int64
	b := start(t, Config{Dev: true, Observe: func(o engine.Observation) {
		switch what := o.What.(type) {
		case *esm.AttemptEnded:
			if what.Outcome.Kind == esm.Throttle {
				attempts.Add(1)
				throttled <- struct{}{}
			}
		case *esm.BatchSettled:
			settled <- struct{}{}
		default:
		}
	}})
	b.pipeline()
	b.reserve(0)
	b.put("k")
	for range 3 {
		<-throttled
		b.ok(b.control("POST", control.PathClock, `{"advanceMillis":2000}`)) // beyond the first back-off
	}
	b.reserve(1)
	<-settled
	n, e, d := b.lambdaPoint("Invocations"), b.lambdaPoint("Errors"), b.lambdaPoint("Throttles")
	if want := float64(attempts.Load()); n.Sum != 1 || e.Sum != 0 || d.Sum != want || want < 3 {
		t.Errorf("invocations %+v, errors %+v, throttles %+v of %g", n, e, d, want)
	}
}

// What a function prints in the embedded metric format becomes metrics of its account and region.
func TestEmbeddedMetricsOfAFunction(t *testing.T) {
	t.Parallel()
	observe, settled := settles()
	b := start(t, Config{Dev: true, Observe: observe})
	b.pipeline()
	b.put("metric")
	<-settled
	var got point
	eventually.Holds(t, "a metric", func() bool { // the log comes a moment after the answer
		got = b.statistics("Shop", "sold", "till", "1")
		return got.Sum != 0
	})
	if got.Sum != 42 || got.SampleCount != 1 {
		t.Errorf("%+v", got)
	}
}

// Metrics outlive the process.
func TestMetricsAreKept(t *testing.T) {
	t.Parallel()
	observe, settled := settles()
	b := start(t, Config{Data: t.TempDir(), Observe: observe})
	b.pipeline()
	b.put("k")
	<-settled
	b.s.Stop(t.Context())
	if err := b.s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.lambdaPoint("Invocations"); got.Sum != 1 {
		t.Errorf("%+v", got)
	}
}

// Prometheus finds a page that its linter has nothing to say about, without a token, and pages in a browser do not find
// it.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	observe, settled := settles()
	b := start(t, Config{Dev: true, Observe: observe, Version: `1.2.3"\`})
	b.pipeline()
	b.put("fail once")
	<-settled
	page := b.ok(b.do("GET", control.PathMetrics, ""))
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v\n%s", problems, err, page)
	}
	for _, line := range []string{
		`shardmill_build_info{version="1.2.3\"\\",go="`,
		`shardmill_function_invocations_total{account="000000000000",region="us-east-1",function="f"} 2` + "\n",
		`shardmill_function_errors_total{account="000000000000",region="us-east-1",function="f"} 1` + "\n",
		`shardmill_function_throttles_total{account="000000000000",region="us-east-1",function="f"} 0` + "\n",
		`shardmill_function_duration_seconds_count{account="000000000000",region="us-east-1",function="f"} 2` + "\n",
		`shardmill_mapping_records_settled_total{account="000000000000",region="us-east-1",mapping="`,
		`shardmill_mapping_shard_phase{mapping="`, `",shard="shardId-000000000000",phase="runs"} 1` + "\n",
		`",shard="shardId-000000000000",lane="0",reason="`, "shardmill_mapping_checkpoint_lag_seconds{",
		"shardmill_mapping_buffered_records{",
		`shardmill_mapping_iterator_age_seconds{`, "go_goroutines ", "process_start_time_seconds ",
	} {
		if !strings.Contains(page, line) {
			t.Errorf("%s is not in\n%s", line, page)
		}
	}
	var list struct{ EventSourceMappings []struct{ UUID string } }
	if err := json.Unmarshal(
		[]byte(b.ok(b.lambda("GET", "/2015-03-31/event-source-mappings", ""))), &list,
	); err != nil {
		t.Fatal(err)
	}
	b.ok(b.lambda("DELETE", "/2015-03-31/event-source-mappings/"+list.EventSourceMappings[0].UUID, ""))
	b.ok(b.lambda("DELETE", "/2015-03-31/functions/f", ""))
	// a mapping takes a moment to be gone
	eventually.Reaches(t, "a page without what is deleted", func() (bool, string) {
		page := b.ok(b.do("GET", control.PathMetrics, ""))
		return !strings.Contains(page, "shardmill_mapping_records_settled_total{") &&
			!strings.Contains(page, "shardmill_function_invocations_total{"), page
	})
	if status, _ := b.do(
		"GET", control.PathMetrics, "", "Origin", "http://localhost:3000",
	); status != http.StatusForbidden {
		t.Errorf("a web page was answered %d", status)
	}
	if status, _ := b.do(
		"GET", control.PathMetrics, "", "Host", "evil.example",
	); status != http.StatusMisdirectedRequest {
		t.Errorf("another host was answered %d", status)
	}
}

// Profiles need the token.
func TestProfilesAreGuarded(t *testing.T) {
	t.Parallel()
	b := start(t, Config{})
	for _, name := range []string{"", "heap", "goroutine?debug=1", "profile?seconds=1", "trace?seconds=1"} {
		if status, answer := b.do("GET", control.PathProfile+name, ""); status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d %s", name, status, answer)
		}
	}
	for name, want := range map[string]string{
		"": "what the scheduler does", "profile?seconds=0.01": "\x1f\x8b", "trace?seconds=0.01": "go 1.",
		"goroutine?debug=1": "goroutine profile: total", "heap?debug=1": "heap profile",
	} {
		if answer := b.ok(b.control("GET", control.PathProfile+name, "")); !strings.Contains(answer, want) {
			t.Errorf("%s: %.300s", name, answer)
		}
	}
	for name, want := range map[string]string{
		"nobody":            `there is no profile \"nobody\"; /_shardmill/debug/pprof/ lists them`,
		"profile?seconds=x": `seconds is \"x\"; it must be a number up to 300`,
		"trace?seconds=301": "it must be a number up to 300",
	} {
		if status, answer := b.control("GET", control.PathProfile+name, ""); status < 400 || status >= 500 ||
			!strings.Contains(answer, want) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if status, _ := b.do("GET", "/debug/pprof/", ""); status == http.StatusOK {
		t.Error("profiles are on the public paths")
	}
}
