package metric

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// line returns a line in the embedded metric format, as Powertools writes it.
func line(at time.Time, directives string, members string) string {
	return fmt.Sprintf(`{"_aws":{"Timestamp":%d,"CloudWatchMetrics":%s},%s}`, at.UnixMilli(), directives, members)
}

// A line in the embedded metric format becomes values under every set of its dimensions.
func TestEmbeddedMetrics(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	at := b.hour()
	clock := at.UTC().Format("15:04")
	text := line(at, `[{"Namespace":"Shop","Dimensions":[["service"],["service","env"],[]],"Metrics":[{"Name":"sold","Unit":"Count","StorageResolution":60},{"Name":"took"}]}]`,
		`"service":"till","env":"prod","sold":[1,2,3.5],"took":12,"function_request_id":"x"`)
	if !b.PutEmbedded("000000000000", "us-east-1", text, 0) {
		t.Fatal("not taken")
	}
	service, env := Dimension{"service", "till"}, Dimension{"env", "prod"}
	for _, set := range [][]Dimension{{service}, {env, service}, nil} {
		if diff := cmp.Diff(
			[]string{clock + " Count n=3 sum=6.5 min=1 max=3.5"},
			texts(b.points(t, named("sold", set...), at, time.Minute)),
		); diff != "" {
			t.Errorf("%v: %s", set, diff)
		}
		if diff := cmp.Diff(
			[]string{clock + " None n=1 sum=12 min=12 max=12"},
			texts(b.points(t, named("took", set...), at, time.Minute)),
		); diff != "" {
			t.Errorf("%v: %s", set, diff)
		}
	}
}

// Other lines, and lines that break the format, leave nothing behind.
func TestOtherLinesAreNoMetrics(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	now := b.clock.Now()
	metrics := `"Metrics":[{"Name":"sold"}]`
	many := strings.Repeat(`["s"],`, maxDimensionSets) + `["s"]`
	for name, text := range map[string]string{
		"plain":                     "hello",
		"not JSON":                  `"CloudWatchMetrics" is a word`,
		"no time":                   `{"_aws":{"CloudWatchMetrics":[{"Namespace":"Shop",` + metrics + `}]},"sold":1}`,
		"too old":                   line(now.Add(-15*24*time.Hour), `[{"Namespace":"Shop",`+metrics+`}]`, `"sold":1`),
		"to come":                   line(now.Add(3*time.Hour), `[{"Namespace":"Shop",`+metrics+`}]`, `"sold":1`),
		"no namespace":              line(now, `[{`+metrics+`}]`, `"sold":1`),
		"a dimension without value": line(now, `[{"Namespace":"Shop","Dimensions":[["s"]],`+metrics+`}]`, `"sold":1`),
		"a dimension of a number": line(
			now, `[{"Namespace":"Shop","Dimensions":[["s"]],`+metrics+`}]`, `"sold":1,"s":2`,
		),
		"too many sets": line(
			now, `[{"Namespace":"Shop","Dimensions":[`+many+`],`+metrics+`}]`, `"sold":1,"s":"x"`,
		),
		"no value":        line(now, `[{"Namespace":"Shop",`+metrics+`}]`, `"other":1`),
		"a text as value": line(now, `[{"Namespace":"Shop",`+metrics+`}]`, `"sold":"1"`),
		"null as value":   line(now, `[{"Namespace":"Shop",`+metrics+`}]`, `"sold":null`),
		"too many values": line(
			now, `[{"Namespace":"Shop",`+metrics+`}]`, `"sold":[`+strings.Repeat("1,", 100)+`1]`,
		),
		"an unknown unit": line(
			now, `[{"Namespace":"Shop","Metrics":[{"Name":"sold","Unit":"Pints"}]}]`, `"sold":1`,
		),
		"a control character": line(now, `[{"Namespace":"Shop","Metrics":[{"Name":"so\u0000ld"}]}]`, `"so\u0000ld":1`),
	} {
		if b.PutEmbedded("000000000000", "us-east-1", text, 0) {
			t.Errorf("%s was taken: %s", name, text)
		}
	}
	if got, _, err := b.List(Listing{Account: "000000000000", Region: "us-east-1", Limit: 10}); err != nil ||
		len(got) != 0 {
		t.Errorf("left behind: %v, %v", got, err)
	}
}

// Whatever a function prints, its log keeps working.
func FuzzPutEmbedded(f *testing.F) {
	f.Add(`[{"Namespace":"Shop","Dimensions":[["s"]],"Metrics":[{"Name":"m"}]}]`, `"s":"x","m":[1,2]`)
	f.Add(`[{"Namespace":"Shop","Dimensions":[[]],"Metrics":[{"Name":"m","Unit":"Count"}]}]`, `"m":1e300`)
	f.Add(`[{"Namespace":":Shop","Metrics":null}]`, `"m":-0`)
	b := newBench(f)
	f.Fuzz(func(t *testing.T, directives, members string) {
		text := line(b.clock.Now(), directives, members)
		if b.PutEmbedded("000000000000", "us-east-1", text, 0) && !json.Valid([]byte(text)) {
			t.Fatalf("taken: %s", text)
		}
	})
}
