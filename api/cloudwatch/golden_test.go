package cloudwatch

import (
	"encoding/hex"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/metric"
)

// Requests of the query protocol as written by clients from before December 2025, and every byte of the answers.
func TestGoldenQueryRequests(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("testdata/query")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("testdata/query/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t)
			at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
			b.clock.SetOffset(time.Until(at.Add(10 * time.Minute)))
			id := metric.ID{
				Account: "000000000000", Region: "us-east-1", Namespace: "tester", Name: "metric",
				Dimensions: []metric.Dimension{{Name: "shop", Value: "1"}},
			}
			for i := range 10 {
				b.metrics.Series(id, "None").Add(at, float64(i))
			}
			body, want, _ := strings.Cut(string(text), "\n\n")
			r := httptest.NewRequest("POST", "/", strings.NewReader(strings.ReplaceAll(body, "\n", "")))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
			w := b.send(r)
			got := regexp.MustCompile(`<RequestId>[^<]*`).ReplaceAllString(w.Body.String(), "<RequestId>ID")
			if diff := cmp.Diff(strings.ReplaceAll(want, "\n", ""), strings.ReplaceAll(got, "\n", "")); diff != "" {
				t.Errorf("%s\n%s", diff, got)
			}
		})
	}
}

// Bodies as AWS's SDK for Go writes them: maps and lists without a length, times as tag 1 of a float; and the same with
// lengths and whole seconds.
func TestGoldenCBORRequests(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"indefinite": "bf" + text("Namespace") + text("tester") + text("MetricData") + "9fbf" + text("MetricName") +
			text("m") + text("Timestamp") + "c1fb41da57fe70000000" +
			text("Values") + "9f" + "fb3ff8000000000000" + "02" + "ff" + "ffff" + "ff",
		"definite": "a2" + text("Namespace") + text("tester") + text("MetricData") + "81a3" + text("MetricName") +
			text("m") + text("Timestamp") + "c11a695ff9c0" +
			text("Values") + "82" + "f93e00" + "02",
	} {
		raw, err := hex.DecodeString(body)
		if err != nil {
			t.Fatal(err)
		}
		var in putMetricDataInput
		if err := decodeCBOR(raw, &in); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		d := in.MetricData[0]
		if diff := cmp.Diff([]float64{1.5, 2}, d.Values); diff != "" || *in.Namespace != "tester" ||
			*d.MetricName != "m" || d.Timestamp == nil {
			t.Errorf("%s: %+v %s", name, d, diff)
		} else if at := time.Time(*d.Timestamp).Unix(); at != 1767897536 && name == "indefinite" || at != 0x695ff9c0 &&
			name == "definite" {
			t.Errorf("%s: %d", name, at)
		}
	}
}

// text returns a short text in CBOR.
func text(s string) string { return hex.EncodeToString(append([]byte{0x60 | byte(len(s))}, s...)) }
