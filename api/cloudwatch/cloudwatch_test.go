package cloudwatch

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/metric"
)

type object = map[string]any

// each runs a test in every protocol, with a service of its own.
func each(t *testing.T, test func(t *testing.T, b *bench, protocol string)) {
	t.Helper()
	t.Parallel()
	for _, p := range protocols {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t), p)
		})
	}
}

func (b *bench) ok(protocol, operation string, input object) object {
	b.t.Helper()
	status, answer, _ := b.call(protocol, operation, input)
	if status != 200 {
		b.t.Fatalf("%s %s: %d %v", protocol, operation, status, answer)
	}
	return answer
}

// ten puts the values 0 to 9 in one minute.
func (b *bench) ten(protocol string) {
	b.t.Helper()
	var data []any
	for i := range 10 {
		data = append(data, object{"MetricName": "metric", "Value": i, "Timestamp": b.hour()})
	}
	b.ok(protocol, "PutMetricData", object{"Namespace": "tester", "MetricData": data})
}

func (b *bench) statistics(more object) object {
	in := object{
		"Namespace": "tester", "MetricName": "metric", "StartTime": b.hour(), "EndTime": b.hour().Add(time.Hour),
		"Period":     60,
		"Statistics": []any{"SampleCount", "Average", "Sum", "Minimum", "Maximum"},
	}
	for k, v := range more {
		if in[k] = v; v == nil {
			delete(in, k)
		}
	}
	return in
}

// F-69: whatever protocol puts and whatever protocol reads, the data are equal, and the same as AWS's.
func TestProtocolsShowEqualData(t *testing.T) {
	t.Parallel()
	for _, put := range protocols {
		b := newBench(t)
		b.ten(put)
		want := object{"Label": "metric", "Datapoints": []any{object{
			"Timestamp": float64(b.hour().Unix()), "Average": 4.5, "Maximum": 9.0, "Minimum": 0.0, "SampleCount": 10.0,
			"Sum": 45.0, "Unit": "None",
		}}}
		for _, p := range protocols {
			if diff := cmp.Diff(want, b.ok(p, "GetMetricStatistics", b.statistics(nil))); diff != "" {
				t.Errorf("put by %s, asked by %s: %s", put, p, diff)
			}
		}
		queries := []any{
			object{
				"Id": "m1",
				"MetricStat": object{
					"Metric": object{"Namespace": "tester", "MetricName": "metric"}, "Period": 300, "Stat": "Sum",
				},
			},
			object{
				"Id": "m2", "Label": "none",
				"MetricStat": object{
					"Metric": object{"Namespace": "none", "MetricName": "metric"}, "Period": 300, "Stat": "p99",
				},
			},
		}
		at := []any{float64(b.hour().Unix())}
		want = object{"Messages": []any{}, "MetricDataResults": []any{
			object{"Id": "m1", "Label": "metric", "Timestamps": at, "Values": []any{45.0}, "StatusCode": "Complete"},
			object{"Id": "m2", "Label": "none", "Timestamps": []any{}, "Values": []any{}, "StatusCode": "Complete"},
		}}
		for _, p := range protocols {
			got := b.ok(p, "GetMetricData", object{
				"StartTime": b.hour(), "EndTime": b.hour().Add(time.Hour), "MetricDataQueries": queries,
			})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("put by %s, asked by %s: %s", put, p, diff)
			}
			want := object{
				"Metrics": []any{object{"Namespace": "tester", "MetricName": "metric", "Dimensions": []any{}}},
			}
			if diff := cmp.Diff(want, b.ok(p, "ListMetrics", object{"Namespace": "tester"})); diff != "" {
				t.Errorf("put by %s, listed by %s: %s", put, p, diff)
			}
		}
	}
}

// F-70: too many data points, with AWS's text, and the older code only for those that ask for it.
func TestTooManyDatapoints(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		in := b.statistics(object{"Period": 1, "EndTime": b.hour().Add(24 * time.Hour)})
		want := object{"Code": "InvalidParameterCombination", "Message": "You have requested up to 86400 datapoints, which exceeds the limit of 1440. " +
			"You may reduce the datapoints requested by increasing Period, or decreasing the time range."}
		for _, asked := range []bool{false, true} {
			var headers []string
			if asked {
				headers = []string{"x-amzn-query-mode", "true"}
			}
			status, answer, h := b.call(protocol, "GetMetricStatistics", in, headers...)
			if asked && protocol != "query" {
				if got := h.Get("x-amzn-query-error"); got != "InvalidParameterCombination;Sender" {
					t.Errorf("the header says %q", got)
				}
			} else if got := h.Get("x-amzn-query-error"); !asked && got != "" {
				t.Errorf("nobody asked for %q", got)
			}
			delete(answer, "RequestId")
			if diff := cmp.Diff(want, answer); diff != "" || status != 400 {
				t.Errorf("%d: %s", status, diff)
			}
			if h.Get("X-Amzn-Requestid") == "" {
				t.Error("no request id")
			}
		}
	})
}

// Invalid requests are refused in CloudWatch's words, the same in every protocol, and nothing of them is recorded.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		datum := func(more object) object {
			d := object{"MetricName": "m", "Value": 1}
			for k, v := range more {
				if d[k] = v; v == nil {
					delete(d, k)
				}
			}
			return object{"Namespace": "n", "MetricData": []any{object{"MetricName": "before", "Value": 1}, d}}
		}
		query := func(more object) object {
			q := object{
				"Id": "m1",
				"MetricStat": object{
					"Metric": object{"Namespace": "n", "MetricName": "m"}, "Period": 60, "Stat": "Sum",
				},
			}
			for k, v := range more {
				if q[k] = v; v == nil {
					delete(q, k)
				}
			}
			return object{"StartTime": b.hour(), "EndTime": b.hour().Add(time.Hour), "MetricDataQueries": []any{q}}
		}
		with := func(in object, name string, value any) object {
			in[name] = value
			return in
		}
		const m = "MetricData.member.2."
		for _, c := range []struct {
			operation  string
			input      object
			code, text string
		}{
			{
				"PutMetricData",
				object{"MetricData": []any{object{"MetricName": "m", "Value": 1}}},
				"MissingParameter",
				"The parameter Namespace is required.",
			},
			{"PutMetricData", object{"Namespace": "n"}, "MissingParameter", "The parameter MetricData is required."},
			{
				"PutMetricData", with(datum(nil), "Namespace", "AWS/Lambda"), "InvalidParameterValue",
				"The value AWS/Lambda for parameter Namespace is invalid.",
			},
			{
				"PutMetricData", datum(object{"MetricName": nil}), "MissingParameter",
				"The parameter " + m + "MetricName is required.",
			},
			{
				"PutMetricData", datum(object{"Values": []any{1, 2}}), "InvalidParameterCombination",
				"The parameters " + m + "Value and " + m + "Values are mutually exclusive and you have specified both.",
			},
			{
				"PutMetricData", datum(object{"Value": nil, "Values": []any{1, 2}, "Counts": []any{1}}),
				"InvalidParameterValue",
				"The parameters " + m + "Values and " + m + "Counts must be of the same size.",
			},
			{
				"PutMetricData", datum(object{"Value": nil}), "InvalidParameterCombination",
				"At least one of the parameters " + m + "Value, " + m + "Values and " + m +
					"StatisticValues must be specified.",
			},
			{
				"PutMetricData",
				datum(object{"Value": nil, "StatisticValues": object{"Sum": 1, "SampleCount": 1, "Minimum": 1}}),
				"MissingParameter", "The parameter " + m + "StatisticValues.Maximum is required.",
			},
			{
				"PutMetricData", datum(object{"StorageResolution": 300}), "InvalidParameterValue",
				"The parameter " + m + "StorageResolution must be a value in the set [ 1, 60 ].",
			},
			{
				"PutMetricData", datum(object{"StorageResolution": 1}), "InvalidParameterValue",
				"shardmill does not support the parameter " + m +
					"StorageResolution with 1 (buckets are one minute) yet; see docs/compat/cloudwatch.md.",
			},
			{
				"PutMetricData", datum(object{"Dimensions": []any{object{"Name": "a"}}}), "MissingParameter",
				"The parameter " + m + "Dimensions.member.1.Value is required.",
			},
			{
				"PutMetricData", datum(object{"Value": 1e200}), "InvalidParameterValue",
				"The value 1e+200 for parameter " + m + "Value is invalid.",
			},
			{
				"PutMetricData", datum(object{"Timestamp": b.clock.Now().Add(-15 * 24 * time.Hour)}),
				"InvalidParameterValue",
				"The parameter " + m + "Timestamp must specify a time within the past two weeks.",
			},
			{
				"GetMetricStatistics", b.statistics(object{"Period": nil}), "MissingParameter",
				"The parameter Period is required.",
			},
			{
				"GetMetricStatistics", b.statistics(object{"Period": 90}), "InvalidParameterValue",
				"The parameter Period must be a multiple of 60.",
			},
			{
				"GetMetricStatistics", b.statistics(object{"Period": 0}), "InvalidParameterValue",
				"The parameter Period must not equal 0.",
			},
			{
				"GetMetricStatistics", b.statistics(object{"EndTime": b.hour()}), "InvalidParameterValue",
				"The parameter StartTime must be less than the parameter EndTime.",
			},
			{
				"GetMetricStatistics", b.statistics(object{"Statistics": nil}), "InvalidParameterCombination",
				"At least one of the parameters Statistics and ExtendedStatistics must be specified.",
			},
			{
				"GetMetricStatistics", b.statistics(object{"Statistics": []any{"Median"}}), "InvalidParameterValue",
				"The parameter Statistics.member.1 must be a value in the set [ SampleCount, Average, Sum, Minimum, Maximum ].",
			},
			{
				"GetMetricStatistics", b.statistics(object{"Statistics": nil, "ExtendedStatistics": []any{"p101"}}),
				"InvalidParameterValue", "The value p101 for parameter ExtendedStatistics.member.1 is invalid.",
			},
			{
				"GetMetricData", query(object{"MetricStat": nil}), "ValidationError",
				"The parameter MetricDataQueries.member.1.MetricStat is required.\n",
			},
			{
				"GetMetricData", query(object{"Expression": "m1*2"}), "ValidationError",
				"shardmill does not support the parameter MetricDataQueries.member.1.Expression yet; see docs/compat/cloudwatch.md.\n",
			},
			{ // whose metrics are not the caller's to see
				"GetMetricData", query(object{"AccountId": "222222222222"}), "ValidationError",
				"shardmill does not support the parameter MetricDataQueries.member.1.AccountId yet; see docs/compat/cloudwatch.md.\n",
			},
			{
				"GetMetricData", with(query(nil), "EndTime", b.hour()), "ValidationError",
				"The parameter StartTime must not equal parameter EndTime.\n",
			},
			{
				"GetMetricData", with(with(query(object{"Id": "M"}), "EndTime", b.hour()), "MaxDatapoints", 0),
				"ValidationError",
				"The parameter StartTime must not equal parameter EndTime.\nThe value 0 for parameter MaxDatapoints is invalid. It must be from 1 to 100800.\n" +
					"The value M for parameter MetricDataQueries.member.1.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.\n",
			},
			{
				"GetMetricData", with(query(nil), "NextToken", "x"), "InvalidNextToken",
				"The parameter NextToken is invalid.",
			},
			{
				"ListMetrics",
				object{"RecentlyActive": "PT1H"},
				"InvalidParameterValue",
				"The parameter RecentlyActive must be a value in the set [ PT3H ].",
			},
			{
				"ListMetrics",
				object{"IncludeLinkedAccounts": true},
				"InvalidParameterValue",
				"shardmill does not support the parameter IncludeLinkedAccounts yet; see docs/compat/cloudwatch.md.",
			},
			{
				"ListMetrics",
				object{"NextToken": encodeToken("list/999999999999\x00us-east-1\x00")},
				"InvalidParameterValue", "The parameter NextToken is invalid.",
			},
		} {
			status, answer, _ := b.call(protocol, c.operation, c.input)
			delete(answer, "RequestId")
			text, code := answer["Message"], answer["Code"]
			if protocol == "query" { // the tests' XML reader trims nothing, AWS neither
				text = fmt.Sprint(text)
			}
			if status != 400 || code != c.code || text != c.text {
				t.Errorf("%s %v: %d %v %q\nwant %s %q", c.operation, c.input, status, code, text, c.code, c.text)
			}
		}
		if got := b.ok(protocol, "ListMetrics", object{}); len(got["Metrics"].([]any)) != 0 {
			t.Errorf("recorded all the same: %v", got)
		}
	})
}

// Values with Counts and sums from elsewhere add up with single values; units and dimensions are kept apart.
func TestAllWaysToPut(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		at := b.hour()
		shop := []any{object{"Name": "shop", "Value": "1"}}
		b.ok(protocol, "PutMetricData", object{"Namespace": "n", "MetricData": []any{
			object{"MetricName": "m", "Timestamp": at, "Unit": "Count", "Dimensions": shop, "Value": 5},
			object{
				"MetricName": "m", "Timestamp": at, "Unit": "Count", "Dimensions": shop, "Values": []any{1, 2},
				"Counts": []any{3, 0.5},
			},
			object{"MetricName": "m", "Timestamp": at, "Unit": "Count", "Dimensions": shop, "Values": []any{7}},
			object{
				"MetricName": "m", "Timestamp": at, "Unit": "Bytes", "Dimensions": shop,
				"StatisticValues": object{"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4},
			},
		}})
		in := b.statistics(object{"Namespace": "n", "MetricName": "m", "Dimensions": shop})
		want := []any{
			object{
				"Timestamp": float64(at.Unix()), "Unit": "Bytes", "SampleCount": 4.0, "Sum": 10.0, "Average": 2.5,
				"Minimum": 1.0, "Maximum": 4.0,
			},
			object{
				"Timestamp": float64(at.Unix()), "Unit": "Count", "SampleCount": 5.5, "Sum": 16.0, "Average": 16 / 5.5,
				"Minimum": 1.0, "Maximum": 7.0,
			},
		}
		if diff := cmp.Diff(want, b.ok(protocol, "GetMetricStatistics", in)["Datapoints"]); diff != "" {
			t.Error(diff)
		}
		in["Unit"] = "Bytes"
		if diff := cmp.Diff(want[:1], b.ok(protocol, "GetMetricStatistics", in)["Datapoints"]); diff != "" {
			t.Error(diff)
		}
		delete(in, "Dimensions")
		if got := b.ok(protocol, "GetMetricStatistics", in)["Datapoints"]; len(got.([]any)) != 0 {
			t.Errorf("without dimensions: %v", got)
		}
	})
}

// Percentiles are within 1 %, and absent where values came summed up.
func TestPercentiles(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		at := b.hour()
		var values []any
		for i := range 100 {
			values = append(values, i+1)
		}
		b.ok(protocol, "PutMetricData", object{"Namespace": "tester", "MetricData": []any{
			object{"MetricName": "metric", "Timestamp": at, "Values": values},
			object{
				"MetricName": "metric", "Timestamp": at.Add(time.Minute),
				"StatisticValues": object{"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4},
			},
		}})
		got := b.ok(
			protocol, "GetMetricStatistics",
			b.statistics(object{"Statistics": nil, "ExtendedStatistics": []any{"p50", "p99.9", "p100"}}),
		)["Datapoints"].([]any)
		if len(got) != 2 || got[1].(object)["ExtendedStatistics"] != nil {
			t.Fatalf("%v", got)
		}
		for name, want := range map[string]float64{"p50": 50, "p99.9": 100, "p100": 100} {
			if v := got[0].(object)["ExtendedStatistics"].(object)[name].(float64); v < want*0.99 || v > want*1.01 {
				t.Errorf("%s is %g", name, v)
			}
		}
	})
}

// GetMetricData pages by data points in either order, and nothing recorded meanwhile moves a page.
func TestDataComesInPages(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		at := b.hour()
		put := func(name string, minute int) object {
			return object{"MetricName": name, "Value": minute, "Timestamp": at.Add(time.Duration(minute) * time.Minute)}
		}
		var data []any
		for minute := range 5 {
			data = append(data, put("a", minute), put("b", minute))
		}
		b.ok(protocol, "PutMetricData", object{"Namespace": "n", "MetricData": data})
		query := func(id, name string) object {
			return object{
				"Id": id,
				"MetricStat": object{
					"Metric": object{"Namespace": "n", "MetricName": name}, "Period": 60, "Stat": "Maximum",
				},
			}
		}
		for _, order := range []string{"TimestampAscending", "TimestampDescending", ""} {
			in := object{
				"StartTime": at, "EndTime": at.Add(time.Hour), "MaxDatapoints": 3,
				"MetricDataQueries": []any{
					query("qa", "a"),
					object{"Id": "hidden", "ReturnData": false, "MetricStat": query("x", "a")["MetricStat"]},
					query("qb", "b"),
				},
			}
			if order != "" {
				in["ScanBy"] = order
			}
			seen := map[string][]float64{}
			for page := 0; ; page++ {
				out := b.ok(protocol, "GetMetricData", in)
				n := 0
				for _, r := range out["MetricDataResults"].([]any) {
					r := r.(object)
					for _, v := range r["Values"].([]any) {
						seen[r["Id"].(string)] = append(seen[r["Id"].(string)], v.(float64))
						n++
					}
				}
				if n > 3 || page > 6 {
					t.Fatalf("page %d has %d points", page, n)
				}
				if page == 0 { // newer and older than what this page has shown
					b.ok(protocol, "PutMetricData", object{
						"Namespace": "n", "MetricData": []any{object{"MetricName": "a", "Value": 0, "Timestamp": at}},
					})
				}
				token, more := out["NextToken"]
				if !more {
					break
				}
				in["NextToken"] = token
			}
			up, down := []float64{0, 1, 2, 3, 4}, []float64{4, 3, 2, 1, 0}
			want := map[string][]float64{"qa": up, "qb": up}
			if order != "TimestampAscending" {
				want = map[string][]float64{"qa": down, "qb": down}
			}
			if diff := cmp.Diff(want, seen); diff != "" {
				t.Errorf("%s: %s", order, diff)
			}
		}
	})
}

// ListMetrics pages by 500 and filters by name, by dimension with or without its value, and by recent activity.
func TestMetricsAreListed(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		for i := range 501 {
			id := metric.ID{
				Account: "000000000000", Region: "us-east-1", Namespace: "n", Name: "m",
				Dimensions: []metric.Dimension{{Name: "shop", Value: fmt.Sprintf("%03d", i)}},
			}
			b.metrics.Series(id, "Count").Add(b.clock.Now(), 1)
		}
		first := b.ok(protocol, "ListMetrics", object{"MetricName": "m"})
		second := b.ok(protocol, "ListMetrics", object{"MetricName": "m", "NextToken": first["NextToken"]})
		if len(first["Metrics"].([]any)) != 500 || len(second["Metrics"].([]any)) != 1 || second["NextToken"] != nil {
			t.Errorf("pages of %d and %d", len(first["Metrics"].([]any)), len(second["Metrics"].([]any)))
		}
		b.clock.SetOffset(4 * time.Hour)
		b.metrics.Series(
			metric.ID{Account: "000000000000", Region: "us-east-1", Namespace: "n", Name: "other"}, "Count",
		).Add(b.clock.Now(), 1)
		for want, in := range map[int]object{
			1:   {"Dimensions": []any{object{"Name": "shop", "Value": "007"}}},
			500: {"Dimensions": []any{object{"Name": "shop"}}},
			0:   {"Dimensions": []any{object{"Name": "till"}}},
		} {
			if got := b.ok(protocol, "ListMetrics", in)["Metrics"].([]any); len(got) != want {
				t.Errorf("%v: %d", in, len(got))
			}
		}
		recent := b.ok(protocol, "ListMetrics", object{"RecentlyActive": "PT3H"})["Metrics"].([]any)
		if len(recent) != 1 || recent[0].(object)["MetricName"] != "other" {
			t.Errorf("recently active: %v", recent)
		}
	})
}

func TestTheCompatPageListsWhatIsServedAndWhatIsNot(t *testing.T) {
	t.Parallel()
	wiretest.Listed(t, "cloudwatch", slices.Collect(maps.Keys(model.Served)), strings.Fields(model.Others))
}

// Operations that AWS has and we do not are refused by name with 501; unknown names with 400.
func TestOtherOperationsAreRefusedByName(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		for _, name := range strings.Fields(model.Others) {
			status, answer, _ := b.call(protocol, name, object{})
			if status != 501 || answer["Code"] != "NotImplementedException" ||
				!strings.Contains(answer["Message"].(string), name) {
				t.Errorf("%s: %d %v", name, status, answer)
			}
		}
		if status, answer, _ := b.call(protocol, "Nonsense", object{}); status != 400 ||
			answer["Code"] != "InvalidAction" {
			t.Errorf("%d %v", status, answer)
		}
	})
}

// A request may be packed with gzip; packed or not, it is bounded before it is read.
func TestBodiesArePackedAndBounded(t *testing.T) {
	each(t, func(t *testing.T, b *bench, protocol string) {
		pack := func(body []byte) *bytes.Buffer {
			var out bytes.Buffer
			z := gzip.NewWriter(&out)
			_, _ = z.Write(body)
			_ = z.Close()
			return &out
		}
		send := func(body *bytes.Buffer, encoding string) *httptest.ResponseRecorder {
			like := request(t, protocol, "PutMetricData", object{})
			r := httptest.NewRequest("POST", like.URL.Path, body)
			r.Header = like.Header
			if encoding != "" {
				r.Header.Set("Content-Encoding", encoding)
			}
			return b.send(r)
		}
		var body bytes.Buffer
		_, _ = body.ReadFrom(
			request(t, protocol, "PutMetricData", object{
				"Namespace": "n", "MetricData": []any{object{"MetricName": "m", "Value": 1}},
			}).Body,
		)
		if w := send(pack(body.Bytes()), "gzip"); w.Code != 200 {
			t.Errorf("packed: %d %s", w.Code, w.Body)
		}
		if got := b.ok(protocol, "ListMetrics", object{})["Metrics"].([]any); len(got) != 1 {
			t.Errorf("recorded %v", got)
		}
		bomb := bytes.Repeat([]byte(" "), maxRequestBytes+1)
		if w := send(pack(bomb), "gzip"); w.Code != 413 {
			t.Errorf("a bomb: %d %s", w.Code, w.Body)
		}
		if w := send(bytes.NewBuffer(bomb), ""); w.Code != 413 {
			t.Errorf("too long: %d %s", w.Code, w.Body)
		}
		if w := send(bytes.NewBufferString("no gzip"), "gzip"); w.Code != 400 {
			t.Errorf("not packed: %d %s", w.Code, w.Body)
		}
		if w := send(bytes.NewBufferString("x"), "br"); w.Code != 415 {
			t.Errorf("packed otherwise: %d %s", w.Code, w.Body)
		}
	})
}
