package e2e_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cloudwatchtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/e2e"
	"github.com/shardmill/shardmill/internal/eventually"
)

// measured is what a client says about the metrics that metrics.py puts.
type measured struct {
	Points [][]any  `json:"points"` // time, average, maximum, minimum, sample count, sum, unit
	Sums   [][]any  `json:"sums"`   // time, sum
	Names  []string `json:"names"`
	Code   string   `json:"code"` // of the error of a request for too much
}

// F-69, F-70: boto3 (JSON), the SDK for Go (CBOR) and a request of the older query protocol see equal data.
func TestMetricsAreEqualOverThreeClients(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	from := time.Now().Add(-time.Hour).Truncate(time.Hour).UTC()
	to := from.Add(time.Hour)
	script, err := filepath.Abs("testdata/metrics.py")
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, err := s.command(
		t, venv(t, "python"), script, s.Endpoint, strconv.FormatInt(from.Unix(), 10), strconv.FormatInt(to.Unix(), 10),
	)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	var boto measured
	if err := json.Unmarshal([]byte(stdout), &boto); err != nil {
		t.Fatalf("%s: %v", stdout, err)
	}
	at := float64(from.Unix())
	want := measured{
		Points: [][]any{{at, 4.5, 9.0, 0.0, 10.0, 45.0, "None"}}, Sums: [][]any{{at, 45.0}},
		Names: []string{"long", "metric"}, Code: "InvalidParameterCombination",
	}
	for client, got := range map[string]measured{
		"boto3": boto, "the SDK for Go": s.metricsBySDK(t, from, to), "query": s.metricsByQuery(t, from, to),
	} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", client, diff)
		}
	}
}

func (s *server) metricsBySDK(t *testing.T, from, to time.Time) (m measured) {
	t.Helper()
	c := cloudwatch.New(cloudwatch.Options{
		Region: region, BaseEndpoint: aws.String(s.Endpoint),
		Credentials:      credentials.NewStaticCredentialsProvider(account, "any", ""),
		HTTPClient:       &http.Client{Timeout: patience, Transport: wiretest.WholeBodies{Next: &http.Transport{}}},
		RetryMaxAttempts: 1,
	})
	shop := []cloudwatchtypes.Dimension{{Name: aws.String("shop"), Value: aws.String("1")}}
	in := &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("tester"), MetricName: aws.String("metric"), Dimensions: shop, StartTime: &from,
		EndTime: &to, Period: aws.Int32(300),
		Statistics: cloudwatchtypes.Statistic("").Values(),
	}
	stats, err := c.GetMetricStatistics(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stats.Datapoints {
		m.Points = append(m.Points, []any{
			float64(p.Timestamp.Unix()), *p.Average, *p.Maximum, *p.Minimum, *p.SampleCount, *p.Sum, string(p.Unit),
		})
	}
	data, err := c.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
		StartTime: &from, EndTime: &to, MetricDataQueries: []cloudwatchtypes.MetricDataQuery{{
			Id: aws.String("m1"), MetricStat: &cloudwatchtypes.MetricStat{
				Metric: &cloudwatchtypes.Metric{Namespace: in.Namespace, MetricName: in.MetricName, Dimensions: shop},
				Period: in.Period, Stat: aws.String("Sum"),
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range data.MetricDataResults[0].Timestamps {
		m.Sums = append(m.Sums, []any{float64(at.Unix()), data.MetricDataResults[0].Values[i]})
	}
	listed, err := c.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: in.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listed.Metrics {
		m.Names = append(m.Names, *l.MetricName)
	}
	slices.Sort(m.Names)
	day := from.Add(24 * time.Hour)
	in.EndTime, in.Period = &day, aws.Int32(1)
	if _, err = c.GetMetricStatistics(t.Context(), in); err != nil {
		var known *cloudwatchtypes.InvalidParameterCombinationException
		if errors.As(err, &known) {
			m.Code = known.ErrorCode()
		}
	}
	return m
}

func (s *server) metricsByQuery(t *testing.T, from, to time.Time) (m measured) {
	t.Helper()
	call := func(action string, into any, parameters ...string) int {
		form := url.Values{"Action": {action}, "Version": {"2010-08-01"}}
		for i := 0; i < len(parameters); i += 2 {
			form.Set(parameters[i], parameters[i+1])
		}
		got := send(t, http.DefaultClient, "POST", s.Endpoint+"/", form.Encode(), formHeaders("monitoring"))
		if err := xml.Unmarshal([]byte(got.body), into); err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
		return got.status
	}
	iso := func(at time.Time) string { return at.Format(time.RFC3339) }
	metric := func(prefix string) []string {
		return []string{
			prefix + "Namespace", "tester", prefix + "MetricName", "metric", prefix + "Dimensions.member.1.Name",
			"shop", prefix + "Dimensions.member.1.Value", "1",
		}
	}
	var stats struct {
		Datapoints []struct {
			Timestamp                                   time.Time
			Average, Maximum, Minimum, SampleCount, Sum float64
			Unit                                        string
		} `xml:"GetMetricStatisticsResult>Datapoints>member"`
	}
	all := []string{"StartTime", iso(from), "EndTime", iso(to), "Period", "300"}
	for i, name := range []string{"Average", "Maximum", "Minimum", "SampleCount", "Sum"} {
		all = append(all, fmt.Sprintf("Statistics.member.%d", i+1), name)
	}
	call("GetMetricStatistics", &stats, append(metric(""), all...)...)
	for _, p := range stats.Datapoints {
		m.Points = append(m.Points, []any{
			float64(p.Timestamp.Unix()), p.Average, p.Maximum, p.Minimum, p.SampleCount, p.Sum, p.Unit,
		})
	}
	var data struct {
		Times  []time.Time `xml:"GetMetricDataResult>MetricDataResults>member>Timestamps>member"`
		Values []float64   `xml:"GetMetricDataResult>MetricDataResults>member>Values>member"`
	}
	const q = "MetricDataQueries.member.1."
	call(
		"GetMetricData", &data,
		append(
			metric(q+"MetricStat.Metric."), q+"Id", "m1", q+"MetricStat.Period", "300", q+"MetricStat.Stat", "Sum",
			"StartTime", iso(from), "EndTime", iso(to),
		)...,
	)
	for i, at := range data.Times {
		m.Sums = append(m.Sums, []any{float64(at.Unix()), data.Values[i]})
	}
	var listed struct {
		Names []string `xml:"ListMetricsResult>Metrics>member>MetricName"`
	}
	call("ListMetrics", &listed, "Namespace", "tester")
	m.Names = slices.Sorted(slices.Values(listed.Names))
	var refusal struct {
		Code string `xml:"Error>Code"`
	}
	if status := call(
		"GetMetricStatistics", &refusal,
		append(
			metric(""), "StartTime", iso(from), "EndTime", iso(from.Add(24*time.Hour)), "Period", "1",
			"Statistics.member.1", "Sum",
		)...,
	); status == 400 {
		m.Code = refusal.Code
	}
	return m
}

// F-72: the tutorial's command after a batch that failed once: a data point for five minutes, with an age in
// milliseconds that is not smaller than the real one.
func TestTheTutorialsMetricCommand(t *testing.T) {
	t.Parallel()
	s := start(t, newHome(t), "dev")
	var failed atomic.Bool
	l := newLedger(t, func(invocation) e2e.Order {
		if failed.CompareAndSwap(false, true) {
			return e2e.Order{Fail: "once"}
		}
		return e2e.Order{}
	})
	c := s.clients()
	c.createStream(t, "orders", 1)
	c.createFunction(t, "orders", l.url)
	c.createMapping(t, "orders", lambda.CreateEventSourceMappingInput{BatchSize: aws.Int32(1)})
	c.put(t, "orders", "k", "first")
	sum := func(metric, statistic string) float64 {
		out := cli{
			s, t,
		}.run("cloudwatch", "get-metric-statistics", "--namespace", "AWS/Lambda", "--metric-name", metric,
			"--dimensions", "Name=FunctionName,Value=orders",
			"--start-time", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "--end-time",
			time.Now().Add(time.Minute).UTC().Format(time.RFC3339),
			"--period", "300", "--statistics", statistic, "--output", "json")
		var answer struct{ Datapoints []map[string]any }
		if err := json.Unmarshal([]byte(out), &answer); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		total := 0.0
		for _, p := range answer.Datapoints { // two of them, if the five minutes end just now
			v, _ := p[statistic].(float64)
			total += v
		}
		return total
	}
	eventually.Reaches(t, "two invocations", func() (bool, string) {
		n := sum("Invocations", "Sum")
		return n == 2, fmt.Sprint(n)
	})
	if n := sum("Errors", "Sum"); n != 1 {
		t.Errorf("%g errors", n)
	}
	// the retry waits for about a second
	if age := sum("IteratorAge", "Maximum"); age < 500 || age > float64(patience.Milliseconds()) {
		t.Errorf("the iterator age is %g", age)
	}
}

// What was written before a synced put is there after kill -9: metrics share the store's log.
func TestMetricsOutliveAKill(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "serve", "--data", h.path("data"))
	s.clients().createStream(t, "orders", 1)
	form := func(s *server, action, more string) string {
		got := send(
			t, http.DefaultClient, "POST", s.Endpoint+"/", "Action="+action+"&Version=2010-08-01&Namespace=shop&"+more,
			formHeaders("monitoring"),
		)
		if got.status != 200 {
			t.Fatalf("%s: %d %s", action, got.status, got.body)
		}
		return got.body
	}
	from := time.Now().Add(-time.Hour).UTC()
	query := url.Values{
		"MetricName": {"sold"}, "StartTime": {from.Format(time.RFC3339)},
		"EndTime": {from.Add(2 * time.Hour).Format(time.RFC3339)}, "Period": {"86400"}, "Statistics.member.1": {"Sum"},
	}.Encode()
	form(s, "PutMetricData", "MetricData.member.1.MetricName=sold&MetricData.member.1.Value=42")
	if got := form(s, "GetMetricStatistics", query); !strings.Contains(got, "<Sum>42.0</Sum>") {
		t.Fatal(got)
	}
	s.clients().put(t, "orders", "k", "synced")
	s.kill()

	s = start(t, h, "serve", "--data", h.path("data"))

	if got := form(s, "GetMetricStatistics", query); !strings.Contains(got, "<Sum>42.0</Sum>") {
		t.Error(got)
	}
}
