package cloudwatch

import (
	"bytes"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// Whatever bytes come in a protocol, every operation answers in that protocol, with success or with the caller's fault,
// never with ours.

func fuzzOperations(t *testing.T, b *bench, protocol string, body []byte) {
	t.Helper()
	for name := range model.Served {
		r := request(t, protocol, name, object{})
		if protocol == "query" {
			body = append([]byte("Action="+name+"&Version=2010-08-01&"), body...)
		}
		r.Body, r.ContentLength = httptest.NewRequest("POST", "/", bytes.NewReader(body)).Body, int64(len(body))
		w := b.send(r)
		if w.Code >= 500 {
			t.Fatalf("%s: %d %s", name, w.Code, w.Body)
		}
		answerOf(t, protocol, w)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(
		`{"Namespace":"n","MetricData":[{"MetricName":"m","Values":[1,"NaN"],"Counts":[1e-300],"Timestamp":1.5e9}]}`,
	))
	f.Add([]byte(
		`{"Namespace":"n","MetricData":[{"MetricName":"m","StatisticValues":{"SampleCount":1e-300,"Sum":1,"Minimum":1,"Maximum":1}}]}`,
	))
	f.Add([]byte(
		`{"StartTime":0,"EndTime":"2026-01-01T00:00:00Z","MetricDataQueries":[{"Id":"m1","MetricStat":{"Metric":{"Dimensions":[null]}}}]}`,
	))
	f.Add([]byte(`{"NextToken":"bGlzdC8wMDA","RecentlyActive":null,"Dimensions":[{"Name":"a"}]}`))
	b := newBench(f)
	f.Fuzz(func(t *testing.T, body []byte) { fuzzOperations(t, b, "json", body) })
}

func FuzzCBOR(f *testing.F) {
	for _, v := range []any{
		object{"Namespace": "n", "MetricData": []any{object{"MetricName": "m", "Value": 1}}},
		object{
			"StartTime": cbor.Tag{Number: 1, Content: 1.5}, "EndTime": cbor.Tag{Number: 1, Content: 2_000_000_000},
			"Period": 86400, "Statistics": []any{"Sum"},
		},
		object{"NextToken": []byte("x")},
	} {
		body, err := cbor.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte("\xbf\x69Namespace\x7f\x61n\xff\xff"))
	b := newBench(f)
	f.Fuzz(func(t *testing.T, body []byte) { fuzzOperations(t, b, "cbor", body) })
}

func FuzzQuery(f *testing.F) {
	f.Add("Namespace=n&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1&MetricData.member.1.Dimensions=")
	f.Add(
		url.Values{
			"Namespace": {"n"}, "Namespace.member.1": {"x"}, "MetricData.member.99999999999": {"x"},
			"StartTime": {"2026-01-01"},
		}.Encode(),
	)
	f.Add("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1&.=2&%zz")
	b := newBench(f)
	f.Fuzz(func(t *testing.T, body string) { fuzzOperations(t, b, "query", []byte(body)) })
}
